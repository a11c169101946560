// Steps of AdamW alone, whose gradients are inputs: what the passes over updates and the device's programs are tried on.

import * as tf from "@tensorflow/tfjs-core";
import type { EntryPoint, Tensors } from "../../src/model/entry-point";
import { float32, type HostTensors } from "../../src/model/tensors";
import { clipByGlobalNorm, stepScalars, update, withMoments } from "../../src/training/step/adamw";
import { initialLossScale, keepFinite, lossScale } from "../../src/training/step/loss-scale";
import { spread } from "./compare";

export type Shapes = Readonly<Record<string, readonly number[]>>;

/** Name of the input that holds a parameter's gradient. */
export const gradientOf = (name: string) => `gradient/${name}`;

/**
 * A step that updates these parameters of its state, clipped; with a loss scale in the state, as float16 has it.
 * @param same parameters whose gradient is another's
 */
export const updateStep =
  (names: readonly string[], same: Readonly<Record<string, string>> = {}): EntryPoint =>
  (state, inputs) => {
    const scale = lossScale(state);
    const given = names.map((name) => inputs[gradientOf(same[name] ?? name)] as tf.Tensor);
    const gradients = scale ? given.map((gradient) => tf.div(gradient, scale)) : given;
    const { norm, factor } = clipByGlobalNorm(gradients, 1);
    const next: Tensors = {};
    for (const [at, name] of names.entries()) {
      Object.assign(next, update(state, name, gradients[at] as tf.Tensor, factor, inputs));
    }
    if (!scale) return { state: next, outputs: { norm } };
    const kept = keepFinite(state, next, norm);
    return { state: kept.state, outputs: { norm: kept.norm } };
  };

/** Parameters and moments that differ everywhere, the second moments not below 0. */
export function updateState(shapes: Shapes, scaled = false): HostTensors {
  const parameters = Object.fromEntries(Object.entries(shapes).map(([name, shape], at) => [name, spread(shape, at)]));
  const state = { ...withMoments(parameters), ...(scaled ? initialLossScale() : {}) };
  for (const [at, [name, { data, shape }]] of Object.entries(state).entries()) {
    if (!name.startsWith("adam.")) continue;
    const moments = spread(shape, 31 * at).data.map((x) => (name.startsWith("adam.v") ? x * x : x) / 8);
    state[name] = float32(
      shape,
      Float32Array.from({ length: data.length }, (_, i) => moments[i] as number),
    );
  }
  return state;
}

/** A step's gradients and scalars; other ones for each step. */
export function updateInputs(shapes: Shapes, names: readonly string[], step = 1): HostTensors {
  const gradients = names.map((name, at) => [
    gradientOf(name),
    spread(shapes[name] as readonly number[], 7 * step + 101 * at),
  ]);
  const scalars = Object.entries(stepScalars(1e-2, 0.1, step)).map(([name, value]) => [
    name,
    float32([], Float32Array.of(value)),
  ]);
  return { ...Object.fromEntries(gradients), ...Object.fromEntries(scalars) };
}
