// What the methods of `distill --method` compare, against PyTorch's values, gradients and ten steps of a whole student each
// (bench/peers/reference_methods.py), on every engine.

import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import type { Tensor, Tensor2D, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { attentionBias, attentionProbabilities } from "../../src/model/attention";
import type { EncoderConfig } from "../../src/model/config";
import type { Tensors } from "../../src/model/entry-point";
import { heads } from "../../src/model/heads";
import {
  cosineError,
  relationDivergence,
  scoreError,
  stateError,
  unitLength,
  valueRelations,
} from "../../src/model/losses";
import { branchTensors, scoped } from "../../src/model/parameters";
import { float32, type HostTensors, int32 } from "../../src/model/tensors";
import { distillationLoss } from "../../src/recipes/losses";
import { type LayerCounts, layerAtHeight, type Method } from "../../src/recipes/methods/method";
import { methods } from "../../src/recipes/methods/methods";
import { replacements, replacingLoss } from "../../src/recipes/methods/replacing";
import { replacingRate } from "../../src/recipes/methods/theseus";
import { comparedLoss, inFirst } from "../../src/recipes/methods/whole-student";
import type { BatchInput } from "../../src/training/loop/batch-inputs";
import { initialState, withFrozen } from "../../src/training/step/state";
import { type Loss, trainStep } from "../../src/training/step/step";
import { loadTinyBert, ownReference } from "../reference";
import { expectCurve, floats, matrix } from "./curves";
import { describeEachEngine } from "./engines";
import { expectPyTorchs, flat, shapeOf, tensor } from "./worked-examples";

const reference = JSON.parse(readFileSync(path.join(ownReference, "methods.json"), "utf8"));
const { alpha, temperature, first_stage: firstStage, student_layers: studentLayers, losses, curves } = reference;
const { classification } = heads;

describeEachEngine("PyTorch's values of what methods compare", (open) => {
  const keys = int32(shapeOf(losses.mask), Int32Array.from(flat(losses.mask)));
  const positions = { mask: keys, rows: tensor(losses.row_weights) };
  const realOf = ({ mask, rows }: Tensors) =>
    tf.mul(tf.cast(mask as Tensor, "float32"), tf.expandDims(rows as Tensor, 1)) as Tensor2D;
  const keysOf = ({ mask }: Tensors) => tf.cast(mask as Tensor2D, "float32") as Tensor2D;
  const attentionOf = (scores: Tensor | undefined, inputs: Tensors) =>
    attentionProbabilities(scores as Tensor4D, attentionBias(inputs["mask"] as Tensor2D));
  const given = (name: string): HostTensors => ({
    [name]: tensor(losses[name]),
    [`teacher_${name}`]: tensor(losses[`teacher_${name}`]),
    ...positions,
  });

  test("the cosine of states", async () => {
    const loss = ({ states, teacher_states: teacher, ...inputs }: Tensors) =>
      cosineError(states as Tensor3D, teacher as Tensor3D, realOf(inputs));
    await expectPyTorchs(losses.cosine, loss, given("states"), await open());
  });

  test("states divided by their length", async () => {
    const loss = ({ states, teacher_states: teacher, ...inputs }: Tensors) =>
      stateError(unitLength(states as Tensor3D), unitLength(teacher as Tensor3D), realOf(inputs));
    await expectPyTorchs(losses.patience, loss, given("states"), await open());
  });

  test("attention distributions", async () => {
    const loss = ({ scores, teacher_scores: teacher, ...inputs }: Tensors) =>
      relationDivergence(attentionOf(scores, inputs), attentionOf(teacher, inputs), realOf(inputs));
    await expectPyTorchs(losses.attention, loss, given("scores"), await open());
  });

  test("value relations", async () => {
    const loss = ({ values, teacher_values: teacher, ...inputs }: Tensors) => {
      const [own, taught] = [values, teacher].map((x) => valueRelations(x as Tensor4D, keysOf(inputs)));
      return relationDivergence(own as Tensor4D, taught as Tensor4D, realOf(inputs));
    };
    await expectPyTorchs(losses.relations, loss, given("values"), await open());
  });

  test("attention scores before their softmax", async () => {
    const loss = ({ scores, teacher_scores: teacher, ...inputs }: Tensors) =>
      scoreError(scores as Tensor4D, teacher as Tensor4D, realOf(inputs), keysOf(inputs));
    await expectPyTorchs(losses.score_error, loss, given("scores"), await open());
  });
});

describeEachEngine("ten steps of a whole student", (open) => {
  test.each([...methods.values()])("taught by $name: losses and gradient norms within 1e-3", async (method) => {
    const engine = await open();
    const { expected, config, tensors } = await loadTinyBert(path.join(ownReference, "tiny-bert"));
    const { beta, replaced = [], ...curve } = curves[method.name];
    const place = { fork: null, layers: studentLayers };
    const { numHiddenLayers } = config;
    const loss = await lossOf(method, beta, { student: studentLayers, teacher: numHiddenLayers }, config);
    const before = engine.tensorCount();
    const frozen = scoped("teacher", tensors);
    const program = await engine.load(withFrozen(initialState(branchTensors(tensors, place), {}, false), frozen), {
      train: trainStep({ place, config, loss, clipNorm: 1 }),
    });
    const rows = expected.class_ids.length;
    const batch: HostTensors = {
      input_ids: matrix(expected.input_ids),
      token_type_ids: matrix(expected.token_type_ids),
      attention_mask: matrix(expected.attention_mask),
      labels: int32([rows], Int32Array.from(expected.class_ids)),
      row_weights: float32([rows], new Float32Array(rows).fill(1)),
      teacher_logits: floats(expected.logits),
    };
    const stage = inFirst(firstStage);
    const ofStep = (step: number): HostTensors => ({
      first_stage: tensor(stage(step, 10)),
      ...Object.fromEntries(
        (replaced[step - 1] ?? []).map((stands: number, i: number) => [`replaced_${i}`, tensor(stands)]),
      ),
    });
    expect(curve.losses).toHaveLength(10);
    await expectCurve(program, batch, curve, ofStep);
    expect(engine.tensorCount()).toBe(before);
  });
});

async function lossOf(
  { layers, firstStage: stages, replaces }: Method,
  beta: number,
  counts: LayerCounts,
  config: EncoderConfig,
): Promise<Loss> {
  const head = classification;
  const teaching = { alpha, temperature };
  if (replaces) return replacingLoss({ counts, config, head, teacher: "teacher" });
  if (!layers) return distillationLoss(head, teaching);
  const comparison = await layers.compare(counts, "skip");
  const place = { fork: null, layers: counts.teacher };
  return comparedLoss({ comparison, beta, staged: stages !== undefined, head, config, place }, teaching);
}

test("a student's layers stand beside those at the same height, or beside the last", async () => {
  const compare = async (name: string, student: number, teacher: number, map: "skip" | "last" = "skip") =>
    (await methods.get(name)?.layers?.compare({ student, teacher }, map)) as { teacher: { hidden: object } };
  const layersOf = async (...given: Parameters<typeof compare>) =>
    Object.keys((await compare(...given)).teacher.hidden).map(Number);
  // Sun et al. 2019: of 12 layers for 6, layers 2, 4, 6, 8, 10 or 7 to 11.
  expect(await layersOf("pkd", 6, 12)).toEqual([2, 4, 6, 8, 10]);
  expect(await layersOf("pkd", 6, 12, "last")).toEqual([7, 8, 9, 10, 11]);
  expect(await layersOf("pkd", 3, 6)).toEqual([2, 4]);
  expect(await layersOf("tinybert", 4, 12)).toEqual([0, 3, 6, 9, 12]);
  expect(await layersOf("distilbert", 3, 6)).toEqual([6]);
  expect(layerAtHeight(2, { student: 4, teacher: 6 })).toBe(3);
});

describe("layers that take the place of others", () => {
  const linear = { stage: 0.5, schedule: "linear", rate: 0.3 } as const;
  const constant = { stage: 0.5, schedule: "constant", rate: 0.5 } as const;

  test("do so by a rate that stands or rises in a line, and always behind the first stage", () => {
    const rates = (schedule: Parameters<typeof replacingRate>[2]) =>
      [1, 6, 10, 11, 20].map((step) => replacingRate(step, 20, schedule));
    expect(rates(constant)).toEqual([0.5, 0.5, 0.5, 1, 1]);
    for (const [i, rate] of rates(linear).entries()) expect(rate).toBeCloseTo([0.3, 0.65, 0.93, 1, 1][i] as number, 12);
    expect(replacingRate(1, 20, { ...linear, stage: 0 })).toBe(1);
  });

  test("are drawn by seed, step and layer alone, about as often as the rate says", async () => {
    const drawn = async (seed: number) => {
      const inputs = replacements(3, seed, constant);
      expect(Object.keys(inputs)).toEqual(["replaced_0", "replaced_1", "replaced_2"]);
      const read = async (one: BatchInput, step: number) =>
        (await one.read({ rows: [0], length: 4 } as unknown as Parameters<BatchInput["read"]>[0], 1, step, 2000))
          .data[0];
      const at = (step: number) => Promise.all(Object.values(inputs).map((one) => read(one, step)));
      return Promise.all(Array.from({ length: 1001 }, (_, i) => at(i + 1)));
    };
    const [first, again, other] = [await drawn(1), await drawn(1), await drawn(2)];
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    expect(first.at(-1)).toEqual([1, 1, 1]); // the second stage
    for (const layer of [0, 1, 2]) {
      const share = first.slice(0, 1000).reduce((sum, row) => sum + (row[layer] as number), 0) / 1000;
      expect(Math.abs(share - 0.5)).toBeLessThan(0.05);
    }
    expect(first.map((row) => row[0])).not.toEqual(first.map((row) => row[1]));
  });
});
