// Early exits of int8 weights. Ramps stay float32, and read what int8 layers give; so do the stops stay, which were chosen on train rows.
// What was promised is decided on what int8 says of dev rows, by the same test as in float32: int8's own threshold, or none.

import { targetsOf } from "../batches/rows";
import { findSplitFile, readSplit } from "../data/read-split";
import type { DecidedExits } from "../exits/exits";
import { leastPaying, paying, type StopCosts } from "../exits/stops";
import { certified, doubtsAt, type ExitOutputs, measuredBy, thresholdGrid, withinBudget } from "../exits/thresholds";
import { readRamps } from "../merge/folder/blobs";
import type { Int8Exits } from "../merge/folder/int8";
import type { MergedTask } from "../merge/folder/manifest";
import { ownLayers } from "../model/place";
import type { HostTensors } from "../model/tensors";
import type { Row } from "../predict/encode";
import { computeLogits } from "../predict/predict";
import { openSegments } from "../predict/segments/segments";
import { rowCosts } from "../recipes/ramps/costs";
import { judging } from "../recipes/ramps/judge";
import { decidedBy, labelledAs, outputSize, type Task } from "../tasks/task";
import type { Fitted, FittedExits } from "./fit";
import { largestOf } from "./measure";
import type { Int8Plan } from "./packing";
import { type PieceModel, plannedPieces } from "./pieces";
import type { FitModel, TrialOptions } from "./trials";

type ExitModel = FitModel & Pick<PieceModel, "engine">;

/**
 * Decides by what texts of a task leave in int8; undefined of one that has no rule. Throws Interrupted.
 * @param plan how its weights are int8
 */
async function fitExits(
  model: ExitModel,
  task: MergedTask,
  plan: Int8Plan,
  options: TrialOptions,
): Promise<FittedExits | undefined> {
  const { exits } = task;
  if (!exits?.rule) return undefined;
  const { rule: float32 } = exits;
  const { definition } = await options.rowsOf(task);
  if (!definition) return { float32, rule: null, why: "it has no dev rows here to decide on", largest: 0 };
  // In the order of the model's labels, by their names.
  const served: Task = { ...labelledAs(definition, task), labels: task.labels, ...decidedBy(task) };
  const { glueData, skipBroken, maxBroken, maxRows } = options;
  const reading = { glueData, skipBroken, maxBroken };
  const dev = await readSplit(served, "dev", { ...reading, ...(maxRows === undefined ? {} : { maxRows }) });
  const scale = await scaleOf(served, reading);
  if (!scale)
    return { float32, rule: null, why: "its train rows, which give losses their scale, are not here", largest: 0 };
  const ramps = await readRamps(model.folder, task);
  const say = (how: Int8Plan | null) => said(model, task, float32, ramps, how, dev.examples, options.signal);
  const [exact, int8] = [await say(null), await say(plan)];
  const largest = Math.max(...[...float32.stops.keys()].map((at) => largestOf(exact.all(at), int8.all(at))));
  const lengths = dev.examples.map(({ text, pair }) => model.tokenizer.encode(text, pair, task.maxLength).ids.length);
  const costs = (options.costs ?? rowCosts)(model.config, "int8", (row) => lengths[row] as number);
  return { float32, largest, ...decide(served, float32, int8.outputs, targetsOf(served, dev.examples), scale, costs) };
}

/** Train labels as numbers, where labels are values: of names there is no scale. null where there are no train rows. */
async function scaleOf(
  task: Task,
  reading: Pick<TrialOptions, "glueData" | "maxBroken">,
): Promise<Float32Array | null> {
  if (task.labels.length > 0) return new Float32Array(0);
  if (findSplitFile(task, "train", reading.glueData) === null) return null;
  return targetsOf(task, (await readSplit(task, "train", { ...reading, skipBroken: true })).examples);
}

