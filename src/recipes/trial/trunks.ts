// The trunk activations of a task's train and dev rows, opened when the first branch needs them.

import path from "node:path";
import { chooseBuckets } from "../../batches/buckets";
import type { EncodedRows } from "../../batches/rows";
import { type BaseDescription, withWeights } from "../../checkpoints/bases/base";
import type { Engine } from "../../engines/engine";
import { failure } from "../../errors/errors";
import { counted } from "../../messages/words";
import type { Place } from "../../model/place";
import type { WorkOptions } from "../../settings/work";
import type { Task } from "../../tasks/task";
import type { BranchSource } from "../../training/loop/branch-source";
import type { RunContext } from "../../training/tracking/tracker";
import { type ActivationStore, openStore, storeBytes } from "../../training/trunk/activation-store";
import { openNodeCache } from "../../training/trunk/node-cache";
import { openTrunk, type Trunk } from "../../training/trunk/trunk";
import type { TaskData } from "./task-data";
import type { TransferTexts } from "./transfer";
import { openTransfers } from "./transfer-trunks";

/** Scratch folder for activations that do not fit in memory, inside the checkpoints folder. */
export const TRUNK_SCRATCH = ".trunk-cache";

export interface Trunks {
  /** Both splits as a branch at this place reads them. Forks must come in ascending order to cost nothing twice. */
  under(place: Place): Promise<{ train: BranchSource; dev: BranchSource }>;
  /** Texts without labels as a branch at this place reads them: encoded and computed when they are first asked for. */
  transferred(texts: TransferTexts, place: Place): Promise<BranchSource>;
  /**
   * Room for further values of rows, `width` a position, in what is left of --cache-budget or on the disk; its holder
   * disposes it. Throws failure (1) where neither has any. @param what names the values in that error
   */
  store(lengths: ArrayLike<number>, width: number, what: string): Promise<ActivationStore>;
  dispose(): Promise<void>;
}

/**
 * @param revisited forks that are asked for again after deeper ones: they are kept, in memory while the budget has room
 */
export function openTrunks(
  task: Task,
  base: BaseDescription,
  data: TaskData,
  work: Pick<WorkOptions, "checkpoints" | "cacheBudget" | "nodeCache">,
  context: RunContext<Engine>,
  revisited: readonly number[] = [],
): Trunks {
  let opened: { train: Trunk; dev: Trunk } | null = null;
  /** Bytes of memory that trunks and stores take. */
  let held = 0;
  const folder = path.join(work.checkpoints, TRUNK_SCRATCH);
  let shared: Promise<string | null> | null = null;
  const nodeCache = () => {
    shared ??= work.nodeCache === undefined ? Promise.resolve(null) : openNodeCache(work.nodeCache, context);
    return shared;
  };
  let last: { readonly fork: number | null; readonly train: BranchSource; readonly dev: BranchSource } | null = null;

  const open = async () => {
    const weights = await withWeights(base);
    const bytes = (rows: EncodedRows) => rows.tokens * base.config.hiddenSize * 4;
    // Dev rows are read after every epoch and are few: they take their memory first.
    const common = { folder, keep: new Set(revisited), nodeCache: await nodeCache() };
    const { keep } = common;
    const devBudget = work.cacheBudget;
    const trainBudget = Math.max(0, work.cacheBudget - Math.max(1, keep.size) * bytes(data.dev));
    const dev = await openTrunk(
      weights,
      data.dev,
      { ...common, budget: devBudget, label: `${task.name} dev` },
      context,
    );
    const train = await openTrunk(
      weights,
      data.train,
      { ...common, budget: trainBudget, label: `${task.name} train` },
      context,
    );
    held += train.memoryBytes + dev.memoryBytes;
    const forks = keep.size > 0 ? `, and kept under ${counted(keep.size, "fork")}` : "";
    context.reporter.log(
      `${task.name}: trunk activations of ${data.train.tokens + data.dev.tokens} tokens ${train.place}${forks}`,
    );
    return { train, dev };
  };

  const left = (): number => Math.max(0, work.cacheBudget - held - transfers.memoryBytes());
  const transfers = openTransfers(task, base, data.maxLength, { folder, left, revisited, nodeCache }, context);
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
    transferred: (texts, place) => transfers.under(texts, place),
    async store(lengths, width, what) {
      const store = await openStore(lengths, width, { budget: left(), folder });
      if (!store) throw noRoom(`${task.name}: ${what}`, storeBytes(lengths, width), left(), work.checkpoints);
      held += store.memoryBytes;
      return {
        ...store,
        async dispose() {
          held -= store.memoryBytes;
          await store.dispose();
        },
      };
    },
    async dispose() {
      await opened?.train.dispose();
      await opened?.dev.dispose();
      await transfers.dispose();
    },
  };
}

function noRoom(what: string, bytes: number, left: number, folder: string): Error {
  const size = (count: number) => `${(count / 1e9).toFixed(1)} GB`;
  return failure(
    `${what} take ${size(bytes)}, which neither the rest of --cache-budget (${size(left)}) nor the disk of ${folder} has. ` +
      "Free space there, or give more --cache-budget",
  );
}

function describeRows(task: Task, { train, dev }: TaskData, { reporter }: RunContext<Engine>): void {
  const buckets = chooseBuckets(train.lengths);
  const bucketOf = (length: number) => buckets.find((bound) => length <= bound) as number;
  const padded = train.lengths.reduce((sum, length) => sum + bucketOf(length), 0);
  const padding = padded === 0 ? 0 : 1 - train.tokens / padded;
  // Of words none is lost: a long text is read in windows.
  const cut = task.kind.perWord ? "" : `, ${train.truncatedRows} cut`;
  reporter.log(
    `${task.name}: ${train.ids.length} train and ${dev.ids.length} dev rows, ` +
      `${(train.tokens / Math.max(1, train.ids.length)).toFixed(1)} tokens a row${cut}; ` +
      `length buckets ${buckets.join(" ")}, ${(100 * padding).toFixed(1)} % padding`,
  );
}
