// Each hidden_act against PyTorch's values: the function and its derivative, and a whole BERT with a step's gradient.

import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import type { Tensor } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { activate } from "../../src/model/activations";
import { branchAxes } from "../../src/model/branch";
import { parseConfig } from "../../src/model/families/config-file";
import { heads } from "../../src/model/heads";
import { type Activation, activationOf, hiddenActs } from "../../src/model/hidden-act";
import { placeOf } from "../../src/model/place";
import { float32, type HostTensor, type HostTensors, int32 } from "../../src/model/tensors";
import { labelLoss } from "../../src/recipes/losses";
import { stepScalars, withMoments } from "../../src/training/step/adamw";
import { logitsStep, trainStep } from "../../src/training/step/step";
import { loadTinyBert, ownReference } from "../reference";
import { describeEachEngine } from "./engines";

interface Measured {
  readonly values: number[];
  readonly derivatives: number[];
  readonly logits: number[][];
  readonly loss: number;
  readonly grad_norm: number;
}

const reference = JSON.parse(readFileSync(path.join(ownReference, "activations.json"), "utf8")) as {
  readonly points: number[];
} & Record<string, Measured>;

const matrix = (rows: number[][]) => int32([rows.length, rows[0]?.length ?? 0], Int32Array.from(rows.flat()));

function expectClose(actual: HostTensor | undefined, expected: readonly number[], tolerance: number): void {
  expect(actual?.data).toHaveLength(expected.length);
  const largest = expected.reduce((max, value, i) => Math.max(max, Math.abs(value - (actual?.data[i] as number))), 0);
  expect(largest).toBeLessThan(tolerance);
}

test("every hidden_act that is read has values of PyTorch", () => {
  expect(
    Object.keys(reference)
      .filter((name) => name !== "points")
      .sort(),
  ).toEqual([...hiddenActs].sort());
});

describeEachEngine("hidden_act", (open) => {
  test.each(hiddenActs)("%s: values, derivatives, and a BERT's logits and gradient are PyTorch's", async (name) => {
    const engine = await open();
    const before = engine.tensorCount();
    const expected = reference[name] as Measured;
    const found = activationOf(name);
    const activation = found === "gelu" ? undefined : (found as Activation);
    const points = await engine.load(
      {},
      {
        curve: (_, inputs) => {
          const { value, grad } = tf.valueAndGrad((x: Tensor) => tf.sum(activate(x, activation)))(
            inputs["x"] as Tensor,
          );
          return { outputs: { sum: value, derivatives: grad, values: activate(inputs["x"] as Tensor, activation) } };
        },
      },
    );
    const { values, derivatives } = await points.run("curve", {
      x: float32([reference.points.length], Float32Array.from(reference.points)),
    });
    points.dispose();
    expectClose(values, expected.values, 5e-6);
    expectClose(derivatives, expected.derivatives, 5e-6);

    const { expected: batch, tensors } = await loadTinyBert(path.join(ownReference, "tiny-bert"));
    const file = path.join(ownReference, "tiny-bert/config.json");
    const config = parseConfig({ ...JSON.parse(readFileSync(file, "utf8")), hidden_act: name }, file);
    const place = placeOf(config.numHiddenLayers, "full");
    const inputs: HostTensors = {
      input_ids: matrix(batch.input_ids),
      token_type_ids: matrix(batch.token_type_ids),
      attention_mask: matrix(batch.attention_mask),
    };
    const serving = await engine.load(tensors, { logits: logitsStep(place, config) }, { logits: branchAxes });
    const { logits } = await serving.run("logits", inputs);
    serving.dispose();
    expectClose(logits, expected.logits.flat(), 1e-4);

    const loss = labelLoss(heads.classification);
    const training = await engine.load(withMoments(tensors), {
      train: trainStep({ place, config, loss, clipNorm: 1 }),
    });
    const rows = batch.class_ids.length;
    const scalars = Object.entries(stepScalars(1e-3, 0.01, 1)).map(([key, value]) => [
      key,
      float32([], Float32Array.of(value)),
    ]);
    const step = await training.run("train", {
      ...inputs,
      labels: int32([rows], Int32Array.from(batch.class_ids)),
      row_weights: float32([rows], new Float32Array(rows).fill(1)),
      ...Object.fromEntries(scalars),
    });
    training.dispose();
    expectClose(step["loss"], [expected.loss], 1e-4);
    expect((step["grad_norm"]?.data[0] as number) / expected.grad_norm).toBeCloseTo(1, 3);
    expect(engine.tensorCount()).toBe(before);
  });
});
