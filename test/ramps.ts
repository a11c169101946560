// Ramps of a tiny run, trained for an epoch, with a rule as if it had been decided of them: what tests of merging begin with.

import type { Base } from "../src/checkpoints/bases/base";
import { openEngine } from "../src/engines/open";
import type { DecidedExits } from "../src/exits/exits";
import type { Selection } from "../src/merge/merge";
import { planRamps, trainRamps } from "../src/recipes/exits";
import { loadRamps } from "../src/recipes/ramps/outputs";
import { quietContext, tinyRun, tinyTraining } from "./tiny";

/** Leaves where entropy is at most a threshold that about half of a tiny model's texts do not reach. */
export const tinyRule: DecidedExits = {
  ...{ criterion: "entropy", threshold: 0.69, stops: [1, 2], promise: { keep: 0.5, confidence: 0.5 } },
  measured: { rows: 12, counted: 6, lost: 1, layers: 2.5, top: 4, left: [4, 2] },
};

/** The selection with ramps on every layer under its top. */
export async function withTinyRamps(
  folder: string,
  base: Base,
  { task, run }: Selection,
  rule: DecidedExits | null = tinyRule,
): Promise<Selection> {
  const { engine } = await openEngine("wasm", {});
  const request = {
    model: run,
    task,
    base,
    training: { ...tinyTraining, epochs: 1 },
    run: tinyRun(folder),
    seeds: [1],
  };
  const plan = await planRamps(request);
  const [ramps] = await trainRamps(plan, quietContext(engine).context, async () => undefined);
  if (!ramps) throw new Error("no ramps were trained");
  return { task, run, exits: { layers: plan.layers, rule, load: () => loadRamps(ramps) } };
}
