// Texts without labels in a student's training: labelled by its teacher, known by their hash, the same to the byte wherever
// they are kept, when they are stopped, and whoever trains.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { modelFile, type StoredRun } from "../../src/checkpoints/runs/run-folder";
import type { Engine } from "../../src/engines/engine";
import { openEngine } from "../../src/engines/open";
import { placesOf } from "../../src/model/place";
import { layerRange } from "../../src/options/layers";
import { settingsFrom } from "../../src/options/settings";
import { distill } from "../../src/recipes/distill";
import type { Recipe } from "../../src/recipes/recipe";
import { plannedTrials, runSweep, type Sweep } from "../../src/recipes/sweep";
import { glueTasks } from "../../src/tasks/glue";
import type { Task } from "../../src/tasks/task";
import { describeEachEngine } from "../engines/engines";
import { finetune, layersOf } from "../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTraining, writeTinyGlue } from "../tiny";
import { stopAt } from "./stopping";

const folder = temporaryFolder();
const base = tinyBase("tiny-transfer", { dropout: 0.1 });
const { rte, sst2, stsb } = glueTasks;
const pairs = path.join(folder, "pairs.csv");
beforeAll(() => {
  writeTinyGlue(path.join(folder, "glue"), 30, 8);
  const words = "the a good bad film book was is not very rather dull bright long short".split(" ");
  const text = (row: number, from: number) =>
    words.slice((row + from) % 9, ((row + from) % 9) + 2 + (row % 5)).join(" ");
  const rows = Array.from({ length: 70 }, (_, row) => `${text(row, 0)},${text(row * 3, 4)}`);
  writeFileSync(pairs, `text,pair\n${rows.join("\n")}\n`);
});

const common = (checkpoints: string, task: Task = rte, cacheBudget = 1e9) => ({
  ...{ task, base, seeds: [1], training: tinyTraining },
  run: { ...tinyRun(folder), checkpoints: path.join(folder, checkpoints), cacheBudget },
});
const places = { tasks: Object.values(glueTasks), all: Object.values(glueTasks), folder };

async function teacherIn(checkpoints: string, engine: Engine, task: Task = rte) {
  const [teacher] = await finetune(
    { ...common(checkpoints, task), places: placesOf(4, [3]) },
    quietContext(engine).context,
  );
  return teacher as StoredRun;
}

type Given = Readonly<Record<string, unknown>>;
type Values = Parameters<typeof distill.settings>[0];

/** One-layer students as the command's options ask for them, by config key. */
function sweepOf(teacher: StoredRun, given: Given, checkpoints: string, task: Task = rte, budget?: number): Sweep {
  const values = settingsFrom(distill.options, { student_layers: layerRange({ full: false })("1"), ...given });
  const variants = distill.settings(values as Values, layersOf(4));
  return { ...common(checkpoints, task, budget), recipe: distill as Recipe, teacher, transferPlaces: places, variants };
}

async function train(sweep: Sweep, engine: Engine) {
  const { context, lines } = quietContext(engine);
  const [run] = await runSweep(sweep, context);
  return { run: run as StoredRun, lines, bytes: readFileSync(modelFile((run as StoredRun).folder)) };
}

