// What `search: halving` would leave of the work in a listing.

import { halvedWork } from "../../recipes/halving/rule";
import { groupBy } from "../../selection/group-by";
import type { ListedTrial, Listing } from "../listing";
import { armsOf } from "./teachers";

/** Operations, by whether the cheapest or the costliest of each task's fine-tunings go on. Ties let more go on. */
export interface HalvedWork {
  readonly least: number;
  readonly most: number;
}

/** Of an experiment whose halving is under way, as much as is open at most. */
export function halvedListing({ trials, openFlops }: Pick<Listing, "trials" | "openFlops">): HalvedWork {
  const tuned = trials.filter(({ spec: { recipe, place } }) => recipe.makes === "teachers" && place.fork !== null);
  let [least, most] = [openFlops, openFlops];
  for (const own of groupBy(tuned, ({ spec }) => spec.task).values()) {
    const open = own.reduce((sum, { state, flops }) => sum + (state === "finished" ? 0 : flops), 0);
    const halved = halvedWork(perEpoch(own), Math.max(...own.map(({ spec }) => spec.training.epochs)));
    least -= open - Math.min(open, halved.least);
    most -= open - Math.min(open, halved.most);
  }
  return { least, most };
}

/** Operations of an epoch of each arm: seeds go on together. */
function perEpoch(own: readonly ListedTrial[]): number[] {
  const trials = own.map(({ spec: { index, task, place, training, options }, flops }) => ({
    ...{ index, task: task.name, makes: "teachers" as const, epochs: training.epochs },
    place: { fork: place.fork as number, layers: place.layers },
    setting: JSON.stringify({ training, options }),
    unitsPerEpoch: flops / training.epochs,
  }));
  return armsOf(trials).map((arm) => arm.trials.reduce((sum, { unitsPerEpoch }) => sum + unitsPerEpoch, 0));
}
