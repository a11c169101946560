// What int8 is measured with: a task's dev rows, or texts where it has none.

import type { Engine } from "../engines/engine";
import { option } from "../options/option";
import { decimal } from "../options/readers";
import type { Row } from "../predict/encode";
import type { ServedTask } from "../predict/model";
import type { MeasuredRows } from "../quantise/measure";
import type { QuantiseTools } from "../quantise/write";
import { BROKEN_SHARE } from "../settings/tasks";
import type { Task } from "../tasks/task";
import type { Call } from "./caller";
import { userTasks } from "./session";

export const maxDropOption = {
  maxDrop: option(decimal({ min: 0, max: 100 }), {
    flag: "--max-drop",
    value: "<points>",
    help: "how much of its dev score a task may lose",
    fallback: 1,
  }),
};

interface ToolValues {
  readonly maxDrop: number;
  /** Texts for tasks without dev rows. */
  readonly file: string | undefined;
  readonly tasks: string | undefined;
  readonly glueData: string;
  readonly maxEvalSamples: number | undefined;
  readonly skipBrokenRows: boolean;
}

/** Rows of a file that has no labels: more than a screen of them say no more. */
const MOST_TEXTS = 1000;
/** Rows of a dev split for what needs no score. */
const SOME_ROWS = 32;

/** What measures, for whoever quantises. */
export async function quantiseTools(
  engine: Engine,
  values: ToolValues,
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

type RowValues = Pick<ToolValues, "file" | "tasks" | "glueData">;

/** Finds a task's rows: its dev split, else the file that was given, else sample texts. */
export async function rowFinder(values: RowValues): Promise<(task: ServedTask) => Promise<MeasuredRows>> {
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
    const given = file === undefined ? [] : await fileRows(file, task, known, glueData);
    if (file !== undefined && given.length > 0) return { source: file, definition: null, some: given };
    return { source: "sample texts", definition: null, some: sampleTexts(task.inputs) };
  };
}

/** Rows as predict reads them; none where they are no rows for such a task: pairs go to tasks of pairs, single texts to the others. */
async function fileRows(from: string, task: ServedTask, known: readonly Task[], glueData: string): Promise<Row[]> {
  const { openRowFile } = await import("../predict/row-file.js");
  const tasks = known.filter(({ name }) => name === task.name);
  const { rows } = await openRowFile(from, { tasks, takesPairs: task.inputs === "pair", glueData });
  const read: Row[] = [];
  for await (const { text, pair } of rows) {
    if (read.length === MOST_TEXTS) break;
    if ((pair === null) === (task.inputs === "single")) read.push({ text, pair });
  }
  return read;
}
