// int8 weights of a merged folder: what they cost each task, and the version that has them.

import type { Engine } from "../engines/engine";
import { engineError } from "../errors/errors";
import { type Given, readGiven } from "../options/given";
import { optional } from "../options/option";
import { text } from "../options/readers";
import type { Quantised } from "../quantise/quantise-folder";
import { threads } from "../settings/engine";
import { mergedOption, versionOption } from "../settings/model";
import { samples, taskOptions } from "../settings/tasks";
import { type Caller, callOf } from "./caller";
import { noteOption, tellConverted } from "./merge/merge";
import { maxDropOption, quantiseTools, rowFinder } from "./quantise-tools";
import { openSession } from "./session";

export const quantizeOptions = {
  ...mergedOption,
  ...versionOption,
  ...maxDropOption,
  file: optional(text, {
    flag: "--file",
    value: "<file>",
    help: "rows, as predict takes them, for tasks without dev rows: logits are compared, without a score (default sample texts)",
  }),
  tasks: taskOptions.tasks,
  glueData: taskOptions.glueData,
  maxEvalSamples: samples.maxEvalSamples,
  skipBrokenRows: samples.skipBrokenRows,
  ...noteOption,
  ...threads,
};

export type QuantizeOptions = Given<typeof quantizeOptions>;

/** What would be measured. */
export interface QuantizePlan {
  readonly version: string;
  readonly tasks: readonly { readonly task: string; readonly source: string; readonly scored: boolean }[];
}

/** On what each task would be measured. Throws UserError (4) for what is no merged folder. */
export async function planQuantize(options: QuantizeOptions = {}): Promise<QuantizePlan> {
  const values = readGiven(quantizeOptions, options);
  const { merged, version } = values;
  const { quantisable } = await import("../quantise/quantise-folder.js");
  const { id, manifest } = await quantisable({ folder: merged, version });
  const rowsOf = await rowFinder(values);
  const tasks: QuantizePlan["tasks"][number][] = [];
  for (const task of manifest.tasks) {
    const { source, definition } = await rowsOf(task);
    tasks.push({ task: task.name, source, scored: definition !== null });
  }
  return { version: id, tasks };
}

/**
 * Makes a version of the folder with int8 weights beside those of float32, which the onnx engine runs from then on. Every
 * task is measured before and after; one that loses more than `maxDrop` points gets outliers moved, then weights in float32.
 * Throws UserError (3) for broken dev rows, (4) for what is no merged folder, (6) where onnxruntime is absent.
 */
export async function quantize(options: QuantizeOptions = {}, caller: Caller = {}): Promise<Quantised> {
  const call = callOf(caller);
  const values = readGiven(quantizeOptions, options);
  const { merged, version, note = null } = values;
  const quantising = await import("../quantise/quantise-folder.js");
  await quantising.quantisable({ folder: merged, version }); // before an engine is opened for it
  const session = await openSession({ engine: "onnx", threads: values.threads }, call);
  try {
    requireGraphs(session.engine);
    const tools = await quantiseTools(session.engine, values, call);
    const quantised = await quantising.quantiseFolder({ ...tools, folder: merged, version, note });
    tellConverted(quantised.converted, merged, call);
    return quantised;
  } finally {
    session.close();
  }
}

function requireGraphs(engine: Engine): void {
  if (engine.device === "gpu") throw engineError(`int8 is measured on the CPU, and ${engine.summary} is open`);
  if (!engine.openGraph) throw engineError(`int8 is the onnx engine's alone, and ${engine.name} is open`);
}
