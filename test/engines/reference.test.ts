// The model, losses and optimizer against PyTorch: 20 AdamW steps on the top 2 of 4 layers, on every engine.

import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import type { Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import { readSafetensors } from "../../src/checkpoints/formats/safetensors";
import type { Engine } from "../../src/engines/engine";
import { MODE_VARIABLE } from "../../src/engines/tensorflow/tensorflow";
import { type BertConfig, parseBertConfig } from "../../src/model/config";
import { attentionBias, embed, encoderLayer, encoderLayers } from "../../src/model/encoder";
import type { Tensors } from "../../src/model/entry-point";
import { classify } from "../../src/model/heads";
import { branchTensors, embeddingParameters, layerParameters } from "../../src/model/parameters";
import { float32, type HostTensor, type HostTensors, int32 } from "../../src/model/tensors";
import { distillationLoss } from "../../src/recipes/distill";
import { labelLoss } from "../../src/recipes/finetune";
import { glueTasks } from "../../src/tasks/glue";
import { stepScalars, withMoments } from "../../src/training/step/adamw";
import { type Loss, trainStep } from "../../src/training/step/step";
import { describeWithSharedData, sharedData } from "../shared-data";
import { describeEachEngine } from "./engines";

const folder = path.join(sharedData, "tiny-bert");

interface Curve {
  readonly losses: number[];
  readonly grad_norms: number[];
}

interface Expected {
  readonly input_ids: number[][];
  readonly attention_mask: number[][];
  readonly token_type_ids: number[][];
  readonly hidden_states_first_token: number[][][];
  readonly logits: number[][];
  readonly labels: Curve;
  readonly distill: Curve & {
    readonly teacher_logits: number[][];
    readonly temperature: number;
    readonly alpha: number;
  };
}

/**
 * The file does not store the batch's class ids. Of the 3^8 assignments this is the only one that gives the first
 * loss of both curves within 1e-6; the next best is 30 times farther off.
 */
const classIds = [1, 0, 1, 2, 0, 0, 1, 0];
const shape = { fork: 2, layers: 2, full: false };

const matrix = (rows: number[][]) => int32([rows.length, rows[0]?.length ?? 0], Int32Array.from(rows.flat()));

async function load() {
  const expected: Expected = JSON.parse(readFileSync(path.join(folder, "expected.json"), "utf8"));
  const config = parseBertConfig(JSON.parse(readFileSync(path.join(folder, "config.json"), "utf8")), "config.json");
  const { tensors } = await readSafetensors(path.join(folder, "model.safetensors"));
  return { expected, config, tensors };
}

/** Every layer's output, and the logits of the top layer's first position alone. */
async function forward(engine: Engine, config: BertConfig, tensors: HostTensors, expected: Expected) {
  const program = await engine.load(tensors, {
    forward: (state, inputs) => {
      const bias = attentionBias(inputs["mask"] as Tensor2D);
      const ids = inputs["ids"] as Tensor2D;
      const types = inputs["types"] as Tensor2D;
      const outputs: Tensors = { hidden0: embed(embeddingParameters(state), ids, types, config) };
      for (let layer = 0; layer < config.numHiddenLayers; layer++) {
        const hidden = outputs[`hidden${layer}`] as Parameters<typeof encoderLayer>[1];
        outputs[`hidden${layer + 1}`] = encoderLayer(layerParameters(state, layer), hidden, bias, config, layer);
      }
      const layers = [0, config.numHiddenLayers] as const;
      const first = encoderLayers(state, outputs["hidden0"] as Tensor3D, bias, config, layers, undefined, "first");
      return { outputs: { ...outputs, logits: classify(state, first) } };
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

async function expectPyTorchsLosses(engine: Engine, kind: "labels" | "distill"): Promise<void> {
  const { expected, config, tensors } = await load();
  const before = engine.tensorCount();
  const outputs = await forward(engine, config, tensors, expected);
  const { temperature, alpha } = expected.distill;
  const task = glueTasks.mnli; // three classes, as tiny BERT has
  const loss: Loss = kind === "labels" ? labelLoss(task) : distillationLoss(task, { temperature, alpha });
  const program = await engine.load(withMoments(branchTensors(tensors, shape)), {
    train: trainStep({ shape, config, loss, clipNorm: 1 }),
  });
  const batch: HostTensors = {
    hidden: outputs["hidden2"] as HostTensor,
    attention_mask: matrix(expected.attention_mask),
    labels: int32([8], Int32Array.from(classIds)),
    row_weights: float32([8], new Float32Array(8).fill(1)),
    ...(kind === "distill"
      ? { teacher_logits: float32([8, 3], Float32Array.from(expected.distill.teacher_logits.flat())) }
      : {}),
  };
  for (let step = 1; step <= 20; step++) {
    const scalars = Object.entries(stepScalars(1e-3, 0.01, step)).map(([name, value]) => [
      name,
      float32([], Float32Array.of(value)),
    ]);
    const result = await program.run("train", { ...batch, ...Object.fromEntries(scalars) });
    const relative = (name: string, wanted: number) =>
      Math.abs(((result[name] as HostTensor).data[0] as number) / wanted - 1);
    expect(relative("loss", expected[kind].losses[step - 1] as number)).toBeLessThan(1e-3);
    expect(relative("grad_norm", expected[kind].grad_norms[step - 1] as number)).toBeLessThan(1e-3);
  }
  program.dispose();
  expect(engine.tensorCount()).toBe(before);
}

describeWithSharedData("PyTorch's values", () => {
  describeEachEngine("tiny BERT", (open, name) => {
    test("hidden states of every layer and logits within 1e-4", async () => {
      const { expected, config, tensors } = await load();
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
      await expectPyTorchsLosses(await open(), kind);
    });

    // What a step's size chooses in use: TensorFlow's own kernels, loops compiled by XLA, or all of it.
    if (name === "tensorflow") {
      test.each(["graph", "loops", "xla"])("the same losses in mode %s", async (mode) => {
        process.env[MODE_VARIABLE] = mode;
        try {
          await expectPyTorchsLosses(await open(), "labels");
        } finally {
          delete process.env[MODE_VARIABLE];
        }
      });
    }
  });
});
