// A sweep by successive halving (rule and source: rule.ts). Every k runs to the next rung, from the shallowest fork
// to the deepest, and those that the rule drops are marked stopped with their state kept. A trial is the same whoever
// trains it: stopping ends it early, its schedule spans all its epochs, and it goes on from its state.

import type { StoredRun } from "../../checkpoints/runs/run-folder";
import type { Engine } from "../../engines/engine";
import { modelError } from "../../errors/errors";
import { formatScore } from "../../messages/quantities";
import type { ChooseBy } from "../../settings/selection";
import type { ExecutionOptions, TrainingOptions } from "../../settings/training";
import type { Task } from "../../tasks/task";
import type { RunContext } from "../../training/tracking/tracker";
import { type SweepTrial, stopTrial, storedRun } from "../trial/trial";
import { epochsDone, goingOn, rungsOf, type SearchArm, scoreAfter, scoresOf } from "./rule";

/** Trains a trial to the end of epoch `until`, or to its own end. */
type Train = (trial: SweepTrial, force: boolean, until?: number) => Promise<StoredRun>;

/** What halving reads of the sweep's request. */
interface HalvedSweep {
  readonly task: Task;
  readonly training: Pick<TrainingOptions, "epochs">;
  readonly run: Pick<ExecutionOptions, "force">;
}

/** A k, its trials and how they stand. */
interface SweepArm extends SearchArm {
  readonly trials: readonly SweepTrial[];
}

/**
 * Trains a sweep by halving. Full branches are no candidates for the teacher: they run to their end.
 * @returns every trial's run in the sweep's order, finished or stopped
 */
export async function searchByHalving(
  sweep: readonly SweepTrial[],
  train: Train,
  { task, training: { epochs }, run }: HalvedSweep,
  by: ChooseBy,
  { reporter }: RunContext<Engine>,
): Promise<StoredRun[]> {
  const runs = new Map<SweepTrial, StoredRun>();
  /** Brings trials to an epoch, those that have not passed it. With --force, only their first stretch begins anew. */
  const bringTo = async (trials: readonly SweepTrial[], epoch: number): Promise<void> => {
    for (const planned of trials) {
      const force = run.force && !runs.has(planned);
      const known = force ? null : await storedRun(planned.trial);
      const last = epoch >= epochs;
      const isThere = known?.record.state === "finished" || (!last && known && epochsDone(known) >= epoch);
      runs.set(planned, known && isThere ? known : await train(planned, force, last ? undefined : epoch));
    }
  };
  const standing = async ({ trials, layers }: SweepArm, epoch: number): Promise<SweepArm> => {
    const scores = trials.map((planned) => scoresUpTo(runs.get(planned) as StoredRun, task.metric, epoch));
    return { layers, trials, scores: await Promise.all(scores) };
  };

  await bringTo(
    sweep.filter(({ settings }) => settings.place.fork === null),
    epochs,
  );
  let alive = armsOf(sweep);
  const rungs = rungsOf(alive.length, epochs);
  if (rungs.length === 0) reporter.log(`${task.name}: with one k or one epoch there is nothing for halving to stop`);
  for (const rung of rungs) {
    for (const { trials } of alive) await bringTo(trials, rung.epoch);
    const arms = await Promise.all(alive.map((arm) => standing(arm, rung.epoch)));
    alive = goingOn(arms, rung, by);
    reporter.log(`${task.name}: ${describeRung(arms, alive, rung.epoch, by)}`);
    for (const arm of arms.filter((one) => !alive.includes(one))) {
      for (const [i, planned] of arm.trials.entries()) {
        const score = scoreAfter({ layers: arm.layers, scores: [arm.scores[i] ?? []] }, rung.epoch, "max");
        const stopped = { search: "halving", epoch: rung.epoch, score } as const;
        runs.set(planned, await stopTrial(runs.get(planned) as StoredRun, stopped));
      }
    }
  }
  for (const { trials } of alive) await bringTo(trials, epochs);
  return sweep.map((planned) => runs.get(planned) as StoredRun);
}

/** The candidates, in the sweep's order. */
function armsOf(sweep: readonly SweepTrial[]): SweepArm[] {
  const arms = new Map<number, SweepTrial[]>();
  for (const planned of sweep) {
    const { fork, layers } = planned.settings.place;
    if (fork !== null) arms.set(layers, [...(arms.get(layers) ?? []), planned]);
  }
  return [...arms].map(([layers, trials]) => ({ layers, trials, scores: [] }));
}

async function scoresUpTo(run: StoredRun, metric: string, epoch: number) {
  const scores = await scoresOf(run, metric);
  // Patience may have ended a run before the rung: its best score stands.
  const { state, options } = run.record;
  const ended = state === "finished" && options["patience"] !== undefined;
  if (scores.length >= epoch || ended) return scores;
  throw modelError(
    `${run.folder}: metrics.jsonl has dev scores of ${scores.length} epochs, and halving needs those of ${epoch}. ` +
      "Run again with --search full, or with --force",
  );
}

/** "halving after epoch 1: k 6, 5, 4 go on (58.1, 57.0, 56.3), k 3, 2, 1 stop (...)": best dev scores so far, in points. */
function describeRung(arms: readonly SearchArm[], left: readonly SearchArm[], epoch: number, by: ChooseBy): string {
  const points = (arm: SearchArm) => formatScore(scoreAfter(arm, epoch, by));
  const list = (some: readonly SearchArm[]) =>
    `k ${some.map(({ layers }) => layers).join(", ")} (${some.map(points).join(", ")})`;
  const stopped = arms.filter((arm) => !left.includes(arm));
  return `halving after epoch ${epoch}: ${list(left)} on${stopped.length > 0 ? `; stopped: ${list(stopped)}` : ""}`;
}
