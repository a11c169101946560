// Texts without labels that a teacher of words labels for its students: which tokens count, by hand, and from files of texts,
// of words and of other tasks.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { modelFile, type StoredRun } from "../../src/checkpoints/runs/run-folder";
import { registerGradients } from "../../src/engines/eager";
import { headFor } from "../../src/model/heads";
import { layerRange } from "../../src/options/layers";
import { settingsFrom } from "../../src/options/settings";
import { distill } from "../../src/recipes/distill";
import { distillationLoss } from "../../src/recipes/losses";
import type { Recipe } from "../../src/recipes/recipe";
import { plannedTrials, runSweep, type Sweep } from "../../src/recipes/sweep";
import { readTransfer } from "../../src/recipes/trial/transfer";
import { glueTasks } from "../../src/tasks/glue";
import type { Task } from "../../src/tasks/task";
import { describeEachEngine } from "../engines/engines";
import { finetune, layersOf } from "../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTraining, writeTinyGlue } from "../tiny";
import { writeTinyTagging } from "../tiny-tagging";

const folder = temporaryFolder();
const base = tinyBase("tiny-transfer-tagging", { hidden: 32, dropout: 0.1 });
const training = { ...tinyTraining, epochs: 3, learningRate: 3e-3 };
const texts = path.join(folder, "texts.jsonl");
const lists = path.join(folder, "lists.jsonl");
let task: Task;

beforeAll(async () => {
  ({ task } = await writeTinyTagging(folder));
  writeTinyGlue(path.join(folder, "glue"), 30, 8);
  const rows = Array.from({ length: 30 }, (_, i) => [
    "he saw",
    i % 2 ? "the long book" : "a film",
    i % 3 ? "" : "short",
  ]);
  const written = rows.map((parts) => parts.filter((part) => part !== "").join(" "));
  writeFileSync(texts, `${written.map((text) => JSON.stringify({ text })).join("\n")}\n`);
  writeFileSync(lists, `${written.map((text) => JSON.stringify({ text: text.split(" ") })).join("\n")}\n`);
});

const places = () => ({ tasks: [task, ...Object.values(glueTasks)], all: Object.values(glueTasks), folder });
const common = (checkpoints: string) => ({
  ...{ task, base, seeds: [1], training },
  run: { ...tinyRun(folder), checkpoints: path.join(folder, checkpoints) },
});

function sweepOf(teacher: StoredRun, given: Readonly<Record<string, unknown>>, checkpoints: string): Sweep {
  const values = settingsFrom(distill.options, { student_layers: layerRange({ full: false })("1"), ...given });
  const variants = distill.settings(values as Parameters<typeof distill.settings>[0], layersOf(4));
  const recipe = distill as Recipe;
  return { ...common(checkpoints), recipe, teacher, transferPlaces: places(), variants };
}

describe("the loss", () => {
  beforeAll(registerGradients);

  test("reads a teacher's logits of every word's token, and labels of those that have one, over the number of all", () => {
    const head = headFor("tagging", {});
    const [student, teacher] = [
      [2, -1, 0.5, 0, 1, 1, -2, 0.25],
      [1, 0, 0, 1, -1, 2, 0.5, 0.5],
    ];
    // Two rows of two tokens, two tags. The second row has no labels; its first token is no word's.
    const inputs = (labels: number[]) => ({
      labels: tf.tensor2d(labels, [2, 2], "int32"),
      teacher_logits: tf.tensor3d(teacher, [2, 2, 2]),
      row_weights: tf.tensor1d([1, 1]),
      label_weights: tf.tensor1d([1, 0]),
    });
    const logits = tf.tensor3d(student, [2, 2, 2]) as unknown as Tensor2D;
    const lossOf = (alpha: number, labels: number[]) => {
      const loss = distillationLoss(head, { alpha, temperature: 1, labelled: "some" });
      return loss({ logits } as never, inputs(labels) as never, { frozen: {}, loss: {} }).dataSync()[0];
    };
    const softmax = (z: readonly number[]) => {
      const sum = z.reduce((total, value) => total + Math.exp(value), 0);
      return z.map((value) => Math.exp(value) / sum);
    };
    const of = (values: readonly number[], token: number) => softmax(values.slice(2 * token, 2 * token + 2));
    const divergence = (token: number) => {
      const [p, q] = [of(teacher, token), of(student, token)];
      return p.reduce((sum, value, i) => sum + value * Math.log(value / (q[i] as number)), 0);
    };
    const words = [0, 1, 3];
    const soft = words.reduce((sum, token) => sum + divergence(token), 0) / 3;
    const hard = -(Math.log(of(student, 0)[1] as number) + Math.log(of(student, 1)[0] as number)) / 3;
    expect(lossOf(1, [1, 0, -1, 0])).toBeCloseTo(soft, 5);
    expect(lossOf(0, [1, 0, -1, 0])).toBeCloseTo(hard, 5);
    // What stands for a label in rows without one is nothing to it.
    expect(lossOf(0.25, [1, 0, -1, 1])).toBeCloseTo(0.25 * soft + 0.75 * hard, 5);
  });
});

