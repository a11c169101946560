// The measured cost model: what is taken from the times of its models, and that every engine can be measured.

import { expect, test } from "@jest/globals";
import { measureLatency, ROUNDS, solve } from "../../src/predict/layer-latency";
import { describeEachEngine } from "../engines/engines";
import { tinyBase } from "../tiny";

test("costs follow from the five models", () => {
  // fixed 5, topmost layer with head and cut 1, branch layer 4, shared layer 3, and 3 layers more in the longer models
  const costs = solve({ plain: 5 + 1, near: 5 + 1 + 3, both: 5 + 2 + 3, long: 5 + 1 + 12, deep: 5 + 1 + 9 });
  expect(costs).toEqual({ sharedLayerMs: 3, branchLayerMs: 4, topLayerMs: 1, fixedMs: 5 });
});

test("what noise makes negative costs nothing, and layers are never free", () => {
  const { sharedLayerMs, branchLayerMs, topLayerMs, fixedMs } = solve({
    plain: 10,
    near: 10,
    both: 9,
    long: 9,
    deep: 9,
  });
  expect(fixedMs).toBeGreaterThanOrEqual(0);
  expect(Math.min(sharedLayerMs, branchLayerMs, topLayerMs)).toBeGreaterThan(0);
});

describeEachEngine("measured", (open) => {
  const signal = new AbortController().signal;

  test("a base of one layer too, at any size, and no tensor left", async () => {
    const engine = await open();
    const before = engine.tensorCount();
    const base = tinyBase("measured", { layers: 1, hidden: 64 });
    let rounds = 0;
    const onRound = () => rounds++;
    const short = await measureLatency(engine, base, { batchSize: 1, length: 2, signal, onRound });
    const long = await measureLatency(engine, base, { batchSize: 16, length: 48, signal });
    expect(rounds).toBeGreaterThan(ROUNDS);
    expect(short.measured).toMatchObject({ base: "measured", baseSha256: base.sha256, batchSize: 1, length: 2 });
    // Which of them took longer says more of what else the machine did than of the rows.
    for (const { sharedLayerMs, branchLayerMs, topLayerMs } of [short, long]) {
      for (const cost of [sharedLayerMs, branchLayerMs, topLayerMs]) expect(cost).toBeGreaterThan(0);
    }
    expect(engine.tensorCount()).toBe(before);
  });

  test("stops when it is told to", async () => {
    const engine = await open();
    const before = engine.tensorCount();
    const options = { batchSize: 1, length: 4, signal: AbortSignal.abort() };
    await expect(measureLatency(engine, tinyBase(), options)).rejects.toMatchObject({ name: "Interrupted" });
    expect(engine.tensorCount()).toBe(before);
  });
});
