// Every field of a run.json that anything reads: what is wrong with it is named, and what versions before wrote is not.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import type { RunRecord } from "../../../src/checkpoints/runs/run-folder";
import { recordProblem } from "../../../src/checkpoints/runs/run-record";
import { temporaryFolder } from "../../files/temporary-folder";
import { cost, makeRun } from "../../report/stored-runs";

const fixtures = path.join(__dirname, "../../fixtures");
const written = readdirSync(fixtures, { recursive: true })
  .map(String)
  .filter((file) => path.basename(file) === "run.json");

test("the runs of 0.1.0 are taken, finished ones, unfinished ones and imports", () => {
  expect(written.length).toBeGreaterThan(20);
  const problems = written.map((file) => recordProblem(JSON.parse(readFileSync(path.join(fixtures, file), "utf8"))));
  expect(problems.filter((problem) => problem !== null)).toEqual([]);
});

/** A student's record with everything that one may have. */
async function recordOf(): Promise<RunRecord> {
  const checkpoints = temporaryFolder();
  const teacher = await makeRun(checkpoints, { layers: 3, score: 0.8 });
  const run = { method: "distill", layers: 2, score: 0.5, cost: cost(100), initLayers: "top" } as const;
  const made = await makeRun(checkpoints, { ...run, teacher });
  return {
    ...made,
    metric: "accuracy",
    taughtBy: [{ ...(made.teacher as NonNullable<RunRecord["teacher"]>) }],
    transfer: { sha256: "e".repeat(64), rows: 5, from: ["more.txt"] },
    stopped: { search: "halving", epoch: 1, score: 0.4 },
    compiled: { times: 1, seconds: 0.5 },
  };
}

/** What `String`, `await`, comparisons and lists ask of an object, as data. */
const own = JSON.parse('{"toString": 1, "valueOf": "x", "toJSON": 1, "then": 1, "length": 1e9, "name": []}');

/** Of each field, by its place, what it cannot be beside what no field can. */
const others: Readonly<Record<string, readonly unknown[]>> = {
  id: [""],
  state: ["done"],
  method: [""],
  task: [""],
  "base.name": [""],
  "base.sha256": ["b", "B".repeat(64)],
  "base.layers": [0, 2.5, -1, 2 ** 31],
  "base.lowerCase": ["true", null],
  layers: [1.5, -2],
  fork: [-1, 0.5, "4"],
  full: [null, "false"],
  seed: [-1, 0.5, null],
  "teacher.id": [null, ["0"]],
  "teacher.folder": [null, ["a", 3]],
  "teacher.sha256": [null, "x"],
  "teacher.score": ["0.5", 1e300],
  taughtBy: [null, {}],
  "taughtBy.0.sha256": [null, "x"],
  init: ["other", null],
  initLayers: ["middle", null],
  "transfer.sha256": ["x", null],
  "transfer.rows": [-1, null],
  "transfer.from": ["more.txt", [3], null],
  "trainData.sha256": ["", null],
  "trainData.rows": [-1, 0.5, 2 ** 60],
  "trainData.skipped": [-1, null],
  "devData.sha256": ["", null],
  "devData.rows": [-1, null],
  "devData.skipped": [-1, null],
  "devData.limit": [0, null],
  labels: [["a", "a"], ["a", 3], null, "a"],
  metric: ["", null],
  "stopped.search": ["other"],
  "stopped.epoch": [-1, null],
  "stopped.score": ["x", -2],
  score: ["high", 1e300, 2, -1.5],
  metrics: [null, [0.5]],
  "metrics.accuracy": ["0.5", 1e300],
  bestEpoch: [-1, 0.5, "1"],
  steps: [-1, 0.5, null],
  options: [null, [3]],
  "options.alpha": [[[1]], [own]],
  sha256: ["x", null],
  engine: [null],
  threads: [-1, null],
  seconds: [-1, null],
  "compiled.times": [0, null],
  "compiled.seconds": [-1, null],
  tokensPerSecond: [-1, "1"],
  cost: [null, []],
  "cost.trainTokens": [null, {}, "x"],
  "cost.trainTokens.own": [-1, 0.5, null],
  "cost.trainTokens.bucketed": [-1, 0.5, null],
  "cost.trainTokens.longest": [-1, 0.5, null],
  "cost.trainTokens.maxLength": [-1, 0.5, null],
  "cost.devTokens": [-1, null],
  "cost.buckets": [null, [0], ["8"], {}],
  "cost.trunk": [[], 3],
  "cost.trunk.layerTokens": [-1, null],
  "cost.trunk.seconds": [-1, null],
  "cost.joules": [-1, "3"],
  startedAt: [null, "yesterday"],
  finishedAt: [null, "2026"],
};

