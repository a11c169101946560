// A tokenizer.json of any family. One of BERT's kind becomes BERT's settings; any other is kept as it is, since it must be
// written out again. What it asks for and flexbert does not do is refused by name. Its own truncation and padding are
// ignored: all-mpnet-base-v2's cuts at 128 tokens and pads to 128, where the task and the batch decide.

import { modelError } from "../errors/errors";
import { asText, shown } from "../errors/printable";
import { type AddedToken, addedTokens, listedTokens } from "./added-tokens";
import { bertFrame, type Frame, readFrame, sameFrame } from "./frame";
import type { BertSettings, TokenizerSettings } from "./settings";
import { settingsFromTokenizerJson, tokensById } from "./vocabulary";

type Json = Readonly<Record<string, unknown>>;

/** Keys that decide ids; the decoder and others do not. */
const deciding = ["added_tokens", "normalizer", "pre_tokenizer", "post_processor", "model"] as const;

/** What a tokenizer.json says of a tokenizer of BERT's kind, or all that it says of another. */
export type ReadTokenizer =
  | { readonly bert: BertSettings }
  | { readonly file: Json; readonly tokens: readonly string[] };

/** Throws modelError (4) for what flexbert does not read. */
export function readTokenizerJson(json: unknown): ReadTokenizer {
  const file = Object(json) as Json;
  if (isBert(file)) return { bert: settingsFromTokenizerJson(json) };
  const kept = Object.fromEntries(
    Object.entries(file).map(([key, value]) => [key, key === "truncation" || key === "padding" ? null : value]),
  );
  const { tokens } = vocabularyOf(kept);
  const infinite = placeOfInfinite(Object.fromEntries(deciding.map((key) => [key, kept[key]])));
  if (infinite) throw modelError(`tokenizer.json: ${infinite.join(".")} is no finite number`);
  return { file: kept, tokens };
}

/** The keys to a number that is none: JSON's 1e999 is read as infinity, which neither a hash nor a file that is written again can hold. */
function placeOfInfinite(value: unknown): string[] | null {
  if (typeof value === "number") return Number.isFinite(value) ? null : [];
  if (typeof value !== "object" || value === null) return null;
  for (const [key, member] of Object.entries(value)) {
    const found = placeOfInfinite(member);
    if (found) return [key, ...found];
  }
  return null;
}

/** Whether BERT's settings say all of it: WordPiece between [CLS] and [SEP]. Files may leave out what has BERT's value. */
function isBert(file: Json): boolean {
  const model = Object(file["model"]) as Json;
  if (!file["model"] || (model["type"] ?? "WordPiece") !== "WordPiece") return !file["model"];
  if ((model["unk_token"] ?? "[UNK]") !== "[UNK]") return false;
  if (file["post_processor"] === undefined) return true;
  const ids = new Map(Object.entries(Object(model["vocab"])));
  const idOf = (token: string) => ids.get(token) as number | undefined;
  const frame = readFrame(file["post_processor"], idOf);
  const part = (token: string) => ({ token, id: idOf(token) as number, type: 0 });
  return sameFrame(frame, bertFrame(part("[CLS]"), part("[SEP]"))) && frame.trim === null;
}

/** The words of a model by id, and the tokens added to them. */
export function vocabularyOf(file: Json): {
  readonly tokens: readonly string[];
  readonly added: readonly AddedToken[];
} {
  const { type = "WordPiece", vocab } = Object(file["model"]) as { type?: unknown; vocab?: unknown };
  const isList = type === "Unigram";
  if (!["WordPiece", "BPE", "Unigram"].includes(asText(type)) || !vocab || Array.isArray(vocab) !== isList) {
    throw modelError(
      `tokenizer.json holds a ${asText(type)} model${vocab ? "" : " without a vocabulary"}; flexbert reads WordPiece, BPE and Unigram`,
    );
  }
  const tokens = isList ? (vocab as unknown[]).map(piece) : tokensById(vocab as Json);
  return {
    tokens,
    added: addedTokens(tokens, [{ name: "tokenizer.json", tokens: listedTokens(file["added_tokens"]) }], [], []),
  };
}

/** [piece, score] */
function piece(entry: unknown, id: number): string {
  const [text, score] = [entry].flat() as unknown[];
  if (typeof text === "string" && typeof score === "number" && Number.isFinite(score)) return text;
  throw modelError(`tokenizer.json: its piece ${id} is ${shown(entry)}, no text with a score`);
}

/** What stands around texts in a file that is not of BERT's kind. */
export function frameOf(file: Json, tokens: readonly string[], added: readonly AddedToken[]): Frame {
  const ids = new Map([
    ...tokens.map((token, id) => [token, id] as const),
    ...added.map((one) => [one.content, one.id] as const),
  ]);
  return readFrame(file["post_processor"], (token) => ids.get(token));
}

/** What tells tokenizers apart that are not of BERT's kind; null for those that are. */
export function decidingParts(settings: TokenizerSettings): Json | null {
  if (!("file" in settings)) return null;
  return Object.fromEntries(deciding.map((key) => [key, settings.file[key] ?? null]));
}
