// Dev rows predicted again from stored branches: the scores that training recorded, kept beside the run, and its halves.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import type { StoredRun } from "../../src/checkpoints/runs/run-folder";
import type { Engine } from "../../src/engines/engine";
import { openEngine } from "../../src/engines/open";
import { type DevRows, devLogits, devRowsOf } from "../../src/predict/dev-logits";
import { scoreHalves } from "../../src/predict/half-scores";
import type { Task } from "../../src/tasks/task";
import { finetune } from "../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTasks, tinyTraining, writeTinyGlue } from "../tiny";

const folder = temporaryFolder();
const base = tinyBase();
const run = tinyRun(folder);
const runs = new Map<Task, StoredRun[]>();
let engine: Engine;

beforeAll(async () => {
  writeTinyGlue(path.join(folder, "glue"), 40, 24);
  ({ engine } = await openEngine("wasm", {}));
  const { context } = quietContext(engine);
  const places = [
    { fork: null, layers: 4 },
    { fork: 1, layers: 3 },
    { fork: 3, layers: 1 },
  ];
  const training = { ...tinyTraining, epochs: 1 };
  for (const task of tinyTasks) {
    // In the order of a sweep, which is not that of forks.
    const trained = await finetune({ task, base, places, seeds: [1], training, run }, context);
    runs.set(task, trained.reverse());
  }
});

const kept = ({ folder: own }: StoredRun) => path.join(own, "dev-logits.safetensors");
const open = async () => quietContext(engine).context;
const closed = () => Promise.reject(new Error("an engine is opened"));
const predict = (task: Task, rows: DevRows, opener = open) =>
  devLogits(runs.get(task) as StoredRun[], rows, base, run, opener);

describe.each(tinyTasks.map((task) => [task.name, task] as const))("%s", (_, task) => {
  const first = () => (runs.get(task) as StoredRun[])[0] as StoredRun;

  test("the logits give the recorded score of each run, and are there the next time without an engine", async () => {
    const own = runs.get(task) as StoredRun[];
    const rows = await devRowsOf(task, first(), run.glueData);
    const logits = await predict(task, rows);
    const scores = scoreHalves(rows, logits, own);
    for (const { folder: at, record } of own) expect(scores.get(at)?.whole).toBeCloseTo(record.score as number, 6);
    const bytes = own.map((one) => readFileSync(kept(one)));
    const again = await predict(task, rows, closed);
    const values = (found: typeof logits) => Object.fromEntries([...found].map(([at, { data }]) => [at, data]));
    expect(values(again)).toEqual(values(logits));
    expect(own.map((one) => readFileSync(kept(one)))).toEqual(bytes);
  });

  test("a damaged file, and one of another branch, are written anew", async () => {
    const rows = await devRowsOf(task, first(), run.glueData);
    const whole = readFileSync(kept(first()));
    writeFileSync(kept(first()), whole.subarray(0, whole.length - 5));
    await expect(predict(task, rows, closed)).rejects.toThrow("an engine is opened");
    await predict(task, rows);
    expect(readFileSync(kept(first())).equals(whole)).toBe(true);
    const others = { ...first(), record: { ...first().record, sha256: "0".repeat(64) } };
    await expect(devLogits([others], rows, base, run, closed)).rejects.toThrow("an engine is opened");
  });
});

describe("rows", () => {
  const [task] = tinyTasks as [Task];
  const file = () => path.join(run.glueData, "SST-2", "dev.tsv");

  test("other dev rows than those that scored the runs are refused, with both hashes", async () => {
    const written = readFileSync(file(), "utf8");
    writeFileSync(file(), written.replace("good", "bad"));
    const [one] = runs.get(task) as [StoredRun];
    await expect(devRowsOf(task, one, run.glueData)).rejects.toMatchObject({
      exitCode: 3,
      message: expect.stringMatching(/dev\.tsv has other dev rows of sst2 than those that scored .* not [0-9a-f]{8}/),
    });
    writeFileSync(file(), written);
  });

  test("so few that a half has next to none are refused", async () => {
    const [one] = runs.get(task) as [StoredRun];
    const { examples } = await devRowsOf(task, one, run.glueData);
    const few = { task, examples: examples.slice(0, 2) };
    expect(() => scoreHalves(few, new Map(), [])).toThrow(/sst2 has 2 dev rows, . of them in one half: too few/);
    expect(existsSync(kept(one))).toBe(true);
  });
});
