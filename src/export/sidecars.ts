// What lies beside the weights of every export: what a caller must know of tasks and texts.

import { tokenizerFiles } from "../checkpoints/bases/tokenizer-files";
import { forCallers } from "../merge/folder/manifest";
import type { ExportSource } from "./format";

export const jsonFile = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** Tasks and tokenizer of an export whose one model has all of them. */
export const sidecars = ({ manifest, tokenizer }: ExportSource) => ({
  "tasks.json": jsonFile(manifest.tasks.map(forCallers)),
  ...tokenizerFiles(tokenizer),
});