describeEachEngine("a transfer set", (open, name) => {
  const everything = {
    transfer: ["pairs.csv", "task:stsb"],
    transfer_balance: true,
    transfer_share: 0.4,
    match: "tokens",
  };

  test("in memory, on disk, stopped and resumed: the same bytes, and nothing is left behind", async () => {
    const engine = await open();
    const teacher = await teacherIn(`teacher-${name}`, engine);
    const before = engine.tensorCount();
    const { run, lines, bytes } = await train(sweepOf(teacher, everything, `memory-${name}`), engine);
    expect(run.record).toMatchObject({
      transfer: { rows: 100, from: [pairs, "task:stsb"], sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
      options: { transferBalance: true, transferShare: 0.4, match: "tokens" },
    });
    // 30 rows, 3 of 8 in each batch without a label: 6 steps an epoch.
    expect(run.record.steps).toBe(2 * 6);
    expect(lines.find((line) => /without labels/.test(line))).toMatch(
      /^rte: 100 of 100 rows without labels(, of 2 classes in turn \(\d+, \d+ rows\))?, 40 % of each batch$/,
    );
    const abort = new AbortController();
    const stopping = { ...quietContext(engine).context, signal: abort.signal, reporter: stopAt(8, /l=1/, abort) };
    const onDisk = sweepOf(teacher, everything, `disk-${name}`, rte, 0);
    await expect(runSweep(onDisk, stopping)).rejects.toMatchObject({
      message: expect.stringMatching(/state is saved/),
    });
    expect((await train(onDisk, engine)).bytes).toEqual(bytes);
    expect(readdirSync(path.join(folder, `disk-${name}`, ".trunk-cache"))).toEqual([]);
    expect(readdirSync(path.join(folder, `memory-${name}`, ".trunk-cache"))).toEqual([]);
    expect(engine.tensorCount()).toBe(before);
  });

  test("alone, without any labels: of every share, and of a regression", async () => {
    const engine = await open();
    const teacher = await teacherIn(`teacher-${name}`, engine, stsb);
    const given = { transfer: ["all"], transfer_share: 1, transfer_rows: 20 };
    const { run, bytes } = await train(sweepOf(teacher, given, `alone-${name}`, stsb), engine);
    expect(run.record).toMatchObject({ transfer: { rows: 20, from: ["task:rte"] }, steps: 2 * 3 });
    // The labels of its own rows are nothing to it.
    const file = path.join(folder, "glue/STS-B/train.tsv");
    const written = readFileSync(file, "utf8");
    writeFileSync(file, written.replace(/\t[\d.]+$/gm, "\t1"));
    const relabelled = { ...sweepOf(teacher, given, `alone-${name}`, stsb) };
    const other = await train(relabelled, engine);
    writeFileSync(file, written);
    expect(other.run.record.id).not.toBe(run.record.id);
    expect(other.bytes).toEqual(bytes);
  });
});

const idOf = async (sweep: Sweep) => (await plannedTrials(sweep)).trials[0]?.trial.record.id;

test("ids know the texts, wherever they lie, and what is taken of them", async () => {
  const { engine } = await openEngine("wasm", {});
  const teacher = await teacherIn("ids", engine);
  const id = (given: Given) => idOf(sweepOf(teacher, given, "ids"));
  const copy = path.join(folder, "copy.jsonl");
  const rows = readFileSync(pairs, "utf8")
    .trim()
    .split("\n")
    .slice(1)
    .map((line) => line.split(","));
  writeFileSync(copy, rows.map(([text, pair]) => JSON.stringify({ text, pair })).join("\n"));
  const plain = await id({});
  const known = await id({ transfer: ["pairs.csv"] });
  expect(await id({ transfer: [copy] })).toBe(known);
  expect(await id({ transfer: ["pairs.csv"], transfer_rows: 500, transfer_share: 0.5 })).not.toBe(plain);
  const others = [
    ...[
      {},
      { transfer: ["pairs.csv"] },
      { transfer: ["pairs.csv"], transfer_rows: 60 },
      { transfer: ["pairs.csv", "task:stsb"] },
    ],
    ...[
      { transfer: ["pairs.csv"], transfer_balance: true },
      { transfer: ["pairs.csv"], transfer_confidence: 0.4 },
    ],
  ];
  expect(new Set(await Promise.all(others.map(id))).size).toBe(others.length);
  // Without texts there is nothing that these say.
  expect(await id({ transfer_rows: 3, transfer_share: 0.2, transfer_balance: true, transfer_confidence: 0.9 })).toBe(
    plain,
  );
});

test("what the teacher is not sure of is left out, and it is said; all of it is an error", async () => {
  const { engine } = await openEngine("wasm", {});
  const teacher = await teacherIn("sure", engine);
  const sure = (confidence: number) =>
    sweepOf(teacher, { transfer: ["pairs.csv"], transfer_confidence: confidence }, "sure");
  const { lines } = await train(sure(0.5), engine);
  expect(lines.find((line) => /without labels/.test(line))).toBe(
    "rte: 70 of 70 rows without labels, 50 % of each batch",
  );
  await expect(train(sure(1), engine)).rejects.toMatchObject({
    exitCode: 3,
    message: "rte: the teacher is sure of none of 70 rows at --transfer-confidence 1. Give a lower one, or other texts",
  });
});

test.each([
  [{ transfer: ["task:rte"] }, rte, 2, /task:rte: students of rte learn from its rows already/],
  [{ transfer: ["task:sst2"] }, rte, 2, /task:sst2: sst2 has single texts, rte pairs\. Give a task of its shape/],
  [{ transfer: ["task:stbs"] }, rte, 2, /task:stbs: no such task \(did you mean "stsb"\?\)/],
  [{ transfer: ["task:qqp"] }, rte, 3, /task:qqp: qqp has no train file/],
  [{ transfer: ["all"] }, sst2, 2, /all: no other task of single texts than sst2 has train data/],
  [{ transfer: ["gone.csv"] }, rte, 3, /gone.csv is missing/],
  [{ transfer: ["task:rte"], transfer_balance: true }, stsb, 2, /--transfer-balance: stsb is a regression/],
  [{ transfer: ["task:rte"], transfer_confidence: 0.9 }, stsb, 2, /--transfer-confidence: stsb is a regression/],
])("%j is refused for %s in a line", async (given, task, exitCode, message) => {
  const { engine } = await openEngine("wasm", {});
  const teacher = await teacherIn("refused", engine, task as Task);
  const refused = train(sweepOf(teacher, given as Given, "refused", task as Task), engine);
  await expect(refused).rejects.toMatchObject({ exitCode, message: expect.stringMatching(message as RegExp) });
});
