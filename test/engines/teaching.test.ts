// What distillation compares beside softened outputs and labels, against PyTorch's values, gradients and curves
// (bench/peers/reference_teaching.py), on every engine.

import { readFileSync } from "node:fs";
import path from "node:path";
import { test } from "@jest/globals";
import type { Tensor, Tensor2D, Tensor3D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { readSafetensors } from "../../src/checkpoints/formats/safetensors";
import type { Tensors } from "../../src/model/entry-point";
import { heads } from "../../src/model/heads";
import { stateError } from "../../src/model/losses";
import { dense } from "../../src/model/ops";
import type { Outputs } from "../../src/model/recorder";
import { float32, type HostTensor, type HostTensors, int32 } from "../../src/model/tensors";
import { distillationLoss, type Matched, type Teaching } from "../../src/recipes/losses";
import { type Curve, ownReference } from "../reference";
import { expectPyTorchsLosses, floats, type Objective } from "./curves";
import { describeEachEngine } from "./engines";
import { expectPyTorchs, flat, shapeOf, tensor } from "./worked-examples";

const reference = JSON.parse(readFileSync(path.join(ownReference, "teaching.json"), "utf8"));
const { alpha, temperature, match_weight: weight, states, unlabelled, curves } = reference;
const { classification } = heads;

describeEachEngine("PyTorch's values of teaching", (open) => {
  const given = {
    student: tensor(states.student),
    teacher: tensor(states.teacher),
    mask: int32(shapeOf(states.mask), Int32Array.from(flat(states.mask))),
    rows: tensor(states.row_weights),
  };
  const ofTokens = (inputs: Tensors) =>
    tf.mul(tf.cast(inputs["mask"] as Tensor2D, "float32"), tf.expandDims(inputs["rows"] as Tensor, 1)) as Tensor2D;

  test("the error of all tokens' states leaves out padding and filler rows", async () => {
    const loss = (inputs: Tensors) =>
      stateError(inputs["student"] as Tensor3D, inputs["teacher"] as Tensor3D, ofTokens(inputs));
    await expectPyTorchs(states.tokens, loss, given, await open());
  });

  test("the error of the first position's", async () => {
    const first = (x: Tensor | undefined) => tf.slice(x as Tensor3D, [0, 0, 0], [-1, 1, -1]);
    const loss = (inputs: Tensors) =>
      stateError(first(inputs["student"]), first(inputs["teacher"]), tf.expandDims(inputs["rows"] as Tensor, 1));
    await expectPyTorchs(states.first, loss, given, await open());
  });

  test("a projection to a wider teacher is trained", async () => {
    const { weight: matrix, bias } = states.projected;
    const loss = ({ student, weight: w, bias: b, teacher, ...inputs }: Tensors) => {
      const wide = dense(student as Tensor3D, { weight: w as Tensor2D, bias: b as tf.Tensor1D });
      return stateError(wide, teacher as Tensor3D, ofTokens(inputs));
    };
    const inputs = { ...given, teacher: tensor(states.wide_teacher), weight: tensor(matrix), bias: tensor(bias) };
    await expectPyTorchs(states.projected, loss, inputs, await open());
  });

  test.each(["some", "none"] as const)("rows of which %s have a label", async (labelled) => {
    const loss = distillationLoss(classification, { alpha, temperature, labelled });
    const inputs = {
      logits: tensor(unlabelled.logits),
      teacher_logits: tensor(unlabelled.teacher_logits),
      labels: int32([4], Int32Array.from(unlabelled.labels)),
      row_weights: tensor(unlabelled.row_weights),
      label_weights: tensor(unlabelled.label_weights),
    };
    const ofLogits = ({ logits, ...rest }: Tensors) =>
      loss({ logits: logits as Tensor2D } as Outputs, rest, { frozen: {}, loss: {} });
    await expectPyTorchs(unlabelled[labelled], ofLogits, inputs, await open());
  });

  const folder = path.join(ownReference, "tiny-bert");
  const objective =
    (
      teaching: Partial<Teaching>,
      curve: Curve,
      inputs: HostTensors = {},
      ofStep?: (step: number) => HostTensors,
    ): Objective =>
    () => ({
      loss: distillationLoss(classification, { alpha, temperature, ...teaching }),
      curve,
      inputs: { teacher_logits: floats(curves.teacher_logits), ...inputs },
      ...(ofStep ? { ofStep } : {}),
    });

  test.each(["pooled", "cls", "tokens"] as const)(
    "5 losses and gradient norms of matching %s within 1e-3",
    async (state) => {
      const match = { state, weight, layer: 3 };
      const targets = await teacherStates(state);
      await expectPyTorchsLosses(
        await open(),
        folder,
        objective({ match }, curves.match[state], { teacher_state: targets }),
      );
    },
  );

  test("5 losses and gradient norms of rows with and without labels within 1e-3", async () => {
    const weights = { label_weights: tensor(curves.label_weights) };
    await expectPyTorchsLosses(await open(), folder, objective({ labelled: "some" }, curves.unlabelled, weights));
  });

  test("5 losses and gradient norms of an alpha that falls within 1e-3", async () => {
    const { end, ...curve } = curves.alpha_end;
    const ofStep = (step: number) => ({ alpha: tensor(alpha + ((end - alpha) * (step - 1)) / 4) });
    await expectPyTorchsLosses(await open(), folder, objective({ alpha: "scheduled" }, curve, {}, ofStep));
  });

  /** [rows, positions, hidden] */
  async function teacherStates(state: Matched): Promise<HostTensor> {
    if (state === "pooled") return asStates(floats(curves.pooled_state));
    const { tensors } = await readSafetensors(path.join(folder, "targets.safetensors"));
    const { shape, data } = tensors["hidden_states"] as HostTensor;
    if (state === "tokens") return tensors["hidden_states"] as HostTensor;
    const [rows = 0, length = 0, hidden = 0] = shape;
    const first = Array.from({ length: rows }, (_, row) =>
      Array.from(data.slice(row * length * hidden, row * length * hidden + hidden)),
    );
    return asStates(floats(first));
  }
});

const asStates = ({ shape: [rows = 0, width = 0], data }: HostTensor): HostTensor =>
  float32([rows, 1, width], data as Float32Array);