test("tokens of words that count are those whose label the loss would read, of files' own words too", async () => {
  const request = { from: [texts], share: 0.5 };
  const data = { glueData: path.join(folder, "glue"), skipBrokenRows: false };
  const found = await readTransfer(request, task, places(), data);
  const store = await found.encode(base, 32, folder);
  const { ids, readTokens, lengths } = store.rows;
  // [CLS] he saw a film short [SEP]
  expect([...(readTokens?.at(0) ?? [])]).toEqual([-1, 0, 0, 0, 0, 0, -1]);
  expect(lengths[0]).toBe(7);
  expect(Math.max(...(ids.at(0) ?? []))).toBeLessThan(base.config.vocabSize);
  store.dispose();
  const worded = await readTransfer({ ...request, from: [lists] }, task, places(), data);
  const again = await worded.encode(base, 32, folder);
  expect([...(again.rows.ids.at(0) ?? [])]).toEqual([...(ids.at(0) ?? [])]);
  again.dispose();
});

describeEachEngine("a student of words", (open, name) => {
  test("learns from texts, and from other tasks', with labels beside them and without; labels of its own rows are then nothing to it", async () => {
    const engine = await open();
    const before = engine.tensorCount();
    const checkpoints = `runs-${name}`;
    const request = { ...common(checkpoints), places: [{ fork: 2, layers: 2 }] };
    const [teacher] = (await finetune(request, quietContext(engine).context)) as [StoredRun];
    const { context, lines } = quietContext(engine);
    const mixed = sweepOf(teacher, { transfer: [texts, "all"], transfer_share: 0.5, match: "tokens" }, checkpoints);
    const [run] = (await runSweep(mixed, context)) as [StoredRun];
    expect(run.record.transfer).toMatchObject({ rows: 30 + 30, from: [texts, "task:sst2"] });
    expect(lines.join("\n")).toMatch(/things: 60 of 60 rows without labels, 50 % of each batch/);
    const losses = readFileSync(path.join(run.folder, "metrics.jsonl"), "utf8")
      .split("\n")
      .flatMap((line) => (line === "" ? [] : (JSON.parse(line).loss ?? [])));
    expect(losses.every(Number.isFinite)).toBe(true);
    expect(losses.at(-1)).toBeLessThan(losses[0]);

    const alone = sweepOf(teacher, { transfer: [lists], transfer_share: 1, alpha: 1 }, checkpoints);
    const [first] = (await runSweep(alone, quietContext(engine).context)) as [StoredRun];
    const file = path.join(folder, "things/train.conll");
    const written = readFileSync(file, "utf8");
    writeFileSync(file, written.replace(/\t[BI]-\w+$/gm, "\tO"));
    const [other] = (await runSweep(alone, quietContext(engine).context).finally(() =>
      writeFileSync(file, written),
    )) as [StoredRun];
    expect(other.record.id).not.toBe(first.record.id);
    expect(readFileSync(modelFile(other.folder))).toEqual(readFileSync(modelFile(first.folder)));
    expect(engine.tensorCount()).toBe(before);
  });

  test("what has no meaning is refused with what has one", async () => {
    const engine = await open();
    const request = { ...common(`refused-${name}`), places: [{ fork: 2, layers: 2 }] };
    const [teacher] = (await finetune(request, quietContext(engine).context)) as [StoredRun];
    const refused = (given: Readonly<Record<string, unknown>>) =>
      runSweep(sweepOf(teacher, given, `refused-${name}`), quietContext(engine).context);
    await expect(refused({ match: "pooled" })).rejects.toThrow(
      /--match pooled: the head of things \(tagging\) has no pooler\. Give --match tokens/,
    );
    await expect(refused({ transfer: [texts], transfer_balance: true })).rejects.toThrow(/--transfer-balance/);
    await expect(refused({ transfer: [texts], transfer_confidence: 0.9 })).rejects.toThrow(/--transfer-confidence/);
  });
});

test("words that a file says are part of what is known of its texts", async () => {
  const { engine } = await import("../../src/engines/open.js").then(({ openEngine }) => openEngine("wasm", {}));
  const request = { ...common("ids"), places: [{ fork: 2, layers: 2 }] };
  const [teacher] = (await finetune(request, quietContext(engine).context)) as [StoredRun];
  const idOf = async (given: object) =>
    (await plannedTrials(sweepOf(teacher, { ...given }, "ids"))).trials[0]?.trial.record.id;
  const ids = [await idOf({}), await idOf({ transfer: [texts] }), await idOf({ transfer: [lists] })];
  expect(new Set(ids).size).toBe(3);
});