function changed(record: RunRecord, place: string, value: unknown): unknown {
  const copy = structuredClone(record) as unknown as Record<string, unknown>;
  const keys = place.split(".");
  let parent = copy;
  for (const key of keys.slice(0, -1)) parent = parent[key] as Record<string, unknown>;
  parent[keys.at(-1) as string] = value;
  return copy;
}

describe("every field", () => {
  test.each(Object.keys(others))("%s", async (place) => {
    const record = await recordOf();
    expect(recordProblem(record)).toBeNull();
    const named = place.replace(/\.(\d+)/g, "[$1]");
    const wrong = [own, [own], Number.POSITIVE_INFINITY, Number.NaN, ...(others[place] as readonly unknown[])];
    for (const value of wrong) {
      // What a file has of NaN is null or nothing: the field is not read as a number then either.
      const problem = recordProblem(changed(record, place, value));
      expect({ value, problem }).toEqual({ value, problem: expect.stringMatching(/^(its|it has no) /) });
      expect(problem).toContain(named);
    }
  });

  const optionalOnes = ["flexbert", "teacher", "taughtBy", "init", "initLayers", "transfer", "metric", "stopped"];
  const laterOnes = ["compiled", "cost", "finishedAt", "base.lowerCase", "devData.limit"];
  test.each([...optionalOnes, ...laterOnes])("%s may be absent", async (place) => {
    expect(recordProblem(changed(await recordOf(), place, undefined))).toBeNull();
  });

  test("keys of later versions are no problem", async () => {
    expect(recordProblem({ ...(await recordOf()), later: own })).toBeNull();
  });
});

describe("fields that contradict each other", () => {
  test.each<[string, Partial<RunRecord>, string]>([
    ["full with a fork", { full: true }, "its full is true, its fork 4"],
    [
      "a whole student above the top",
      { full: true, fork: null, layers: 7 },
      "its layers are 7 and its fork null, of a base of 6 layers",
    ],
    [
      "whole, and of no layers",
      { full: true, fork: null, layers: 0 },
      "its layers are 0 and its fork null, of a base of 6 layers",
    ],
    ["above the top", { fork: 5 }, "its layers are 2 and its fork 5, of a base of 6 layers"],
    ["more layers than there are", { layers: 7, fork: 0 }, "its layers are 7 and its fork 0, of a base of 6 layers"],
    ["another score", { score: 0.75 }, "its score is 0.75, its metrics.accuracy 0.5"],
    ["a metric that it lacks", { metric: "f1" }, "it has no metrics.f1"],
    ["a metric by an inherited name", { metric: "toString" }, "it has no metrics.toString"],
  ])("%s", async (_, change, problem) => {
    const record = { ...(await recordOf()), fork: 4 };
    expect(recordProblem(record)).toBeNull();
    expect(recordProblem({ ...record, ...change })).toBe(problem);
  });

  test("a student alone may have embeddings of its own and fewer layers than the base", async () => {
    const whole = { ...(await recordOf()), full: true, fork: null };
    expect(recordProblem(whole)).toBeNull();
    const { teacher: _, ...without } = whole;
    expect(recordProblem(without)).toBe("its layers are 2 and its fork null, of a base of 6 layers");
  });

  test("of an unfinished run no score is asked for", async () => {
    const { metric: _, sha256: __, ...record } = await recordOf();
    expect(recordProblem({ ...record, state: "running", score: null, metrics: {} })).toBeNull();
  });
});
