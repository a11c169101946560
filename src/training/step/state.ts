// What a training program keeps, told apart by name: the branch under Hugging Face's names, what else a step trains or
// reads, AdamW's moments and the scale of the loss. Freezing is data: what is frozen AdamW does not see.

import type { HostTensors } from "../../model/tensors";
import { isMoment, withMoments } from "./adamw";
import { initialLossScale, isLossScale } from "./loss-scale";

type Named<T> = Readonly<Record<string, T>>;

/** What a step has beside the branch. */
export interface Beside<T> {
  /** Read and never changed: no moments, no decay, no part in the clip norm, and in no file (a teacher's layers, say). */
  readonly frozen: Named<T>;
  /** Parameters of the loss (a projection between widths, say): trained and saved with the state, no part of the branch. */
  readonly loss: Named<T>;
}

const FROZEN = "frozen/";
const LOSS = "loss/";

const under = <T>(prefix: string, tensors: Named<T>): Record<string, T> =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [prefix + name, tensor]));

const select = <T>(state: Named<T>, keep: (name: string) => boolean): Record<string, T> =>
  Object.fromEntries(Object.entries(state).filter(([name]) => keep(name)));

const strip = <T>(prefix: string, state: Named<T>): Record<string, T> =>
  Object.fromEntries(
    Object.entries(select(state, (name) => name.startsWith(prefix))).map(([name, tensor]) => [
      name.slice(prefix.length),
      tensor,
    ]),
  );

const isTrained = (name: string) => !name.startsWith(FROZEN) && !isMoment(name) && !isLossScale(name);

/** The state before the first step, without what is frozen. `scaled` gives the loss a scale, for float16 products. */
export function initialState(branch: HostTensors, loss: HostTensors, scaled: boolean): HostTensors {
  return { ...withMoments({ ...branch, ...under(LOSS, loss) }), ...(scaled ? initialLossScale() : {}) };
}

/** A saved or initial state with what is frozen beside it: what a program is loaded with. */
export const withFrozen = (state: HostTensors, frozen: HostTensors): HostTensors => ({
  ...state,
  ...under(FROZEN, frozen),
});

/** What an unfinished run keeps of a program's state. */
export const withoutFrozen = <T>(state: Named<T>): Record<string, T> =>
  select(state, (name) => !name.startsWith(FROZEN));

/** Names of what a step trains. Sorted: a restored state lists its tensors in another order, and sums would round differently. */
export const trainedNames = (state: Named<unknown>): string[] => Object.keys(state).filter(isTrained).sort();

/** The branch in a state or among what is trained. */
export const branchIn = <T>(state: Named<T>): Record<string, T> =>
  select(state, (name) => isTrained(name) && !name.startsWith(LOSS));

/** What is beside the branch in a state. */
export const besideIn = <T>(state: Named<T>): Beside<T> => ({ frozen: strip(FROZEN, state), loss: strip(LOSS, state) });
