// A saved state of any damage is named in one line, or is one that a run can go on from.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { metricsFile } from "../../../src/checkpoints/runs/run-folder";
import type { Program } from "../../../src/engines/engine";
import { ExitCode } from "../../../src/errors/errors";
import { float32 } from "../../../src/model/tensors";
import { restore, save } from "../../../src/training/loop/run-state";
import { initialState } from "../../../src/training/step/state";
import { change, changed, editedSafetensors } from "../../fuzz/weights";
import { soak } from "../../soak";
import { temporaryFolder } from "../../tiny";

const folder = temporaryFolder();
const file = path.join(folder, "state.safetensors");
const tensor = (...values: number[]) => float32([values.length], Float32Array.from(values));

test("a damaged state is named, and the metrics beside it stay as they are", async () => {
  const branch = { "classifier.bias": tensor(1, 2), "classifier.weight": tensor(3) };
  const state = initialState(branch, {}, false);
  const metrics = '{"step":10}\n{"step":20}\n';
  writeFileSync(metricsFile(folder), metrics);
  const best = { branch, epoch: 0, score: 0.5, metrics: { accuracy: 0.5 } };
  const position = { epoch: 1, batch: 3, step: 20, seconds: 1, joules: null, best };
  await save(folder, { state: async () => state } as unknown as Program<"train">, position);
  const good = readFileSync(file);
  await soak(
    fc.asyncProperty(change, async (drawn) => {
      writeFileSync(
        file,
        changed(good, drawn, (bytes) => editedSafetensors(bytes, drawn.edits)),
      );
      writeFileSync(metricsFile(folder), metrics);
      const outcome = await restore(folder, state).catch((error: Error) => error);
      if (outcome instanceof Error) {
        expect(outcome).toMatchObject({ name: "UserError", exitCode: ExitCode.model });
        expect(outcome.message).toMatch(/^[^\n]*$/);
        expect(readFileSync(metricsFile(folder), "utf8")).toBe(metrics);
      } else {
        for (const [name, { shape }] of Object.entries(state)) expect(outcome?.state[name]?.shape).toEqual(shape);
        expect(outcome?.position.best).toMatchObject({ epoch: expect.any(Number) });
      }
    }),
    200,
  );
});
