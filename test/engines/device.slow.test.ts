// PyTorch's steps on WebGPU, which is SwiftShader here: it takes a second for each.

import path from "node:path";
import { test } from "@jest/globals";
import { ownReference } from "../reference";
import { expectPyTorchsLosses } from "./curves";
import { describeDevices } from "./devices";
import { distillObjective, labelsObjective } from "./objectives";

const folder = path.join(ownReference, "tiny-bert");

describeDevices(["webgpu"], "training", (open) => {
  test("20 losses and gradient norms of labels within 1e-3 of PyTorch's", async () => {
    await expectPyTorchsLosses(await open(), folder, labelsObjective);
  });

  test("20 losses and gradient norms of distill within 1e-3 of PyTorch's", async () => {
    await expectPyTorchsLosses(await open(), folder, distillObjective);
  });
});
