// From what ramps say of rows to a rule: which of them are asked, and how sure they must be. The rule lies beside the ramps, in
// exits.json, and is decided again without training anything.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { layerCost } from "../../batches/layer-cost";
import { rowLogits } from "../../batches/row-logits";
import type { StoredRun } from "../../checkpoints/runs/run-folder";
import { modelError, oneLine, usageError } from "../../errors/errors";
import { type DecidedExits, type ExitRule, exitProblem } from "../../exits/exits";
import { fewestRows } from "../../exits/risk";
import { chooseStops, meanCost, plausible } from "../../exits/stops";
import {
  certified,
  type Doubts,
  doubtsAt,
  type ExitJudge,
  leavesAt,
  measure,
  measuredBy,
  thresholdGrid,
  withinBudget,
} from "../../exits/thresholds";
import { writeFileAtomic } from "../../files/atomic";
import { formatProblem, stamped } from "../../files/format";
import { parseJson } from "../../files/json";
import type { EncoderConfig } from "../../model/config";
import { sizeOf } from "../../model/tensors";
import type { Leaving } from "../../tasks/kinds/kind";
import { outputSize, type Task } from "../../tasks/task";
import { scoreLogits } from "../../training/loop/branch-source";
import type { TaskData } from "../trial/task-data";
import type { SplitOutputs, StoredOutputs } from "./outputs";

const FILE = "exits.json";
const FORMAT = 1;

export const exitsFile = (folder: string) => path.join(folder, FILE);

/** What is asked for: a share to keep and how surely, or so many layers on average. */
export interface Asked {
  readonly keep: number;
  readonly confidence: number;
  readonly budget?: number | undefined;
}

/** Thresholds that the choice of stops looks at: it needs no more than a coarse look. */
const COARSE = 24;

/** A rule, or why there is none that holds what was asked. */
export type Decision = { readonly exits: DecidedExits } | { readonly exits: null; readonly why: string };

/** @param judged rows of these outputs, as {@link judgesOf} has it */
export function decideExits(
  outputs: StoredOutputs,
  { name: criterion, most, judges, leaving }: Judged,
  data: TaskData,
  config: EncoderConfig,
  asked: Asked,
): Decision {
  const { train, dev, trainRows } = outputs;
  const layers = [...dev.ramps.keys()];
  const { keep, confidence, budget } = asked;
  const coarse = thresholdGrid(most, COARSE);
  const costs = costsOf(config, (row) => data.train.lengths[trainRows[row] as number] as number);
  const roughly = (stops: readonly number[]) =>
    budget === undefined
      ? plausible(stops, train, judges.train, coarse, keep)
      : withinBudget(doubtsAt(stops, train, judges.train), coarse, budget);
  const stops = chooseStops(layers, train, judges.train, roughly, costs);
  if (stops.length === 0) {
    return { exits: null, why: `no exit is predicted to pay: what is asked of ramps costs more than they spare` };
  }
  const doubts = doubtsAt(stops, dev, judges.dev);
  const threshold = chosenThreshold(doubts, thresholdGrid(most), asked);
  if (threshold === null) return { exits: null, why: whyNone(doubts, most, leaving, asked) };
  // What was predicted on train rows may have had a larger one in mind. To give it up leaves every promise as it is.
  const devCosts = costsOf(config, (row) => data.dev.lengths[row] as number);
  const costAt = (asking: readonly number[], at: number | null) => meanCost(asking, dev, judges.dev, at, devCosts);
  if (costAt(stops, threshold) >= costAt([], null)) {
    return {
      exits: null,
      why: "too few dev rows leave at the threshold that holds what was asked: ramps cost more than they spare",
    };
  }
  const rule: ExitRule = { criterion, threshold, stops };
  const how = budget === undefined ? { promise: { keep, confidence } } : { budget };
  return { exits: { ...rule, ...how, measured: measuredBy(rule, dev, judges.dev) } };
}

const chosenThreshold = (doubts: Doubts, grid: readonly number[], { keep, confidence, budget }: Asked) =>
  budget === undefined ? certified(doubts, grid, { keep, confidence }) : withinBudget(doubts, grid, budget);

function whyNone(doubts: Doubts, most: number, { kept }: Leaving, { keep, confidence }: Asked): string {
  const needed = fewestRows(1 - keep, 1 - confidence);
  const [percent, sure] = [keep, confidence].map((share) => Number((100 * share).toPrecision(6)));
  if (doubts.counted < needed) {
    return (
      `${doubts.counted} dev rows count (${kept}), and to keep ${percent} % with a confidence of ${sure} % takes ${needed} of which none is lost. ` +
      "Give a lower --keep or --confidence, or more dev rows"
    );
  }
  const [first] = thresholdGrid(most);
  const { lost } = measure(doubts, first as number);
  return (
    `at the most careful threshold ${Number(lost.toPrecision(3))} of ${doubts.counted} dev rows are lost (${kept}), too many to ` +
    `keep ${percent} % with a confidence of ${sure} %. Give a lower --keep or --confidence, or train the ramps longer`
  );
}

