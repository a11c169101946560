// The rows on which a model's file is checked: of each task's dev split where it is there, else of the sample's made-up
// texts. A few, in two batches of other sizes and lengths, with padding in both.

import { tokenRows } from "../../batches/rows";
import { tokenInputs } from "../../batches/token-inputs";
import { findSplitFile, readSplit } from "../../data/read-split";
import { sampleSeed, sampleTasks, splitmix32 } from "../../data/sample/sample";
import { UserError } from "../../errors/errors";
import type { MergedTask } from "../../merge/folder/manifest";
import type { EncoderConfig } from "../../model/config";
import { labelledAs, type Task } from "../../tasks/task";
import type { Encoding, Tokenizer } from "../../tokenizer/tokenizer";

/** Rows of a task from which the shortest and the longest are taken. */
const CANDIDATES = 64;

/** Rows of a task in the first batch, of short ones, and in the second, of all lengths. */
const FIRST = 2;
const SECOND = 3;
/** The same where a part of the labels may differ: of few rows a part is none. */
const MORE_FIRST = 16;
const MORE_SECOND = 48;
/** With many tasks fewer rows of each will do: every row goes through every task. */
const MANY = 4;

export interface RowSource {
  readonly task: string;
  /** The dev file, or "sample texts". */
  readonly rows: string;
}

export interface CheckBatch {
  readonly rows: readonly Encoding[];
  /** More than the longest row has: each row is padded. */
  readonly length: number;
}

export interface CheckRows {
  readonly batches: readonly [CheckBatch, CheckBatch];
  readonly sources: readonly RowSource[];
}

export interface RowOptions {
  readonly glueData: string;
  /** A task's definition, which says where its rows lie; undefined where there is none any more. */
  taskOf(name: string): Task | undefined;
  warn(line: string): void;
  /** Takes more rows of each task, however many tasks there are. */
  readonly more?: boolean;
}

/** @param positions the most tokens that the model takes */
export async function checkRows(
  tasks: readonly MergedTask[],
  tokenizer: Tokenizer,
  positions: number,
  options: RowOptions,
): Promise<CheckRows> {
  const [firstRows, secondRows] = counts(tasks.length, options.more ?? false);
  const first: Encoding[] = [];
  const second: Encoding[] = [];
  const sources: RowSource[] = [];
  for (const task of tasks) {
    const { rows, source } = await rowsOf(task, options);
    sources.push({ task: task.name, rows: source });
    // Room for the padding of both batches.
    const maxLength = Math.min(task.maxLength, positions - 2);
    const encoded = rows.map(({ text, pair }) => tokenizer.encode(text, pair, maxLength));
    encoded.sort((a, b) => a.ids.length - b.ids.length);
    first.push(...encoded.slice(0, firstRows));
    second.push(...spread(encoded, secondRows));
  }
  if (second.length === first.length) second.push(first[0] as Encoding); // dev splits of a row or two
  const length = longest(first) + 1;
  // One more where the two would be the same.
  const other = longest(second) + 1;
  return {
    batches: [
      { rows: first, length },
      { rows: second, length: other === length ? other + 1 : other },
    ],
    sources,
  };
}

function counts(tasks: number, more: boolean): readonly [first: number, second: number] {
  if (more) return [MORE_FIRST, MORE_SECOND];
  return tasks > MANY ? [1, 2] : [FIRST, SECOND];
}

interface Texts {
  readonly text: string;
  readonly pair: string | null;
}

async function rowsOf(task: MergedTask, options: RowOptions): Promise<{ rows: readonly Texts[]; source: string }> {
  const known = options.taskOf(task.name);
  const definition = known && labelledAs(known, task);
  const { glueData } = options;
  if (definition && findSplitFile(definition, "dev", glueData) !== null) {
    try {
      const split = await readSplit(definition, "dev", { glueData, maxRows: CANDIDATES, skipBroken: true });
      return { rows: split.examples, source: split.path };
    } catch (error) {
      // The rows are for a comparison alone: what is wrong with them does not touch the model.
      if (!(error instanceof UserError)) throw error;
      options.warn(`${error.message}. The model is checked on sample texts for ${task.name}`);
    }
  }
  return { rows: sampleTexts(task.inputs), source: "sample texts" };
}

/** The first texts of the sample's first task of that kind. */
export function sampleTexts(inputs: MergedTask["inputs"]): Texts[] {
  const columns = inputs === "pair" ? 3 : 2; // the label is the last
  const stream = sampleTasks.findIndex((task) => task.columns.length === columns);
  const random = splitmix32(sampleSeed, stream);
  return Array.from({ length: CANDIDATES }, () => {
    const [text = "", pair] = (sampleTasks[stream] as (typeof sampleTasks)[number]).row(random);
    return { text, pair: inputs === "pair" ? (pair ?? null) : null };
  });
}

/** `count` of the sorted encodings, evenly from the shortest to the longest; fewer where there are fewer. */
function spread<T>(sorted: readonly T[], count: number): T[] {
  if (sorted.length <= count) return [...sorted];
  return Array.from(
    { length: count },
    (_, i) => sorted[Math.round((i * (sorted.length - 1)) / Math.max(1, count - 1))] as T,
  );
}

const longest = (rows: readonly Encoding[]) => Math.max(...rows.map(({ ids }) => ids.length));

/** A batch as a model takes it. */
export const batchTensors = ({ rows, length }: CheckBatch, padId: number, config: Pick<EncoderConfig, "family">) =>
  tokenInputs(tokenRows(rows, padId), { rows: [...rows.keys()], length }, rows.length, config);
