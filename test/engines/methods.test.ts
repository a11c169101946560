// What the methods of `distill --method` compare, against PyTorch's values, gradients and ten steps of a whole student each
// (bench/peers/reference_methods.py), on every engine.

import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import type { Tensor, Tensor2D, Tensor3D, Tensor4D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { attentionBias, attentionProbabilities } from "../../src/model/attention";
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
import { layerAtHeight } from "../../src/recipes/methods/method";
import { methods } from "../../src/recipes/methods/methods";
import { comparedLoss, inFirst } from "../../src/recipes/methods/whole-student";
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
  test.each([...methods.values()])(
    "taught by $name: losses and gradient norms within 1e-3",
    async ({ name, layers }) => {
      const engine = await open();
      const { expected, config, tensors } = await loadTinyBert(path.join(ownReference, "tiny-bert"));
      const { beta, ...curve } = curves[name];
      const place = { fork: null, layers: studentLayers };
      const teacher = { branch: tensors, place: { fork: null, layers: config.numHiddenLayers } };
      const counts = { student: place.layers, teacher: teacher.place.layers };
      const branch = branchTensors(tensors, place);
      const teaching = { alpha, temperature };
      const staged = layers?.firstStage !== undefined;
      const loss: Loss = layers
        ? comparedLoss(
            {
              ...{ comparison: await layers.compare(counts, "skip"), beta, staged },
              ...{ head: classification, config, place: teacher.place },
            },
            teaching,
          )
        : distillationLoss(classification, teaching);
      const before = engine.tensorCount();
      const frozen = layers ? scoped("teacher", tensors) : {};
      const program = await engine.load(withFrozen(initialState(branch, {}, false), frozen), {
        train: trainStep({ place, config, loss, clipNorm: 1 }),
      });
      const rows = expected.class_ids.length;
      const batch: HostTensors = {
        input_ids: matrix(expected.input_ids),
        token_type_ids: matrix(expected.token_type_ids),
        attention_mask: matrix(expected.attention_mask),
        labels: int32([rows], Int32Array.from(expected.class_ids)),
        row_weights: float32([rows], new Float32Array(rows).fill(1)),
        ...(layers ? {} : { teacher_logits: floats(expected.logits) }),
      };
      const stage = inFirst(firstStage);
      const ofStep = (step: number): HostTensors => (staged ? { first_stage: tensor(stage(step, 10)) } : {});
      expect(curve.losses).toHaveLength(10);
      await expectCurve(program, batch, curve, ofStep);
      expect(engine.tensorCount()).toBe(before);
    },
  );
});

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
