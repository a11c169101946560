// What an export's model gives, against the source: the same question of every format.

import path from "node:path";
import type { MergedTask } from "../../merge/folder/manifest";
import type { ExportSource } from "../format";
import { type CheckedModel, type CheckTools, checkModel, type ModelCheck } from "./model-check";

/** A model of an export, and what runs it. */
export interface ExportedModel {
  /** Where the export lies now, and what errors call it. */
  readonly folder: string;
  readonly out: string;
  /** Within both, what the runtime opens; "." for the folder. */
  readonly file: string;
  readonly runtime: string;
  /** Whether a task's output has its ramps before it: see {@link CheckedModel}. */
  readonly leaving?: true;
}

/** Throws as {@link checkModel} does. @param tasks of the source that the model has */
export function checkExport(
  { config, tokenizer, readTensors, readRamps }: ExportSource,
  { folder, out, file, runtime, leaving }: ExportedModel,
  tasks: readonly MergedTask[],
  tools: CheckTools,
  tolerance: Pick<CheckedModel, "tolerance"> = {},
): Promise<ModelCheck> {
  const checked = {
    path: path.join(folder, file),
    name: file === "." ? out : path.join(out, file),
    runtime,
    advice: "Nothing was left there. Please report it",
    tasks,
    config,
    tokenizer,
    ...tolerance,
    ...(leaving ? { leaving } : {}),
    tensorsOf: (task: MergedTask) => readTensors([task]),
    rampsOf: readRamps,
  };
  return checkModel(checked, tools);
}
