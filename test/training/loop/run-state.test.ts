// What an unfinished run keeps: all that its program would need to go on, and nothing that is found again elsewhere.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { metricsFile, saveState } from "../../../src/checkpoints/runs/run-folder";
import type { Program } from "../../../src/engines/engine";
import { ExitCode } from "../../../src/errors/errors";
import { float32, type HostTensors } from "../../../src/model/tensors";
import { type Position, restore, save } from "../../../src/training/loop/run-state";
import { initialState, withFrozen } from "../../../src/training/step/state";
import { temporaryFolder } from "../../tiny";

const folder = temporaryFolder();
const tensor = (...values: number[]) => float32([values.length], Float32Array.from(values));
const branch = { "classifier.bias": tensor(1, 2) };
const state = initialState(branch, { projection: tensor(3) }, false);

/** A program that only has a state. */
const holding = (tensors: HostTensors) => ({ state: async () => ({ ...tensors }) }) as Program<"train">;

const start: Position = { epoch: 0, batch: 0, step: 0, seconds: 0, joules: 0, best: null };

test("a run that never saved has no state", async () => {
  await expect(restore(folder, state)).resolves.toBeNull();
});

test("comes back as it was, the best branch apart, without what is frozen", async () => {
  const best = {
    branch: { "classifier.bias": tensor(0.1, -0) },
    epoch: 1,
    score: null,
    metrics: { accuracy: 0.5, f1: null },
    tuned: { thresholds: [0.25, 0.5], untuned: { threshold: 0.5, metrics: { accuracy: 0.4, f1: null } } },
  };
  const position = { epoch: 2, batch: 7, step: 31, seconds: 0.1 + 0.2, joules: null, best };
  await save(folder, holding(withFrozen(state, { teacher: tensor(9) })), position);
  const restored = await restore(folder, state);
  expect(restored?.position).toEqual(position);
  expect(restored?.state).toEqual(state);
  expect(Object.is(restored?.position.best?.branch["classifier.bias"]?.data[1], -0)).toBe(true);
});

test("joules that a machine counted come back as a number", async () => {
  await save(folder, holding(state), { ...start, joules: 12.5 });
  expect((await restore(folder, state))?.position).toEqual({ ...start, joules: 12.5 });
});

test("metrics that were written after the state are cut off, because their steps are taken again", async () => {
  const file = metricsFile(folder);
  writeFileSync(file, '{"step":10}\n');
  await save(folder, holding(state), { ...start, step: 10 });
  writeFileSync(file, '{"step":10}\n{"step":20}\n{"st');
  await restore(folder, state);
  expect(readFileSync(file, "utf8")).toBe('{"step":10}\n');
  expect(path.dirname(file)).toBe(folder);
});

test.each<[string, Record<string, string>, HostTensors, RegExp]>([
  ["a position that is no number", { epoch: "x" }, state, /its epoch is "x"/],
  ["an epoch without a best one", { epoch: "3" }, state, /it has no best epoch/],
  ["a best epoch that is none", { best: "[1" }, state, /its best epoch is no record of one/],
  [
    "a score beyond numbers",
    { best: '{"epoch":0,"score":1e999,"metrics":{}}' },
    state,
    /its best epoch is no record of one/,
  ],
  [
    "thresholds that are none",
    { best: '{"epoch":0,"score":1,"metrics":{},"tuned":{"thresholds":[2]}}' },
    state,
    /its best epoch is no record of one/,
  ],
  ["a branch of another shape", {}, { ...state, "classifier.bias": tensor(1) }, /it has no "classifier.bias" of \[2\]/],
  ["no moments", {}, { ...branch, "loss/projection": tensor(3) }, /it has no "adam.m/],
])("%s is a damaged state, and metrics stay as they are", async (_, fields, tensors, message) => {
  const damaged = path.join(folder, "damaged");
  mkdirSync(damaged, { recursive: true });
  writeFileSync(metricsFile(damaged), '{"step":10}\n{"step":20}\n');
  const position = { epoch: "0", batch: "0", step: "0", seconds: "0", joules: "0", metrics_bytes: "12", best: "" };
  await saveState(damaged, { tensors, position: { ...position, ...fields } });
  await expect(restore(damaged, state)).rejects.toThrow(message);
  await expect(restore(damaged, state)).rejects.toMatchObject({ exitCode: ExitCode.model });
  expect(readFileSync(metricsFile(damaged), "utf8")).toBe('{"step":10}\n{"step":20}\n');
});
