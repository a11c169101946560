// Curves of PyTorch that an engine is held to: AdamW steps on the top layers of a tiny BERT, towards any loss.

import { expect } from "@jest/globals";
import type { Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import type { Engine, Program } from "../../src/engines/engine";
import { masking } from "../../src/model/attention";
import type { EncoderConfig } from "../../src/model/config";
import { embed, encoderLayer, encoderLayers } from "../../src/model/encoder";
import type { Tensors } from "../../src/model/entry-point";
import { type HeadForward, pooledHead } from "../../src/model/heads";
import { branchTensors } from "../../src/model/parameters";
import { placeOf } from "../../src/model/place";
import { float32, type HostTensor, type HostTensors, int32 } from "../../src/model/tensors";
import { stepScalars, withMoments } from "../../src/training/step/adamw";
import { type Loss, trainStep } from "../../src/training/step/step";
import { type Curve, type Expected, loadTinyBert, trainedLayers } from "../reference";

/** The place of the trained layers. */
export const trainedPlace = ({ numHiddenLayers }: EncoderConfig) => placeOf(numHiddenLayers, trainedLayers);

export const matrix = (rows: number[][]) => int32([rows.length, rows[0]?.length ?? 0], Int32Array.from(rows.flat()));

/** Every layer's output and attention, and the logits of the top layer's first position alone. */
export async function forward(engine: Engine, config: EncoderConfig, tensors: HostTensors, expected: Expected) {
  const program = await engine.load(tensors, {
    forward: (state, inputs) => {
      const masked = masking(inputs["mask"] as Tensor2D);
      const ids = inputs["ids"] as Tensor2D;
      const types = inputs["types"] as Tensor2D;
      const outputs: Tensors = { hidden0: embed(state, ids, types, config) };
      for (let layer = 0; layer < config.numHiddenLayers; layer++) {
        const hidden = outputs[`hidden${layer}`] as Parameters<typeof encoderLayer>[1];
        const above = encoderLayer(state, hidden, masked, config, layer, undefined, "all", (site, index, x) => {
          outputs[`${site}${index}`] = x;
        });
        outputs[`hidden${layer + 1}`] = above;
      }
      const layers = [0, config.numHiddenLayers] as const;
      const first = encoderLayers(state, outputs["hidden0"] as Tensor3D, masked, config, layers, undefined, "first");
      return { outputs: { ...outputs, logits: pooledHead.logits(state, first) } };
    },
  });
  const outputs = await program.run("forward", {
    ids: matrix(expected.input_ids),
    types: matrix(expected.token_type_ids),
    mask: matrix(expected.attention_mask),
  });
  program.dispose();
  return outputs as Record<string, HostTensor>;
}

export const largestDifference = (actual: ArrayLike<number>, expected: readonly number[]) =>
  expected.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (actual[i] as number))), 0);

export type Objective = (expected: Expected) => {
  readonly loss: Loss;
  readonly curve: Expected["labels"];
  readonly inputs?: HostTensors;
  /** The pooled one by default. */
  readonly head?: HeadForward;
  /** Those that differ by the step, counted from 1. */
  readonly ofStep?: (step: number) => HostTensors;
};

export const floats = (rows: number[][]) =>
  float32([rows.length, rows[0]?.length ?? 0], Float32Array.from(rows.flat()));

export async function expectPyTorchsLosses(engine: Engine, folder: string, objective: Objective): Promise<void> {
  const { expected, config, tensors } = await loadTinyBert(folder);
  const before = engine.tensorCount();
  const outputs = await forward(engine, config, tensors, expected);
  const { loss, curve, inputs, ofStep, head } = objective(expected);
  const place = trainedPlace(config);
  const program = await engine.load(withMoments(branchTensors(tensors, place)), {
    train: trainStep({ place, config, loss, head, clipNorm: 1 }),
  });
  const rows = expected.class_ids.length;
  const batch: HostTensors = {
    hidden: outputs[`hidden${place.fork}`] as HostTensor,
    attention_mask: matrix(expected.attention_mask),
    labels: int32([rows], Int32Array.from(expected.class_ids)),
    row_weights: float32([rows], new Float32Array(rows).fill(1)),
    ...inputs,
  };
  await expectCurve(program, batch, curve, ofStep);
  expect(engine.tensorCount()).toBe(before);
}

/** {@link expectSteps} of a program that is disposed after them. */
export async function expectCurve(...[program, ...asked]: Parameters<typeof expectSteps>): Promise<void> {
  await expectSteps(program, ...asked);
  program.dispose();
}

/** Steps of a loaded program at PyTorch's rate, each with the loss and the norm that PyTorch has, within 1e-3. */
export async function expectSteps(
  program: Program<"train">,
  batch: HostTensors,
  curve: Curve,
  ofStep?: (step: number) => HostTensors,
): Promise<void> {
  for (const [i, wanted] of curve.losses.entries()) {
    const scalars = Object.entries(stepScalars(1e-3, 0.01, i + 1)).map(([name, value]) => [
      name,
      float32([], Float32Array.of(value)),
    ]);
    const result = await program.run("train", { ...batch, ...Object.fromEntries(scalars), ...ofStep?.(i + 1) });
    const relative = (name: string, value: number) =>
      Math.abs(((result[name] as HostTensor).data[0] as number) / value - 1);
    expect(relative("loss", wanted)).toBeLessThan(1e-3);
    expect(relative("grad_norm", curve.grad_norms[i] as number)).toBeLessThan(1e-3);
  }
}
