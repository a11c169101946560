// What an engine runs: a pure function over named tensors. Model, losses and optimizer are such functions; engines keep
// their state and may compile them.

import type { Tensor } from "@tensorflow/tfjs-core";

/** Device tensors by name, inside an engine. */
export type Tensors = Record<string, Tensor>;

/**
 * A pure function over the program's state and one call's inputs. Tensors it returns may be inputs.
 * `state` is left out where the call changes nothing, and else holds every tensor that changes.
 */
export type EntryPoint = (state: Tensors, inputs: Tensors) => { readonly state?: Tensors; readonly outputs: Tensors };

/**
 * Sizes that differ between calls of an entry point, by input: a name for each axis, null where the size is fixed. Axes
 * of one name are equal in a call. A compiled engine makes one graph for all of them; every other size makes its own.
 */
export type DynamicAxes = Readonly<Record<string, readonly (string | null)[]>>;
