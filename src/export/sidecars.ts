// What lies beside the weights of every export: what a caller must know of tasks and texts.

import { tokenizerConfigJson } from "../checkpoints/bases/base-tokenizer";
import { forCallers } from "../merge/folder/manifest";
import type { TokenizerSettings } from "../tokenizer/tokenizer";
import type { ExportSource } from "./format";

export const jsonFile = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** Vocabulary and settings. @param more keys of tokenizer_config.json */
export const tokenizerFiles = (tokenizer: TokenizerSettings, more: Readonly<Record<string, unknown>> = {}) => ({
  "vocab.txt": `${tokenizer.tokens.join("\n")}\n`,
  "tokenizer_config.json": jsonFile({ ...tokenizerConfigJson(tokenizer), ...more }),
});

/** Tasks and tokenizer of an export whose one model has all of them. */
export const sidecars = ({ manifest, tokenizer }: ExportSource) => ({
  "tasks.json": jsonFile(manifest.tasks.map(forCallers)),
  ...tokenizerFiles(tokenizer),
});
