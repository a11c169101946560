// Which k a task's fine-tuning chose: the maximum over seeds as in the paper, or the mean. Scores compare only on
// the same dev rows, and the smaller k wins a tie.

import type { StoredRun } from "../checkpoints/runs/run-folder";
import { byK, kOf, type Place } from "../model/place";
import type { ChooseBy } from "../settings/selection";
import { compareScores } from "../tasks/metrics";
import { meanScore } from "../tasks/scores";
import { groupBy } from "./group-by";
import { settingOf } from "./seeds";

/** One line of the table of dev scores: every finished seed of one k. */
export interface LayerScores {
  readonly place: Place;
  readonly runs: readonly StoredRun[];
  /** By the best seed; null where it is undefined. */
  readonly max: number | null;
  /** Over seeds; null where one is undefined. */
  readonly mean: number | null;
}

const isFinished = ({ record }: StoredRun) => record.state === "finished";

/** Finished runs by k, from the smallest; full fine-tuning last. */
export function scoresByLayers(runs: readonly StoredRun[]): LayerScores[] {
  return [...groupBy(runs.filter(isFinished), ({ record }) => kOf(record)).values()]
    .map((group) => {
      const { fork, layers } = (group[0] as StoredRun).record;
      const scores = group.map(({ record }) => record.score);
      return { place: { fork, layers }, runs: group, max: bestRun(group).record.score, mean: meanScore(scores) };
    })
    .sort((a, b) => byK(a.place, b.place));
}

/**
 * The teacher: the chosen k's best seed, or null where no run qualifies. Full fine-tuning shares no trunk and is no
 * candidate. Give runs of one dev set only (see {@link comparableRuns}).
 */
export function chooseTeacher(runs: readonly StoredRun[], by: ChooseBy): StoredRun | null {
  let chosen: LayerScores | null = null;
  for (const candidate of scoresByLayers(runs)) {
    if (candidate.place.fork === null) continue;
    if (!chosen || compareScores(candidate[by], chosen[by]) > 0) chosen = candidate;
  }
  return chosen ? bestRun(chosen.runs) : null;
}

/**
 * The run that students learn from: the teacher, or the best run of full fine-tuning where nothing else was done. That one
 * shares no trunk, and its students stand on forks of their own.
 */
export function teachingRun(runs: readonly StoredRun[], by: ChooseBy): StoredRun | null {
  const teacher = chooseTeacher(runs, by);
  const finished = runs.filter(isFinished);
  return teacher ?? (finished.length > 0 ? bestRun(finished) : null);
}

/** The best finished run of full fine-tuning; null where there is none. */
export function fullRun(runs: readonly StoredRun[]): StoredRun | null {
  const full = runs.filter((run) => isFinished(run) && run.record.fork === null);
  return full.length > 0 ? bestRun(full) : null;
}

/** Finished runs that differ from a teacher in their seed alone, by seed. */
export function seedsOf(teacher: StoredRun, runs: readonly StoredRun[]): StoredRun[] {
  const { seed } = teacher.record;
  const own = settingOf(teacher);
  const others = runs.filter((run) => isFinished(run) && run.record.seed !== seed && settingOf(run) === own);
  return others.sort((a, b) => a.record.seed - b.record.seed);
}

/** The run with the highest score; the first seed wins a tie. */
export function bestRun(runs: readonly StoredRun[]): StoredRun {
  return runs.reduce((best, run) => (compareScores(run.record.score, best.record.score) > 0 ? run : best));
}

/**
 * Finished runs grouped by what their scores were measured on, and whether thresholds were chosen there. Those scored on the whole dev split come first, then
 * quick looks by their number of rows, and of equals the group that finished last: a teacher is chosen in the first.
 */
export function comparableRuns(runs: readonly StoredRun[]): StoredRun[][] {
  const scoredOn = ({ record: { base, devData, tuned } }: StoredRun) =>
    `${base.sha256} ${devData.sha256}${tuned ? " tuned" : ""}`;
  const groups = groupBy(runs.filter(isFinished), scoredOn);
  const lastFinished = (group: readonly StoredRun[]) =>
    group
      .map(({ record }) => record.finishedAt ?? "")
      .sort()
      .at(-1) as string;
  const rows = (group: readonly StoredRun[]) =>
    Math.max(
      ...group.map(({ record: { devData } }) =>
        devData.limit === undefined ? Number.POSITIVE_INFINITY : devData.rows,
      ),
    );
  const order = (a: readonly StoredRun[], b: readonly StoredRun[]) =>
    rows(a) === rows(b) ? (lastFinished(a) < lastFinished(b) ? 1 : -1) : rows(b) - rows(a);
  return [...groups.values()].sort(order);
}
