// Byte-level BPE (Sennrich et al. 2016; Radford et al. 2019) and Unigram (Kudo 2018), by @huggingface/tokenizers. It is loaded
// only here, with the first such tokenizer. What it does otherwise than the native library is mended here: how unknown
// pieces are put together, the score of the unknown token, and lists so long that a call with all of them fails.

import { modelError } from "../errors/errors";
import { asText, shown } from "../errors/printable";
import { BYTE_CHARACTERS } from "./splits";
import type { Pieces } from "./wordpiece";

/** One word, as the pre-tokenizer gives it, to pieces. */
export type Model = (word: string) => Pieces;

type Json = Readonly<Record<string, unknown>>;

interface Library {
  readonly BPE: new (config: object) => { bpe(word: string): readonly string[]; max_length_to_cache: number };
  readonly Unigram: new (
    config: object,
    eos: string | undefined,
  ) => { tokenize(word: string): readonly string[]; readonly scores: number[] };
}

const library = (): Library => require("@huggingface/tokenizers") as Library;

/**
 * The model of a tokenizer.json. Throws modelError (4) for settings that are not those of RoBERTa's and XLM-R's.
 * @param ids of its vocabulary
 * @param bytes whether words come as bytes
 */
export function createModel(json: Json, ids: ReadonlyMap<string, number>, bytes: boolean): Model {
  return json["type"] === "BPE" ? createBpe(json, ids, bytes) : createUnigram(json, ids);
}

/** A setting that is left out, null or one of `allowed` changes nothing. */
function requireOff(json: Json, key: string, allowed: readonly unknown[]): void {
  const value = json[key];
  if (value === undefined || value === null || allowed.includes(value)) return;
  throw modelError(`tokenizer.json: model.${key} is ${shown(value)}, which flexbert does not do`);
}

function createBpe(json: Json, ids: ReadonlyMap<string, number>, bytes: boolean): Model {
  if (!bytes)
    throw modelError("tokenizer.json holds a BPE model of characters; flexbert reads BPE of bytes (ByteLevel) only");
  requireOff(json, "dropout", [0]);
  requireOff(json, "continuing_subword_prefix", [""]);
  requireOff(json, "end_of_word_suffix", [""]);
  requireOff(json, "byte_fallback", [false]);
  const merges = readMerges(json["merges"], ids);
  const unknown = json["unk_token"] === null || json["unk_token"] === undefined ? null : idOf(json["unk_token"], ids);
  const fuses = json["fuse_unk"] === true;
  const isWhole = json["ignore_merges"] === true;
  const { BPE } = library();
  const model = new BPE({ ...json, merges, continuing_subword_prefix: null, end_of_word_suffix: null });
  model.max_length_to_cache = 0; // the pipeline keeps words
  const missing = new Set(BYTE_CHARACTERS.filter((character) => !ids.has(character)));

  const push = (pieces: { ids: number[]; ends: number[] }, known: string) => {
    let end = pieces.ends.at(-1) ?? 0;
    for (const piece of known === "" ? [] : model.bpe(known)) {
      end += piece.length;
      pieces.ids.push(ids.get(piece) as number);
      pieces.ends.push(end);
    }
  };
  return (word) => {
    const pieces = { ids: [] as number[], ends: [] as number[] };
    if (isWhole && ids.has(word)) return { ids: [ids.get(word) as number], ends: [word.length] };
    if (missing.size === 0) {
      push(pieces, word);
      return pieces;
    }
    // Bytes that no piece has: dropped before anything is merged, or unknown pieces that nothing merges with.
    if (unknown === null) {
      const kept = [...word]
        .map((character, i) => ({ character, end: i + 1 }))
        .filter(({ character }) => !missing.has(character));
      push(pieces, kept.map(({ character }) => character).join(""));
      // The native library moves the places of what follows; these are where the pieces stand.
      return { ids: pieces.ids, ends: pieces.ends.map((end) => kept[end - 1]?.end as number) };
    }
    let known = "";
    let isUnknown = false;
    for (const character of word) {
      if (!missing.has(character)) {
        known += character;
        isUnknown = false;
        continue;
      }
      push(pieces, known);
      known = "";
      const end = (pieces.ends.at(-1) ?? 0) + 1;
      if (isUnknown && fuses) pieces.ends[pieces.ends.length - 1] = end;
      else {
        pieces.ids.push(unknown);
        pieces.ends.push(end);
      }
      isUnknown = true;
    }
    push(pieces, known);
    return pieces;
  };
}

/** As pairs; older files have each as one text. */
function readMerges(json: unknown, ids: ReadonlyMap<string, number>): [string, string][] {
  if (!Array.isArray(json)) throw modelError("tokenizer.json: its BPE model has no merges");
  return json.map((merge, i) => {
    const pair: unknown = typeof merge === "string" ? merge.split(" ") : merge;
    if (!Array.isArray(pair) || pair.length !== 2 || !pair.every((part) => typeof part === "string")) {
      throw modelError(`tokenizer.json: merge ${i} is ${shown(merge)}, no pair of pieces`);
    }
    const [left, right] = pair as [string, string];
    for (const piece of [left, right, left + right]) {
      if (ids.has(piece)) continue;
      throw modelError(
        `tokenizer.json: merge ${i} (${shown(`${left} ${right}`)}) is of ${shown(piece)}, which its vocabulary has not`,
      );
    }
    return [left, right];
  });
}

function idOf(token: unknown, ids: ReadonlyMap<string, number>): number {
  const id = ids.get(asText(token));
  if (id !== undefined) return id;
  throw modelError(`tokenizer.json: model.unk_token is ${shown(token)}, which its vocabulary has not`);
}

function createUnigram(json: Json, ids: ReadonlyMap<string, number>): Model {
  requireOff(json, "byte_fallback", [false]);
  requireOff(json, "alpha", [0]);
  requireOff(json, "nbest_size", [0, 1]);
  const unknown = json["unk_id"];
  const vocabulary = json["vocab"] as readonly (readonly [string, number])[];
  if (typeof unknown !== "number" || vocabulary[unknown] === undefined) {
    throw modelError(`tokenizer.json: model.unk_id is ${shown(unknown)}; it must be the id of a piece`);
  }
  const { Unigram } = library();
  const model = new Unigram(json, undefined);
  const [unknownToken, score] = vocabulary[unknown] as readonly [string, number];
  // The library gives the piece the score of what no piece has, the native one its own: a normalizer can write it.
  model.scores[unknown] = score;
  const isUnknown = (piece: string) => piece === unknownToken || !ids.has(piece);

  return (word) => {
    const pieces = { ids: [] as number[], ends: [] as number[] };
    let end = 0;
    let run = "";
    const finish = () => {
      if (run === "") return;
      pieces.ids.push(ids.get(run) ?? unknown);
      pieces.ends.push(end);
      run = "";
    };
    for (const piece of model.tokenize(word)) {
      // Unknown pieces side by side are one.
      if (isUnknown(piece)) run += piece;
      else {
        finish();
        pieces.ids.push(ids.get(piece) as number);
        pieces.ends.push(end + piece.length);
      }
      end += piece.length;
    }
    finish();
    return pieces;
  };
}
