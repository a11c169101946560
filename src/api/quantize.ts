// int8 weights of a merged folder: what they cost each task, and the version that has them.

import type { Engine } from "../engines/engine";
import { engineError } from "../errors/errors";
import { type Given, readGiven } from "../options/given";
import { option, optional, type Values } from "../options/option";
import { decimal, text } from "../options/readers";
import type { ServedTask } from "../predict/model";
import type { Row } from "../predict/predict";
import type { MeasuredRows } from "../quantise/measure";
import type { Quantised } from "../quantise/quantise-folder";
import type { QuantiseTools } from "../quantise/write";
import { threads } from "../settings/engine";
import { mergedOption, versionOption } from "../settings/model";
import { BROKEN_SHARE, samples, taskOptions } from "../settings/tasks";
import type { Task } from "../tasks/task";
import { type Call, type Caller, callOf } from "./caller";
import { noteOption, tellConverted } from "./merge/merge";
import { openSession, userTasks } from "./session";

export const maxDropOption = {
  maxDrop: option(decimal({ min: 0, max: 100 }), {
    flag: "--max-drop",
    value: "<points>",
    help: "how much of its dev score a task may lose",
    fallback: 1,
  }),
};

export const quantizeOptions = {
  ...mergedOption,
  ...versionOption,
  ...maxDropOption,
  file: optional(text, {
    flag: "--file",
    value: "<file>",
    help: "texts for tasks without dev rows: their logits are compared, without a score (default sample texts)",
  }),
  tasks: taskOptions.tasks,
  glueData: taskOptions.glueData,
  maxEvalSamples: samples.maxEvalSamples,
  skipBrokenRows: samples.skipBrokenRows,
  ...noteOption,
  ...threads,
};

export type QuantizeOptions = Given<typeof quantizeOptions>;
type QuantizeValues = Values<typeof quantizeOptions>;

/** What would be measured. */
export interface QuantizePlan {
  readonly version: string;
  readonly tasks: readonly { readonly task: string; readonly source: string; readonly scored: boolean }[];
}

/** Rows of a file that has no labels: more than a screen of them say no more. */
const MOST_TEXTS = 1000;
/** Rows of a dev split for what needs no score. */
const SOME_ROWS = 32;

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
  if (!engine.openGraph) throw engineError(`int8 is the onnx engine's alone, and ${engine.name} is open`);
}

/** What measures, for whoever quantises. */
export async function quantiseTools(
  engine: Engine,
  values: Pick<QuantizeValues, "maxDrop" | "file" | "tasks" | "glueData" | "maxEvalSamples" | "skipBrokenRows">,
  { signal, reporter }: Pick<Call, "signal" | "reporter">,
): Promise<QuantiseTools> {
  const { maxDrop, glueData, maxEvalSamples, skipBrokenRows } = values;
  return {
    ...{ engine, maxDrop, glueData, signal, reporter },
    maxRows: maxEvalSamples,
    skipBroken: skipBrokenRows,
    maxBroken: BROKEN_SHARE,
    rowsOf: await rowFinder(values),
  };
}

type RowValues = Pick<QuantizeValues, "file" | "tasks" | "glueData">;

/** Finds a task's rows: its dev split, else the file that was given, else sample texts. */
async function rowFinder(values: RowValues): Promise<(task: ServedTask) => Promise<MeasuredRows>> {
  const { knownTasks } = await import("../tasks/registry.js");
  const { findSplitFile, readSplit } = await import("../data/read-split.js");
  const { sampleTexts } = await import("../export/check/check-rows.js");
  const { labelledAs } = await import("../tasks/task.js");
  const known = knownTasks(await userTasks(values));
  const { glueData, file } = values;
  return async (task) => {
    const definition = known.find(({ name }) => name === task.name);
    const labelled = definition && labelledAs(definition, task);
    if (labelled && findSplitFile(labelled, "dev", glueData) !== null) {
      const split = await readSplit(labelled, "dev", { glueData, maxRows: SOME_ROWS, skipBroken: true });
      return { source: split.path, definition: labelled, some: split.examples };
    }
    if (file !== undefined)
      return { source: file, definition: null, some: await fileRows(file, task, known, glueData) };
    return { source: "sample texts", definition: null, some: sampleTexts(task.inputs) };
  };
}

async function fileRows(from: string, task: ServedTask, known: readonly Task[], glueData: string): Promise<Row[]> {
  const { openRowFile } = await import("../predict/row-file.js");
  const tasks = known.filter(({ name }) => name === task.name);
  const { rows } = await openRowFile(from, { tasks, takesPairs: task.inputs === "pair", glueData });
  const read: Row[] = [];
  for await (const row of rows) {
    if (read.length === MOST_TEXTS) break;
    read.push({ text: row.text, pair: task.inputs === "pair" ? (row.pair ?? "") : null });
  }
  return read;
}
