// The trials of an experiment as a search sees them, and how far each is by what lies in its folder. What a search may see
// of a trial is what its rounds asked for: a run that came further, by an earlier search or another process, shows no more.

import { existsSync } from "node:fs";
import path from "node:path";
import { readDevScores, readRecord } from "../../checkpoints/runs/run-folder";
import type { Diverged } from "../../errors/errors";
import { writeFileAtomic } from "../../files/atomic";
import { makeFolder } from "../../files/folder";
import { canonicalJson } from "../../files/hash";
import { trainedTokens } from "../../recipes/trial/estimate";
import type { TrialSpec } from "../plan";
import type { Resolution, Resolver } from "../resolve";
import type { Item, SearchTrial, Seen } from "./rule";

/** A trial of the search with what trains it. */
export interface PlacedTrial extends SearchTrial {
  readonly spec: TrialSpec;
  readonly found: Extract<Resolution, { kind: "trial" }>;
}

/** Of those that there is something to train for, each place, setting and seed once: a fork may be asked for by two names. */
export async function placedTrials(resolver: Resolver, specs: readonly TrialSpec[]): Promise<PlacedTrial[]> {
  const placed = new Map<string, PlacedTrial>();
  for (const spec of specs) {
    const found = await resolver.resolve(spec);
    if (found.kind !== "trial" || placed.has(found.trial.folder)) continue;
    const data = await resolver.data(spec.task);
    const { place, transfer } = found.settings;
    const { index: _, recipe, task, seed: __, training, place: ___, ...variant } = spec;
    placed.set(found.trial.folder, {
      ...{ spec, found, index: spec.index, task: task.name, makes: recipe.makes, place, epochs: training.epochs },
      setting: canonicalJson({ ...variant, method: recipe.method, training }),
      // Forward and twice as much back for what is trained on, forward for what is scored on.
      unitsPerEpoch: place.layers * (3 * trainedTokens(data, training.batchSize, transfer) + data.dev.tokens),
    });
  }
  return [...placed.values()];
}

/** As a search of an experiment has them. */
type PlacedItem = Item & { readonly trial: PlacedTrial };

/** What a search has paid for beside its trials' own units: of each task and kind the trunk's depth, and the teacher's outputs. */
export interface SharedWork {
  /** Units that items take together beside their own, as far as no item before them took them. */
  units(items: readonly Item[]): number;
  /** Takes note that they were trained. */
  paid(items: readonly Item[]): void;
}

export async function sharedWork(resolver: Resolver, trials: readonly PlacedTrial[]): Promise<SharedWork> {
  const tokens = new Map<string, { readonly train: number; readonly dev: number }>();
  for (const { spec } of trials) {
    const { train, dev } = await resolver.data(spec.task);
    tokens.set(spec.task.name, { train: train.tokens, dev: dev.tokens });
  }
  const deepest = new Map<string, number>();
  const groupOf = ({ makes, task }: SearchTrial) => `${makes} ${task}`;
  const depthOf = ({ place, found }: PlacedTrial) => Math.max(found.sweep.teacher?.record.fork ?? 0, place.fork ?? 0);
  return {
    units(items) {
      const wanted = new Map<string, { readonly trial: PlacedTrial; readonly depth: number }>();
      for (const { trial } of items as readonly PlacedItem[]) {
        const depth = Math.max(wanted.get(groupOf(trial))?.depth ?? 0, depthOf(trial));
        wanted.set(groupOf(trial), { trial, depth });
      }
      return [...wanted].reduce((sum, [group, { trial, depth }]) => {
        const { train, dev } = tokens.get(trial.task) as { train: number; dev: number };
        const known = deepest.get(group);
        const teacher = known === undefined ? (trial.found.sweep.teacher?.record.layers ?? 0) * train : 0;
        return sum + Math.max(0, depth - (known ?? 0)) * (train + dev) + teacher;
      }, 0);
    },
    paid(items) {
      for (const { trial } of items as readonly PlacedItem[]) {
        deepest.set(groupOf(trial), Math.max(deepest.get(groupOf(trial)) ?? 0, depthOf(trial)));
      }
    },
  };
}

/** Where a search keeps which trials diverged: they would do so again. */
const failedFile = (out: string, { found }: PlacedTrial) => path.join(out, "diverged", `${found.trial.record.id}.json`);

export async function markDiverged(out: string, trial: PlacedTrial, { message }: Diverged): Promise<void> {
  const file = failedFile(out, trial);
  await makeFolder(path.dirname(file));
  await writeFileAtomic(file, `${JSON.stringify({ message }, null, 2)}\n`);
}

/** What the search may see of a trial after an item of it; null while the item is not done. */
export async function seenAfter(out: string, trial: PlacedTrial, until: number | null): Promise<Seen | null> {
  const { folder } = trial.found.trial;
  const record = await readRecord(folder);
  // What a killed process wrote beyond the saved state is computed again.
  const steps = record?.state === "finished" ? Number.POSITIVE_INFINITY : (record?.steps ?? 0);
  const scores = await readDevScores(folder, trial.spec.task.metric, steps);
  if (until !== null && scores.length >= until) return { scores: scores.slice(0, until), done: false };
  // It may have ended before its last epoch: without patience for more, or diverged.
  if (record?.state === "finished") return { scores, done: true };
  return existsSync(failedFile(out, trial)) ? { scores: [], done: true } : null;
}
