// The model, losses and optimizer against PyTorch: 20 AdamW steps on the top 2 layers, on every engine.

import path from "node:path";
import { expect, test } from "@jest/globals";
import type { Tensor, Tensor2D, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { readSafetensors } from "../../src/checkpoints/formats/safetensors";
import { MODE_VARIABLE } from "../../src/engines/tensorflow/load";
import type { Tensors } from "../../src/model/entry-point";
import { heads } from "../../src/model/heads";
import type { HostTensor } from "../../src/model/tensors";
import { labelLoss } from "../../src/recipes/losses";
import { reading } from "../../src/training/step/step";
import { describeEachTinyBert, loadTinyBert, type OwnExpected, ownReference } from "../reference";
import { expectPyTorchsLosses, floats, forward, largestDifference, type Objective } from "./curves";
import { describeEachEngine } from "./engines";
import { distillObjective, labelsObjective } from "./objectives";

const objectives: Readonly<Record<"labels" | "distill", Objective>> = {
  labels: labelsObjective,
  distill: distillObjective,
};

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
