// What tells one tokenizer from another.

import type { AddedToken } from "./added-tokens";

/** BERT's tokenizer: WordPiece between [CLS] and [SEP]. */
export interface BertSettings {
  /** The id of a token is its index. */
  readonly tokens: readonly string[];
  readonly lowerCase: boolean;
  /** null: as lowerCase says. */
  readonly stripAccents?: boolean | null;
  /** Each Chinese character is a word; true by default. */
  readonly tokenizeChineseChars?: boolean;
  /** Read whole, with ids behind those of `tokens` or among them. */
  readonly added?: readonly AddedToken[];
}

/** Any other: all that its tokenizer.json says. */
export interface FileSettings {
  /** The model's vocabulary. The id of a token is its index. */
  readonly tokens: readonly string[];
  /** The content of tokenizer.json, without truncation and padding. */
  readonly file: Readonly<Record<string, unknown>>;
  /** The token that fills rows of a batch, which tokenizer.json does not say. */
  readonly pad: string;
}

export type TokenizerSettings = BertSettings | FileSettings;
