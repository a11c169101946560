// An arm: all runs of one task that train the same layers by the same method from the same start. Its seeds compare only
// within one setting (learning rate, epochs, train rows, what a student begins as and learns from); a grid of settings is represented by the one that holds the best run.

import type { StoredRun } from "../checkpoints/runs/run-folder";
import { adapterOf } from "../model/adapters/adapters";
import type { Place } from "../model/place";
import { methodOf } from "../recipes/methods/methods";
import { groupBy } from "../selection/group-by";
import { settingOf } from "../selection/seeds";
import { bestRun } from "../selection/teacher";
import { compareScores } from "../tasks/metrics";
import { type Spread, spreadOf } from "../tasks/scores";
import type { SeedScores } from "./statistics";

export interface Arm extends Place {
  /** The recipe that trained them, or "import". */
  readonly method: string;
  /** Of whole students the method that taught them (`distill --method`), of small tensors over frozen layers theirs (`finetune --method`). */
  readonly way: string | null;
  /** Whole students: whether full fine-tuning taught them where the task has another teacher too. */
  readonly byFull: boolean;
  /** Students: what they began as. */
  readonly init: "teacher" | "pretrained" | null;
  /** Over all settings and seeds. */
  readonly best: StoredRun;
  /** The setting of the best run, by seed. */
  readonly runs: readonly StoredRun[];
  readonly scores: SeedScores;
  readonly spread: Spread | null;
  /** How many settings were tried. */
  readonly settings: number;
  /** Every finished run of the arm. */
  readonly all: readonly StoredRun[];
}

export const isBetter = (a: Arm, b: Arm): boolean => compareScores(a.best.record.score, b.best.record.score) > 0;

/** Of each place the best arm, whatever made it and what it began as; the first of equals. */
export const bestByPlace = (arms: readonly Arm[]): Arm[] =>
  [...groupBy(arms, ({ layers, fork }) => `${layers} ${fork}`).values()].map((own) =>
    own.reduce((best, arm) => (isBetter(arm, best) ? arm : best)),
  );

/** @param runs at least one, all finished */
export function armOf(runs: readonly StoredRun[], byFull = false): Arm {
  const best = bestRun(runs);
  const bySetting = groupBy(runs, settingOf);
  const own = [...(bySetting.get(settingOf(best)) ?? [])].sort((a, b) => a.record.seed - b.record.seed);
  const { layers, fork, method, init = null, options } = best.record;
  return {
    layers,
    fork,
    method,
    way: methodOf(options)?.name ?? adapterOf(options)?.name ?? null,
    byFull,
    init,
    best,
    runs: own,
    scores: new Map(own.map(({ record }) => [record.seed, record.score])),
    spread: spreadOf(own.map(({ record }) => record.score)),
    settings: bySetting.size,
    all: runs,
  };
}
