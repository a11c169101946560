// Losses on small tensors, worked out by PyTorch: each value, and its gradients by the tensors that it is a loss of.

import { expect } from "@jest/globals";
import type { Scalar, Tensor } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import type { Engine } from "../../src/engines/engine";
import type { Tensors } from "../../src/model/entry-point";
import { float32, type HostTensor, type HostTensors } from "../../src/model/tensors";
import { largestDifference } from "./curves";

export interface Wanted {
  readonly value: number;
  readonly gradients: Readonly<Record<string, Nested>>;
}
export type Nested = number | readonly Nested[];

export const flat = (values: Nested): number[] => [values].flat(9) as number[];
export const shapeOf = (values: Nested): number[] =>
  typeof values === "number" ? [] : [values.length, ...shapeOf(values[0] as Nested)];
export const tensor = (values: Nested) => float32(shapeOf(values), Float32Array.from(flat(values)));

/** A loss of the named tensors, and its gradients by those that PyTorch has them of, as a step computes them. */
export async function expectPyTorchs(
  wanted: Wanted,
  loss: (inputs: Tensors) => Scalar,
  inputs: HostTensors,
  engine: Engine,
) {
  const names = Object.keys(wanted.gradients);
  const program = await engine.load(
    {},
    {
      loss: (_, given) => {
        const leaves = names.map((name) => given[name] as Tensor);
        const { value, grads } = tf.engine().gradients(() => loss(given), leaves, undefined, true);
        return { outputs: { value, ...Object.fromEntries(names.map((name, i) => [name, grads[i] as Tensor])) } };
      },
    },
  );
  const found = (await program.run("loss", inputs)) as Record<string, HostTensor>;
  program.dispose();
  expect(Math.abs((found["value"]?.data[0] as number) / wanted.value - 1)).toBeLessThan(1e-5);
  for (const name of names) {
    const gradient = flat(wanted.gradients[name] as Nested);
    expect(found[name]?.data).toHaveLength(gradient.length);
    expect(largestDifference(found[name]?.data as Float32Array, gradient)).toBeLessThan(1e-6);
  }
}
