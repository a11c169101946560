// The trunk activations of a task's train and dev rows, opened when the first branch needs them.

import path from "node:path";
import { chooseBuckets } from "../../batches/buckets";
import type { EncodedRows } from "../../batches/rows";
import { type BaseDescription, withWeights } from "../../checkpoints/bases/base";
import type { Engine } from "../../engines/engine";
import { counted } from "../../messages/words";
import type { Place } from "../../model/place";
import type { WorkOptions } from "../../settings/work";
import type { Task } from "../../tasks/task";
import type { BranchSource } from "../../training/loop/branch-source";
import type { RunContext } from "../../training/tracking/tracker";
import { openTrunk, type Trunk } from "../../training/trunk/trunk";
import type { TaskData } from "./task-data";

/** Scratch folder for activations that do not fit in memory, inside the checkpoints folder. */
const TRUNK_SCRATCH = ".trunk-cache";

export interface Trunks {
  /** Both splits as a branch at this place reads them. Forks must come in ascending order to cost nothing twice. */
  under(place: Place): Promise<{ train: BranchSource; dev: BranchSource }>;
  dispose(): Promise<void>;
}

/**
 * @param revisited forks that are asked for again after deeper ones: they are kept, in memory while the budget has room
 */
export function openTrunks(
  task: Task,
  base: BaseDescription,
  data: TaskData,
  work: Pick<WorkOptions, "checkpoints" | "cacheBudget">,
  context: RunContext<Engine>,
  revisited: readonly number[] = [],
): Trunks {
  let opened: { train: Trunk; dev: Trunk } | null = null;
  let last: { readonly fork: number | null; readonly train: BranchSource; readonly dev: BranchSource } | null = null;

  const open = async () => {
    const weights = await withWeights(base);
    const bytes = (rows: EncodedRows) => rows.tokens * base.config.hiddenSize * 4;
    const folder = path.join(work.checkpoints, TRUNK_SCRATCH);
    // Dev rows are read after every epoch and are few: they take their memory first.
    const keep = new Set(revisited);
    const devBudget = work.cacheBudget;
    const trainBudget = Math.max(0, work.cacheBudget - Math.max(1, keep.size) * bytes(data.dev));
    const dev = await openTrunk(
      weights,
      data.dev,
      { budget: devBudget, folder, label: `${task.name} dev`, keep },
      context,
    );
    const train = await openTrunk(
      weights,
      data.train,
      { budget: trainBudget, folder, label: `${task.name} train`, keep },
      context,
    );
    const forks = keep.size > 0 ? `, and kept under ${counted(keep.size, "fork")}` : "";
    context.reporter.log(
      `${task.name}: trunk activations of ${data.train.tokens + data.dev.tokens} tokens ${train.place}${forks}`,
    );
    return { train, dev };
  };

  describeRows(task, data, context);
  return {
    async under({ fork }) {
      const source = async (rows: EncodedRows, trunk: () => Promise<Trunk>): Promise<BranchSource> => ({
        rows,
        config: base.config,
        activations: fork === null ? null : await (await trunk()).at(fork),
      });
      // Seeds, and students of one teacher, read what the trial before them read.
      if (last?.fork === fork) return last;
      if (fork !== null) opened ??= await open();
      const trunks = opened;
      last = {
        fork,
        train: await source(data.train, async () => (trunks as { train: Trunk }).train),
        dev: await source(data.dev, async () => (trunks as { dev: Trunk }).dev),
      };
      return last;
    },
    async dispose() {
      await opened?.train.dispose();
      await opened?.dev.dispose();
    },
  };
}

function describeRows(task: Task, { train, dev }: TaskData, { reporter }: RunContext<Engine>): void {
  const buckets = chooseBuckets(train.lengths);
  const bucketOf = (length: number) => buckets.find((bound) => length <= bound) as number;
  const padded = train.lengths.reduce((sum, length) => sum + bucketOf(length), 0);
  const padding = padded === 0 ? 0 : 1 - train.tokens / padded;
  reporter.log(
    `${task.name}: ${train.ids.length} train and ${dev.ids.length} dev rows, ` +
      `${(train.tokens / Math.max(1, train.ids.length)).toFixed(1)} tokens a row, ${train.truncatedRows} cut; ` +
      `length buckets ${buckets.join(" ")}, ${(100 * padding).toFixed(1)} % padding`,
  );
}
