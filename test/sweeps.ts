// Sweeps as tests ask for them: places of branches and layers of students in place of what the commands' flags give.

import type { StoredRun } from "../src/checkpoints/runs/run-folder";
import type { Engine } from "../src/engines/engine";
import { type Place, placeRequest } from "../src/model/place";
import { fitForks } from "../src/options/forks";
import type { Layers } from "../src/recipes/recipe";
import { recipes } from "../src/recipes/recipes";
import { runSweep, type Sweep } from "../src/recipes/sweep";
import type { RunContext } from "../src/training/tracking/tracker";

/** A base of so many layers, for recipes that are asked for variants: what has no room is left out without a word. */
export const layersOf = (total: number): Layers => ({
  total,
  fitting: (_, { values }) => values.filter((value) => value === "full" || value <= total),
  placing: (_, forks, range) =>
    fitForks({ forks: "forks", layers: "layers" }, forks, { range, values: range.values }, total).places.map(
      placeRequest,
    ),
});

type Common = Omit<Sweep, "recipe" | "variants">;

export function finetune(
  { places, ...common }: Common & { readonly places: readonly Place[] },
  context: RunContext<Engine>,
): Promise<StoredRun[]> {
  const variants = places.map((place) => ({ place, options: {} }));
  return runSweep({ ...common, recipe: recipes.finetune, variants }, context);
}

interface Students extends Common {
  readonly teacher: StoredRun;
  /** From the most to the fewest. */
  readonly studentLayers: readonly number[];
  readonly distillation: {
    readonly temperature: number;
    readonly alpha: number;
    readonly init: "teacher" | "pretrained";
  };
}

export function distill(
  { studentLayers, distillation: { init, ...options }, ...common }: Students,
  context: RunContext<Engine>,
): Promise<StoredRun[]> {
  const variants = studentLayers.map((layers) => ({ place: { fork: "teacher", layers } as const, init, options }));
  return runSweep({ ...common, recipe: recipes.distill, variants }, context);
}
