import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { latencyAllowance, latencyOf, readLatency, writeLatency } from "../../src/selection/latency";
import { temporaryFolder } from "../tiny";

const folder = temporaryFolder();
const model = { sharedLayerMs: 0.1, branchLayerMs: 0.3, topLayerMs: 0.35, fixedMs: 1 };

describe("the cost model", () => {
  test("adds up layers, topmost layers and what a call costs", () => {
    expect(latencyOf(model, { shared: 7, branch: 26 }, 8)).toBeCloseTo(0.7 + 18 * 0.3 + 8 * 0.35 + 1, 12);
  });

  test("a layer that fits exactly fits, whatever floating point makes of it", () => {
    // 1.3 + 0.3 x 3 is 2.1999999999999997 or 2.2 by the order of the sum.
    expect(latencyAllowance(model, 2.2, 0)(3)).toBe(3);
    expect(latencyAllowance(model, 2.19, 0)(3)).toBe(2);
    expect(latencyAllowance(model, 1, 0)(3)).toBeLessThan(0);
    expect(latencyOf(model, { shared: 3, branch: 0 }, 2)).toBe(latencyOf(model, { shared: 3, branch: 0 }, 0)); // heads alone
  });
});

describe("the file", () => {
  const read = (content: string) => {
    const file = path.join(folder, "latency.json");
    writeFileSync(file, content);
    return readLatency(file);
  };

  test("is read as it was written; the topmost layer and the call may be left out", async () => {
    const file = path.join(folder, "written.json");
    const measured = { base: "b", baseSha256: "b", engine: "wasm", threads: 1, batchSize: 1, length: 64, rounds: 15 };
    await writeLatency(file, { ...model, measured });
    expect(await readLatency(file)).toEqual({ ...model, measured });
    expect(await read('{"sharedLayerMs": 3, "branchLayerMs": 4}')).toEqual({
      sharedLayerMs: 3,
      branchLayerMs: 4,
      topLayerMs: 4,
      fixedMs: 0,
    });
  });

  test.each([
    ["{", /is no JSON/],
    ["[]", /holds no cost of layers/],
    ['{"sharedLayerMs": 3}', /branchLayerMs: /],
    ['{"sharedLayerMs": 0, "branchLayerMs": "4"}', /sharedLayerMs: .*; branchLayerMs: .*Write one with: /],
    ['{"sharedLayerMs": 1, "branchLayerMs": 4, "headMS": 1}', /headMS/],
  ])("%s is one clear error", async (content, message) => {
    await expect(read(content)).rejects.toMatchObject({ exitCode: 2, message: expect.stringMatching(message) });
  });

  test("a file that is not there is named, with the command that writes one", async () => {
    await expect(readLatency("absent.json")).rejects.toThrow(
      /--latency absent\.json cannot be read \(ENOENT\).*--measure/,
    );
  });
});
