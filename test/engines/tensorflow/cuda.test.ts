// TensorFlow on an NVIDIA GPU: skipped out loud where there is none, or where the installed build has no CUDA. A process
// each, because TensorFlow's settings are those of a process (see precision-child.cjs).

import { spawnSync } from "node:child_process";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { hasNvidiaDriver } from "../../../src/engines/nvidia";
import { locateTensorflow } from "../../../src/engines/tensorflow/load";
import { describeEachTinyBert, loadTinyBert } from "../../reference";
import { unless } from "../../skips";

const absence = (() => {
  if (!hasNvidiaDriver()) return "this machine has no NVIDIA driver";
  try {
    locateTensorflow();
    return null;
  } catch (error) {
    return (error as Error).message.split("\n")[0] as string;
  }
})();
if (absence !== null) console.warn(`SKIPPED: reference losses on CUDA, because ${absence}`);

describeEachTinyBert("PyTorch's losses on CUDA", (folder) => {
  unless(absence).describe("precision", () => {
    // tf32 keeps 10 bits of an operand's significand, as float16 does.
    test.each([
      { precision: "float32", loss: 1e-3 },
      { precision: "tf32", loss: 3e-3 },
      { precision: "bf16", loss: 0.02 },
      { precision: "float16", loss: 3e-3 },
    ])("$precision: 20 losses within $loss, on the GPU", async ({ precision, loss }) => {
      const { class_ids: classIds } = (await loadTinyBert(folder)).expected;
      const script = path.join(__dirname, "precision-child.cjs");
      const child = spawnSync(process.execPath, [script, precision, folder, JSON.stringify(classIds)], {
        encoding: "utf8",
      });
      expect([child.status, child.status === 0 ? "" : child.stderr]).toEqual([0, ""]);
      const { summary, training } = JSON.parse(child.stdout);
      expect(summary).toContain("gpu");
      expect(training.results).toHaveLength(20);
      for (const [i, [found]] of training.results.entries()) {
        expect(Math.abs(found / training.expected[i][0] - 1)).toBeLessThan(loss);
      }
    });
  });
});