/** The same of all tasks of a model, beside what was fitted of them. */
export async function withExits(
  model: ExitModel,
  tasks: readonly MergedTask[],
  fitted: Fitted,
  options: TrialOptions,
): Promise<Fitted> {
  const found = new Map<string, FittedExits>();
  for (const task of tasks) {
    const exits = await fitExits(model, task, fitted.plan, options);
    if (exits) found.set(task.name, exits);
  }
  const all = fitted.tasks.map((task) => ({ ...task, exits: found.get(task.task) }));
  return { ...fitted, tasks: all.map(({ exits, ...task }) => ({ ...task, ...(exits ? { exits } : {}) })) };
}

/** What ramps and model say of rows through the pieces of one plan, none of which leaves. */
async function said(
  model: ExitModel,
  task: MergedTask,
  rule: DecidedExits,
  ramps: HostTensors,
  plan: Int8Plan | null,
  rows: readonly Row[],
  signal: AbortSignal,
) {
  const { folder, config, tokenizer, tensors, engine } = model;
  const { stops } = rule;
  const width = outputSize(task);
  const of = stops.map(() => new Float32Array(rows.length * width));
  const one = { config, engine, tasks: [task], tensors: { ...tensors, ...ramps } };
  const segments = openSegments(config, [task], plannedPieces(one, plan));
  try {
    const served = { folder, config, tokenizer, tasks: [task], ...segments };
    const logits = await computeLogits(served, rows, [task], {
      signal,
      exits: { [task.name]: { ...rule, threshold: NEVER } },
      onPassed(row, _, passed) {
        of[passed.length - 1]?.set(passed.at(-1) as Float32Array, row * width);
      },
    });
    const outputs: ExitOutputs = {
      rows: rows.length,
      top: ownLayers(task)[1],
      ramps: new Map(
        stops.map((stop, at) => [stop, (row) => of[at]?.subarray(row * width, (row + 1) * width) as Float32Array]),
      ),
      full: (row) => logits[task.name]?.of(row) as Float32Array,
    };
    return { outputs, all: (at: number) => of[at] as Float32Array };
  } finally {
    segments.dispose();
  }
}

/** No doubt is less. */
const NEVER = -1;

const HOLDS = "keeps there what was promised";
const WITHIN = "spares so many layers there";

/** @param targets of dev rows, as the kind makes numbers of labels; those of train rows give scales */
function decide(
  task: Task,
  { criterion: name, stops, promise, budget }: DecidedExits,
  outputs: ExitOutputs,
  targets: Float32Array,
  trainTargets: Float32Array,
  costs: StopCosts,
): Pick<Int8Exits, "rule" | "why"> {
  const { leaving } = task.kind;
  const criterion = leaving?.criteria[name];
  if (!leaving || !criterion) throw new Error(`texts of ${task.name} leave by ${name}, which its kind does not have`);
  const judge = judging(task, { criterion, leaving }, trainTargets)(outputs.full, targets);
  const doubts = doubtsAt(stops, outputs, judge);
  const grid = thresholdGrid(criterion.most(task, trainTargets));
  const most = budget ?? outputs.top;
  const pays = paying(doubts, costs);
  const threshold = promise ? certified(doubts, grid, promise) : withinBudget(doubts, grid, most, pays);
  if (threshold === null) return { rule: null, why: `on its dev rows no threshold ${promise ? HOLDS : WITHIN}` };
  const rule = { criterion: name, threshold, stops, ...(promise ? { promise } : { budget: most }) };
  const measured = measuredBy(rule, outputs, judge);
  if (measured.left.every((count) => count === 0)) {
    return { rule: null, why: "no dev row leaves at the threshold that it has there" };
  }
  const least = leastPaying(grid, threshold, pays);
  if (least === null) {
    return { rule: null, why: "too few dev rows leave there for what ramps cost beside int8's layers" };
  }
  return { rule: { ...rule, pays: least, measured } };
}
