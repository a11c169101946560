// Lower precisions of matrix products against PyTorch's float32 losses. A process each (see the child's first lines).
// Tolerances: bf16 keeps 8 bits of significand and float16 11, so a product's relative error is about 2^-8 and 2^-11;
// through two layers, their gradients and 20 steps at 1e-3 losses may differ by some of them, norms by some more.

import { spawnSync } from "node:child_process";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { locateTensorflow } from "../../../src/engines/tensorflow/load";
import { describeEachTinyBert, loadTinyBert } from "../../reference";
import { unless } from "../../skips";

interface Report {
  readonly summary: string;
  readonly rounding: Readonly<Record<"product" | "batched" | "sum", number>>;
  readonly training: {
    /** Loss and gradient norm, step by step. */
    readonly results: [number, number][];
    readonly expected: [number, number][];
    readonly overflow: {
      readonly loss: number;
      readonly norm: number;
      readonly scale: number;
      readonly changed: string[];
    } | null;
  };
}

const absence = (() => {
  try {
    locateTensorflow();
    return null;
  } catch (error) {
    return (error as Error).message.split("\n")[0] as string;
  }
})();
if (absence !== null) console.warn(`SKIPPED: precisions of the tensorflow engine, because ${absence}`);

async function run(precision: string, folder: string): Promise<Report> {
  const { class_ids: classIds } = (await loadTinyBert(folder)).expected;
  const script = path.join(__dirname, "precision-child.cjs");
  const child = spawnSync(process.execPath, [script, precision, folder, JSON.stringify(classIds)], {
    encoding: "utf8",
  });
  if (child.status !== 0) throw new Error(`${precision}: ${child.signal ?? child.status}\n${child.stderr}`);
  return JSON.parse(child.stdout) as Report;
}

const furthest = ({ results, expected }: Report["training"], at: 0 | 1) =>
  Math.max(...results.map((result, i) => Math.abs(result[at] / (expected[i] as [number, number])[at] - 1)));

describeEachTinyBert("PyTorch's losses", (folder) => {
  unless(absence).describe("precision", () => {
    test.each([
      { precision: "bf16", unit: 2 ** -8, loss: 0.02, norm: 0.06 },
      { precision: "float16", unit: 2 ** -11, loss: 0.003, norm: 0.01 },
    ])("$precision: products rounded, 20 losses within $loss", async ({ precision, unit, loss, norm }) => {
      const { summary, rounding, training } = await run(precision, folder);
      expect(summary).toContain(precision);
      // 32 terms of at most 4, each of two rounded operands, and the rounded sum.
      for (const error of [rounding.product, rounding.batched]) {
        expect(error).toBeLessThan(32 * 4 * 3 * unit);
        expect(error).toBeGreaterThan(unit / 8);
      }
      expect(rounding.sum).toBeLessThan(1e-6);
      expect(training.results).toHaveLength(20);
      expect(furthest(training, 0)).toBeLessThan(loss);
      expect(furthest(training, 1)).toBeLessThan(norm);
      if (precision !== "float16") return;
      // Gradients beyond float16: the step is skipped, said so by a norm of 0, and the scale is halved.
      expect(training.overflow).toMatchObject({ norm: 0, scale: 2 ** 39, changed: [] });
      expect(Number.isFinite(training.overflow?.loss)).toBe(true);
    });
  });
});
