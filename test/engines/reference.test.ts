// The model, losses and optimizer against PyTorch: 20 AdamW steps on the top 2 layers, on every engine.

import path from "node:path";
import { expect, test } from "@jest/globals";
import type { Tensor, Tensor2D, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { readSafetensors } from "../../src/checkpoints/formats/safetensors";
import type { Engine } from "../../src/engines/engine";
import { MODE_VARIABLE } from "../../src/engines/tensorflow/load";
import type { BertConfig } from "../../src/model/config";
import { attentionBias, embed, encoderLayer, encoderLayers } from "../../src/model/encoder";
import type { Tensors } from "../../src/model/entry-point";
import { heads, pooledHead } from "../../src/model/heads";
import { branchTensors, embeddingParameters, layerParameters } from "../../src/model/parameters";
import { placeOf } from "../../src/model/place";
import { float32, type HostTensor, type HostTensors, int32 } from "../../src/model/tensors";
import { distillationLoss, labelLoss } from "../../src/recipes/losses";
import { stepScalars, withMoments } from "../../src/training/step/adamw";
import { type Loss, reading, trainStep } from "../../src/training/step/step";
import {
  describeEachTinyBert,
  type Expected,
  loadTinyBert,
  type OwnExpected,
  ownReference,
  trainedLayers,
} from "../reference";
import { describeEachEngine } from "./engines";

/** The place of the trained layers. */
const trainedPlace = ({ numHiddenLayers }: BertConfig) => placeOf(numHiddenLayers, trainedLayers);

const matrix = (rows: number[][]) => int32([rows.length, rows[0]?.length ?? 0], Int32Array.from(rows.flat()));

/** Every layer's output and attention, and the logits of the top layer's first position alone. */
async function forward(engine: Engine, config: BertConfig, tensors: HostTensors, expected: Expected) {
  const program = await engine.load(tensors, {
    forward: (state, inputs) => {
      const bias = attentionBias(inputs["mask"] as Tensor2D);
      const ids = inputs["ids"] as Tensor2D;
      const types = inputs["types"] as Tensor2D;
      const outputs: Tensors = { hidden0: embed(embeddingParameters(state), ids, types, config) };
      for (let layer = 0; layer < config.numHiddenLayers; layer++) {
        const hidden = outputs[`hidden${layer}`] as Parameters<typeof encoderLayer>[1];
        const params = layerParameters(state, layer);
        const above = encoderLayer(params, hidden, bias, config, layer, undefined, "all", (site, index, x) => {
          outputs[`${site}${index}`] = x;
        });
        outputs[`hidden${layer + 1}`] = above;
      }
      const layers = [0, config.numHiddenLayers] as const;
      const first = encoderLayers(state, outputs["hidden0"] as Tensor3D, bias, config, layers, undefined, "first");
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

const largestDifference = (actual: ArrayLike<number>, expected: readonly number[]) =>
  expected.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (actual[i] as number))), 0);

type Objective = (expected: Expected) => {
  readonly loss: Loss;
  readonly curve: Expected["labels"];
  readonly inputs?: HostTensors;
};

const { classification } = heads;
const floats = (rows: number[][]) => float32([rows.length, rows[0]?.length ?? 0], Float32Array.from(rows.flat()));

const objectives: Readonly<Record<"labels" | "distill", Objective>> = {
  labels: ({ labels }) => ({ loss: labelLoss(classification), curve: labels }),
  distill: ({ distill }) => ({
    loss: distillationLoss(classification, distill),
    curve: distill,
    inputs: { teacher_logits: floats(distill.teacher_logits) },
  }),
};

async function expectPyTorchsLosses(engine: Engine, folder: string, objective: Objective): Promise<void> {
  const { expected, config, tensors } = await loadTinyBert(folder);
  const before = engine.tensorCount();
  const outputs = await forward(engine, config, tensors, expected);
  const { loss, curve, inputs } = objective(expected);
  const place = trainedPlace(config);
  const program = await engine.load(withMoments(branchTensors(tensors, place)), {
    train: trainStep({ place, config, loss, clipNorm: 1 }),
  });
  const rows = expected.class_ids.length;
  const batch: HostTensors = {
    hidden: outputs[`hidden${place.fork}`] as HostTensor,
    attention_mask: matrix(expected.attention_mask),
    labels: int32([rows], Int32Array.from(expected.class_ids)),
    row_weights: float32([rows], new Float32Array(rows).fill(1)),
    ...inputs,
  };
  for (const [i, wanted] of curve.losses.entries()) {
    const scalars = Object.entries(stepScalars(1e-3, 0.01, i + 1)).map(([name, value]) => [
      name,
      float32([], Float32Array.of(value)),
    ]);
    const result = await program.run("train", { ...batch, ...Object.fromEntries(scalars) });
    const relative = (name: string, value: number) =>
      Math.abs(((result[name] as HostTensor).data[0] as number) / value - 1);
    expect(relative("loss", wanted)).toBeLessThan(1e-3);
    expect(relative("grad_norm", curve.grad_norms[i] as number)).toBeLessThan(1e-3);
  }
  program.dispose();
  expect(engine.tensorCount()).toBe(before);
}

describeEachTinyBert("PyTorch's values", (folder) => {
  describeEachEngine("tiny BERT", (open, name) => {
    test("hidden states of every layer and logits within 1e-4", async () => {
      const { expected, config, tensors } = await loadTinyBert(folder);
      const engine = await open();
      const outputs = await forward(engine, config, tensors, expected);
      expect(largestDifference((outputs["logits"] as HostTensor).data, expected.logits.flat())).toBeLessThan(1e-4);
      expect(expected.hidden_states_first_token).toHaveLength(config.numHiddenLayers + 1);
      for (const [layer, rows] of expected.hidden_states_first_token.entries()) {
        const { data, shape: dimensions } = outputs[`hidden${layer}`] as HostTensor;
        const [, length = 0, hidden = 0] = dimensions;
        const first = rows.flatMap((row, i) => row.map((_, j) => data[i * length * hidden + j] as number));
        expect(largestDifference(first, rows.flat())).toBeLessThan(1e-4);
      }
    });

    test.each(["labels", "distill"] as const)("20 losses and gradient norms of %s within 1e-3", async (kind) => {
      const { losses } = (await loadTinyBert(folder)).expected[kind];
      expect(losses).toHaveLength(20);
      await expectPyTorchsLosses(await open(), folder, objectives[kind]);
    });

    // What a step's size chooses in use: TensorFlow's own kernels, loops compiled by XLA, or all of it.
    if (name === "tensorflow") {
      test.each(["graph", "loops", "xla"])("the same losses in mode %s", async (mode) => {
        process.env[MODE_VARIABLE] = mode;
        try {
          await expectPyTorchsLosses(await open(), folder, objectives.labels);
        } finally {
          delete process.env[MODE_VARIABLE];
        }
      });
    }
  });
});

/** Binary cross-entropy of each label's sigmoid, mean over rows and labels. */
const multiLabel: Objective = (expected) => {
  const { multi_label: curve } = expected as OwnExpected;
  return { loss: labelLoss(heads.multilabel), curve, inputs: { labels: floats(curve.targets) } };
};

const realTokens = (inputs: Tensors) => tf.cast(inputs["attention_mask"] as Tensor2D, "float32");

/** Squared error of a layer's hidden states, mean over real tokens of the batch and over the hidden size. */
const hiddenError = (at: number, targets: HostTensor): Objective => {
  return (expected) => {
    const curve = (expected as OwnExpected).hidden_mse[at] as OwnExpected["hidden_mse"][number];
    const loss = reading({ hidden: { [curve.layer]: "all" } }, (outputs, inputs) => {
      const hidden = outputs.hidden(curve.layer);
      const real = realTokens(inputs);
      const squares = tf.mul(tf.squaredDifference(hidden, inputs["targets"] as Tensor3D), tf.expandDims(real, 2));
      return tf.div(tf.sum(squares), tf.mul(tf.sum(real), hidden.shape[2]));
    });
    return { loss, curve, inputs: { targets } };
  };
};

/** KL(target, attention) of a layer, mean over real queries of the batch and over heads. */
const attentionDivergence = (at: number, targets: HostTensor): Objective => {
  return (expected) => {
    const curve = (expected as OwnExpected).attention_kl[at] as OwnExpected["attention_kl"][number];
    const loss = reading({ attention: { [curve.layer]: "all" } }, (outputs, inputs) => {
      const attention = outputs.attention(curve.layer);
      const [batch, heads, length] = attention.shape;
      const real = realTokens(inputs);
      const both = tf.mul(tf.reshape(real, [batch, 1, length, 1]), tf.reshape(real, [batch, 1, 1, length]));
      // 1 in the place of padding's zeros: their logarithm is 0.
      const logOf = (x: Tensor) => tf.log(tf.add(tf.mul(x, both), tf.sub(1, both)));
      const target = inputs["targets"] as Tensor4D;
      const terms = tf.mul(tf.mul(target, both), tf.sub(logOf(target), logOf(attention)));
      return tf.div(tf.sum(terms), tf.mul(tf.sum(real), heads));
    });
    return { loss, curve, inputs: { targets } };
  };
};

describeEachEngine("PyTorch's further values of our own", (open) => {
  const folder = path.join(ownReference, "tiny-bert");
  const readTarget = async (name: string) =>
    (await readSafetensors(path.join(folder, "targets.safetensors"))).tensors[name] as HostTensor;

  test("hidden states of every layer at every token of a padded row within 1e-4", async () => {
    const { expected, config, tensors } = await loadTinyBert<OwnExpected>(folder);
    const outputs = await forward(await open(), config, tensors, expected);
    const { index, tokens, hidden_states: layers } = expected.row;
    expect(layers).toHaveLength(config.numHiddenLayers + 1);
    for (const [layer, rows] of layers.entries()) {
      const { data, shape } = outputs[`hidden${layer}`] as HostTensor;
      const start = index * (shape[1] as number) * config.hiddenSize;
      expect(rows).toHaveLength(tokens);
      expect(largestDifference(data.subarray(start), rows.flat())).toBeLessThan(1e-4);
    }
  });

  test("attention of every layer, over a padded row's tokens, within 1e-5", async () => {
    const { expected, config, tensors } = await loadTinyBert<OwnExpected>(folder);
    const outputs = await forward(await open(), config, tensors, expected);
    const { index, tokens, attentions } = expected.row;
    expect(attentions).toHaveLength(config.numHiddenLayers);
    for (const [layer, heads] of attentions.entries()) {
      const { data, shape } = outputs[`attention${layer}`] as HostTensor;
      const length = shape[3] as number;
      expect(heads.flat()).toHaveLength(config.numAttentionHeads * tokens);
      for (const [head, queries] of heads.entries()) {
        for (const [query, wanted] of queries.entries()) {
          const start = ((index * heads.length + head) * length + query) * length;
          expect(largestDifference(data.subarray(start, start + tokens), wanted)).toBeLessThan(1e-5);
          expect(Math.max(...data.subarray(start + tokens, start + length))).toBe(0);
        }
      }
    }
  });

  test("5 losses and gradient norms of a loss that is no recipe's, multi-label, within 1e-3", async () => {
    await expectPyTorchsLosses(await open(), folder, multiLabel);
  });

  test.each([0, 1])("5 losses and gradient norms of a loss on hidden states, case %i, within 1e-3", async (at) => {
    await expectPyTorchsLosses(await open(), folder, hiddenError(at, await readTarget("hidden_states")));
  });

  test.each([0, 1])("5 losses and gradient norms of a loss on attention, case %i, within 1e-3", async (at) => {
    await expectPyTorchsLosses(await open(), folder, attentionDivergence(at, await readTarget("attentions")));
  });
});
