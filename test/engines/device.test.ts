// The onnx engine on devices: PyTorch's hidden states, programs that would run at once, and on onnxruntime's CPU provider, which
// is quick, PyTorch's steps with the update on the device and the state that comes back from there. device.slow.test.ts has
// WebGPU's steps.

import path from "node:path";
import { expect, test } from "@jest/globals";
import type { Engine } from "../../src/engines/engine";
import { openEngine } from "../../src/engines/open";
import { heads } from "../../src/model/heads";
import { branchTensors } from "../../src/model/parameters";
import { float32, type HostTensor, type HostTensors, int32 } from "../../src/model/tensors";
import { labelLoss } from "../../src/recipes/losses";
import { stepScalars, withMoments } from "../../src/training/step/adamw";
import { trainStep } from "../../src/training/step/step";
import { loadTinyBert, ownReference } from "../reference";
import { expectPyTorchsLosses, forward, largestDifference, trainedPlace } from "./curves";
import { describeDevices } from "./devices";
import { distillObjective, labelsObjective } from "./objectives";

const folder = path.join(ownReference, "tiny-bert");

describeDevices(["cpu", "webgpu"], "a tiny BERT", (open) => {
  test("hidden states of every layer and logits within 1e-4 of PyTorch's", async () => {
    const { expected, config, tensors } = await loadTinyBert(folder);
    const outputs = await forward(await open(), config, tensors, expected);
    expect(largestDifference((outputs["logits"] as HostTensor).data, expected.logits.flat())).toBeLessThan(1e-4);
    for (const [layer, rows] of expected.hidden_states_first_token.entries()) {
      const { data, shape } = outputs[`hidden${layer}`] as HostTensor;
      const [, length = 0, hidden = 0] = shape;
      const first = rows.flatMap((row, i) => row.map((_, j) => data[i * length * hidden + j] as number));
      expect(largestDifference(first, rows.flat())).toBeLessThan(1e-4);
    }
  });

  test("programs that run at once run one after the other, and their values are those of each alone", async () => {
    const { expected, config, tensors } = await loadTinyBert(folder);
    const [first, second] = [await open(), await open()];
    const alone = await forward(first, config, tensors, expected);
    const both = await Promise.all([first, second].map((engine) => forward(engine, config, tensors, expected)));
    for (const outputs of both) {
      expect((outputs["logits"] as HostTensor).data).toEqual((alone["logits"] as HostTensor).data);
    }
    expect([first.tensorCount(), second.tensorCount()]).toEqual([0, 0]);
  });
});

const STEPS = 3;

/** Parameters and moments after a few steps. */
async function trained(engine: Engine): Promise<HostTensors> {
  const { expected, config, tensors } = await loadTinyBert(folder);
  const outputs = await forward(engine, config, tensors, expected);
  const place = trainedPlace(config);
  const program = await engine.load(withMoments(branchTensors(tensors, place)), {
    train: trainStep({ place, config, loss: labelLoss(heads.classification), clipNorm: 1 }),
  });
  const { attention_mask: mask, class_ids: classes } = expected;
  const batch: HostTensors = {
    hidden: outputs[`hidden${place.fork}`] as HostTensor,
    attention_mask: int32([mask.length, mask[0]?.length ?? 0], Int32Array.from(mask.flat())),
    labels: int32([classes.length], Int32Array.from(classes)),
    row_weights: float32([classes.length], new Float32Array(classes.length).fill(1)),
  };
  for (let step = 1; step <= STEPS; step++) {
    const scalars = Object.entries(stepScalars(1e-3, 0.01, step)).map(([name, value]) => [
      name,
      float32([], Float32Array.of(value)),
    ]);
    await program.run("train", { ...batch, ...Object.fromEntries(scalars) });
  }
  const state = await program.state();
  program.dispose();
  return state;
}

describeDevices(["cpu"], "training", (open) => {
  test("20 losses and gradient norms of labels within 1e-3 of PyTorch's", async () => {
    await expectPyTorchsLosses(await open(), folder, labelsObjective);
  });

  test("20 losses and gradient norms of distill within 1e-3 of PyTorch's", async () => {
    await expectPyTorchsLosses(await open(), folder, distillObjective);
  });

  test("the state that comes back is the onnx engine's, and the same bytes each time", async () => {
    const [state, again] = [await trained(await open()), await trained(await open())];
    const { engine } = await openEngine("onnx", {});
    const wanted = await trained(engine);
    expect(Object.keys(state).sort()).toEqual(Object.keys(wanted).sort());
    const { tensors, config } = await loadTinyBert(folder);
    const before = withMoments(branchTensors(tensors, trainedPlace(config)));
    let moved = 0;
    for (const [name, { data }] of Object.entries(state)) {
      expect(largestDifference(data, [...(wanted[name] as HostTensor).data])).toBeLessThan(1e-5);
      expect(data).toEqual((again[name] as HostTensor).data);
      moved = Math.max(moved, largestDifference(data, [...(before[name] as HostTensor).data]));
    }
    expect(moved).toBeGreaterThan(1e-3);
  });
});
