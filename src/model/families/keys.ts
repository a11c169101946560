// Keys of a config.json: how each is called, what a file without it means and what it may be.

import { shown } from "../../errors/printable";
import type { EncoderConfig } from "../config";

/** A number. */
export interface Key {
  readonly name: string;
  /** Older spellings. */
  readonly others?: readonly string[];
  /** What a file without the key means. */
  readonly fallback: number;
  readonly accepts: (value: number) => boolean;
  readonly expected: string;
}

/** config.json's values, parsed from JSON. */
export type ConfigFile = Readonly<Record<string, unknown>>;

export interface ConfigKeys<C extends EncoderConfig> {
  /** Every number of the config, in the order in which it is written. */
  readonly numbers: Readonly<Record<string, Key>>;
  /** Numbers that no file of the family has. */
  readonly constants?: Partial<C>;
  /** The only values for which the model code computes what the checkpoint's authors trained. */
  readonly fixed: ConfigFile;
  /** The key of the feed-forward part's activation. */
  readonly activation: string;
  /** What a file without it means; absent: gelu. */
  readonly activationFallback?: string;
  /** What is no number, or is one together with others. */
  readonly others?: OtherKeys<C>;
  /** What is written beside all that. */
  readonly written?: ConfigFile;
}

export interface OtherKeys<C> {
  /** Properties of the config. @param sizes its numbers; what is wrong with the file is added to `problems` */
  read(file: ConfigFile, sizes: C, problems: string[]): Partial<C>;
  /** Keys of a file that is read so again. */
  write(config: C): ConfigFile;
}

export const count = (name: string, fallback: number): Key => ({
  name,
  fallback,
  accepts: (value) => Number.isSafeInteger(value) && value > 0,
  expected: "a positive integer",
});

export const rate = (name: string, fallback: number): Key => ({
  name,
  fallback,
  accepts: (value) => value >= 0 && value < 1,
  expected: "at least 0 and below 1",
});

export const positive = (name: string, fallback: number): Key => ({
  name,
  fallback,
  accepts: (value) => value > 0 && Number.isFinite(value),
  expected: "a positive number",
});

export const tokenId = (name: string, fallback: number): Key => ({
  name,
  fallback,
  accepts: (value) => Number.isSafeInteger(value) && value >= 0,
  expected: "an integer of at least 0",
});

/** Adds to `problems` what is wrong with the value. */
export function readNumber(file: ConfigFile, key: Key, problems: string[]): number {
  const name = [key.name, ...(key.others ?? [])].find((one) => file[one] !== undefined && file[one] !== null);
  const value = name === undefined ? key.fallback : file[name]; // pad_token_id may be null
  if (typeof value === "number" && key.accepts(value)) return value === 0 ? 0 : value; // -0 too
  problems.push(`${name ?? key.name} is ${shown(value)}; it must be ${key.expected}`);
  return key.fallback;
}

/** Adds to `problems` what is no boolean. */
export function readFlag(file: ConfigFile, name: string, fallback: boolean, problems: string[]): boolean {
  const value = file[name] ?? fallback;
  if (typeof value === "boolean") return value;
  problems.push(`${name} is ${shown(value)}; it must be true or false`);
  return fallback;
}

/** One of a few words. Adds to `problems` what is none of them. */
export function readWord<W extends string>(
  file: ConfigFile,
  name: string,
  words: readonly [W, ...W[]],
  problems: string[],
): W {
  const value = file[name] ?? words[0];
  const found = words.find((word) => word === value);
  if (found !== undefined) return found;
  problems.push(`${name} is ${shown(value)}; supported are ${words.join(", ")}`);
  return words[0];
}

/** What most families' files say in BERT's words. @param sizes what a file without them means */
export const bertKeys = (sizes: {
  readonly vocab: number;
  readonly positions: number;
  readonly epsilon: number;
  readonly pad: number;
}) => ({
  vocabSize: count("vocab_size", sizes.vocab),
  hiddenSize: count("hidden_size", 768),
  numHiddenLayers: count("num_hidden_layers", 12),
  numAttentionHeads: count("num_attention_heads", 12),
  intermediateSize: count("intermediate_size", 3072),
  maxPositionEmbeddings: count("max_position_embeddings", sizes.positions),
  typeVocabSize: count("type_vocab_size", 2),
  hiddenDropoutProb: rate("hidden_dropout_prob", 0.1),
  attentionProbsDropoutProb: rate("attention_probs_dropout_prob", 0.1),
  layerNormEps: positive("layer_norm_eps", sizes.epsilon),
  initializerRange: positive("initializer_range", 0.02),
  padTokenId: tokenId("pad_token_id", sizes.pad),
});