const costsOf = (config: EncoderConfig, lengthOf: (row: number) => number) => {
  const { cell, call, start } = layerCost(config, "cpu");
  return {
    layer(row: number) {
      const length = lengthOf(row);
      return length + cell * length * length + call;
    },
    /** The stretch that ends there, and the ramp. */
    stop: 2 * start,
  };
};

/** Throws usageError (2) for a kind without exits. */
export function leavingOf(task: Task): Leaving {
  const { leaving } = task.kind;
  if (leaving) return leaving;
  throw usageError(`${task.name}: tasks of ${task.kind.name} have no early exits. Name other tasks with --task`);
}

export type Judged = ReturnType<typeof judgesOf>;

/**
 * By what rows are judged: with the criterion that was asked for, or the kind's first. Throws usageError (2) for one that the kind
 * does not have.
 */
export function judgesOf(
  outputs: StoredOutputs,
  task: Task,
  { train, dev }: Pick<TaskData, "train" | "dev">,
  asked: string | undefined,
) {
  const leaving = leavingOf(task);
  const name = asked ?? (Object.keys(leaving.criteria)[0] as string);
  const criterion = Object.hasOwn(leaving.criteria, name) ? leaving.criteria[name] : undefined;
  if (!criterion) {
    throw usageError(
      `--criterion ${name}: ${task.name} is a task of ${task.kind.name}, which has ${Object.keys(leaving.criteria).join(" and ")}`,
    );
  }
  const width = sizeOf(task.kind.target.shape(task));
  const targets = (labels: Float32Array, row: number) => labels.subarray(row * width, (row + 1) * width);
  const losing = leaving.losses(task, train.labels);
  const judge = (full: SplitFull, labelOf: (row: number) => Float32Array): ExitJudge => ({
    doubt: (outputs) => criterion.doubt(outputs, task),
    loss: (row, left) => losing(left, full(row), labelOf(row)),
  });
  return {
    name,
    leaving,
    most: criterion.most(task, train.labels),
    judges: {
      train: judge(outputs.train.full, (row) => targets(train.labels, outputs.trainRows[row] as number)),
      dev: judge(outputs.dev.full, (row) => targets(dev.labels, row)),
    },
  };
}

type SplitFull = SplitOutputs["full"];

/** A point of the curve: what dev rows do at a threshold. */
export interface CurvePoint {
  readonly threshold: number;
  readonly layers: number;
  readonly score: number | null;
}

/** Score against layers on dev as the threshold moves, from no exits on. */
export function exitCurve(
  dev: SplitOutputs,
  task: Task,
  data: TaskData,
  judge: ExitJudge,
  stops: readonly number[],
  thresholds: readonly number[],
): CurvePoint[] {
  const doubts = doubtsAt(stops, dev, judge);
  const width = outputSize(task);
  return [0, ...thresholds].map((threshold) => {
    const logits = new Float32Array(dev.rows * width);
    for (let row = 0; row < dev.rows; row++) {
      const at = threshold === 0 ? -1 : leavesAt(doubts, row, threshold);
      const own = at < 0 ? dev.full : (dev.ramps.get(stops[at] as number) as SplitFull);
      logits.set(own(row), row * width);
    }
    const { score } = scoreLogits(task, rowLogits(logits, width), data.dev.labels);
    return { threshold, layers: threshold === 0 ? dev.top : measure(doubts, threshold).layers, score };
  });
}

export async function writeExits(ramps: StoredRun, exits: DecidedExits | null): Promise<void> {
  const of = { ramps: ramps.record.sha256, dev: ramps.record.devData.sha256 };
  const file = stamped({ format: FORMAT, of, exits });
  await writeFileAtomic(exitsFile(ramps.folder), `${JSON.stringify(file, null, 2)}\n`);
}

/** The rule beside ramps; null where none was decided, or for other ramps. Throws modelError (4) for a damaged file. */
export async function readExits(
  { folder, record }: StoredRun,
  criteria: readonly string[],
  top: number,
): Promise<DecidedExits | null> {
  const file = exitsFile(folder);
  if (!existsSync(file)) return null;
  let json: unknown;
  try {
    json = parseJson(await readFile(file, "utf8"));
  } catch (error) {
    throw damaged(file, oneLine(error));
  }
  const foreign = formatProblem(json, FORMAT);
  if (foreign !== null) throw modelError(`${file} ${foreign}`);
  const { of, exits } = Object(json) as { readonly of?: unknown; readonly exits?: unknown };
  if ((Object(of) as { ramps?: unknown }).ramps !== record.sha256) return null;
  if (exits === null) return null;
  const problem = exitProblem(exits, criteria, top);
  if (problem !== null) throw damaged(file, problem);
  return exits as DecidedExits;
}

const damaged = (file: string, problem: string) =>
  modelError(`${file} is damaged (${problem}). Remove it and run: flexbert exits`);
