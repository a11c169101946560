// A kind of one's own, given as `{ ...kinds, ordinal }`: from a tasks file it trains, distils, merges, predicts, is scored
// and exported, and nothing under src/ knows of it. Labels are in an order; an output asks for each but the lowest whether
// a row reaches it; the head has no pooler and reads the second position, so that the topmost layer computes all.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import type { Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { readSafetensors } from "../../src/checkpoints/formats/safetensors";
import { modelFile, type StoredRun } from "../../src/checkpoints/runs/run-folder";
import { onnxFileOpener } from "../../src/engines/onnx/model-file";
import { openEngine } from "../../src/engines/open";
import { exportModel } from "../../src/export/export";
import { cachedFolder } from "../../src/files/cache";
import { readManifest } from "../../src/merge/folder/version";
import { merge, removeTasks } from "../../src/merge/merge";
import { pooledSite } from "../../src/model/dropout";
import type { Head } from "../../src/model/heads";
import { binaryCrossEntropy, binarySoftTargetLoss } from "../../src/model/losses";
import { evaluateTask } from "../../src/predict/evaluate";
import { openModel, type ServedTask } from "../../src/predict/model";
import { computeLogits, toPrediction } from "../../src/predict/predict";
import { glueTasks } from "../../src/tasks/glue";
import { kinds } from "../../src/tasks/kinds";
import { defineKind, type ValuePrediction } from "../../src/tasks/kinds/kind";
import type { Task } from "../../src/tasks/task";
import { readUserTasks } from "../../src/tasks/user-tasks";
import { storedManifest } from "../merged";
import { distill, finetune } from "../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTraining, writeTinyGlue } from "../tiny";
import { trainTiny } from "../trained";

const head: Head = {
  positions: "all",
  logits(tensors, hidden, dropout) {
    const [batch, , width] = hidden.shape;
    const second = tf.reshape(tf.slice(hidden, [0, 1, 0], [batch, 1, width]), [batch, width]) as Tensor2D;
    const weight = tensors["ordinal.weight"] as Tensor2D;
    const product = tf.matMul(dropout ? dropout(pooledSite, second) : second, weight, false, true);
    return tf.add(product, tensors["ordinal.bias"] as Tensor1D);
  },
  loss: (logits, labels, weights) => binaryCrossEntropy(logits, labels as Tensor2D, weights),
  distillationLoss: binarySoftTargetLoss,
};

const reached = (logits: Float32Array) => logits.filter((logit) => logit > 0).length;

const ordinal = defineKind({
  name: "ordinal",
  definedBy: "labels",
  readLabel: kinds.classification.readLabel,
  named: kinds.classification.named,
  idsOf: kinds.classification.idsOf,
  targets: (id: number, { labels }) => labels.slice(1).map((_, step) => Number(id > step)),
  target: { dtype: "float32", shape: ({ labels }) => [labels.length - 1] },
  parameters: (hidden, outputs) => [
    { name: "ordinal.weight", shape: [outputs, hidden], site: 100, ofBase: false },
    { name: "ordinal.bias", shape: [outputs], site: null, ofBase: false },
  ],
  head: async () => head,
  outputs: ({ labels }) => labels.slice(1).map((label) => `at least ${label}`),
  decide: reached,
  predict: (logits) => ({ value: reached(logits) }),
  cells: ({ value }: ValuePrediction) => [String(value)],
  columns: (task) => [`${task} place`],
  metrics: {
    closeness: {
      title: "closeness",
      hub: "closeness",
      of: (predicted, targets) =>
        Array.from(targets, (target, i) => Number(target === predicted[i])).reduce((sum, hit) => sum + hit, 0) /
        targets.length,
    },
  },
  explain: () => null,
  card: { output: "one logit a step", python: () => ["print((logits > 0).sum(1))"] },
});

const own = { ...kinds, ordinal };
const folder = temporaryFolder();
const place = (name: string) => path.join(folder, name);
const base = tinyBase("tiny-ordinal", { hidden: 32, dropout: 0.1 });
const run = tinyRun(folder);

/** The first word decides. */
function writeTask(): Promise<Task[]> {
  const lines = (rows: number, from: number) =>
    Array.from({ length: rows }, (_, i) => {
      const [word, label] = [
        ["dull", "low"],
        ["long", "middle"],
        ["bright", "high"],
      ][(i + from) % 3] as [string, string];
      return `${word} ${["book", "film was", "the film he saw"][i % 3 === 0 ? 2 : i % 2]}\t${label}`;
    });
  mkdirSync(place("data"));
  writeFileSync(place("data/train.tsv"), `text\tgrade\n${lines(48, 0).join("\n")}\n`);
  writeFileSync(place("data/dev.tsv"), `text\tgrade\n${lines(15, 1).join("\n")}\n`);
  writeFileSync(
    place("tasks.yaml"),
    "tasks:\n  - name: grades\n    kind: ordinal\n    files: { train: data/train.tsv, dev: data/dev.tsv }\n" +
      "    columns: { text: text, label: grade }\n    labels: [low, middle, high]\n",
  );
  return readUserTasks(place("tasks.yaml"), own);
}

test("a kind that only its caller has goes from a tasks file to a served and exported model", async () => {
  process.env["FLEXBERT_CACHE"] = place("cache");
  await writeBase(base, cachedFolder(base.name));
  writeTinyGlue(place("glue"));
  const [task] = (await writeTask()) as [Task];
  const { engine } = await openEngine("onnx", {});
  const { context } = quietContext(engine);
  const training = { ...tinyTraining, epochs: 12, learningRate: 5e-3 };
  const request = { task, base, seeds: [1], training, run };

  const [teacher] = (await finetune({ ...request, places: [{ fork: 2, layers: 2 }] }, context)) as [StoredRun];
  expect(teacher.record.metrics).toEqual({ closeness: 1 });
  const { tensors } = await readSafetensors(modelFile(teacher.folder));
  expect(tensors["ordinal.weight"]?.shape).toEqual([2, 32]);
  expect(Object.keys(tensors)).toHaveLength(2 * 16 + 2);
  const distillation = { temperature: 2, alpha: 0.5, init: "teacher" as const };
  const [student] = (await distill({ ...request, teacher, studentLayers: [1], distillation }, context)) as [StoredRun];
  expect(student.record.score).toBeGreaterThan(0.9);

  const sst2 = { task: glueTasks.sst2, run: await trainTiny(folder, base, glueTasks.sst2) };
  const opened = (await openEngine("onnx", {})).engine;
  const taskOf = (name: string) => (name === task.name ? task : glueTasks.sst2);
  const open = onnxFileOpener({ threads: 1 });
  const check = {
    engine: opened,
    open,
    signal: context.signal,
    glueData: place("glue"),
    taskOf,
    warn: () => undefined,
  };
  const merging = { out: place("merged"), base, allowUnshared: false, kinds: own };
  await merge({ ...merging, selections: [{ task, run: student }], onnx: null });
  const { onnx } = await merge({ ...merging, selections: [sst2], onnx: { check } });
  expect(onnx?.check?.tasks.map((checked) => checked.task)).toEqual(["grades", "sst2"]);
  await expect(readManifest(place("merged"))).rejects.toThrow(/grades is a task of the kind "ordinal", .* multilabel/);

  const model = await openModel(place("merged"), opened, { taskOf, kinds: own });
  const [served] = model.tasks as [ServedTask];
  const rows = ["dull film", "bright book was the"].map((text) => ({ text, pair: null }));
  const { grades } = await computeLogits(model, rows, [served], context);
  const said = rows.map((row, i) => toPrediction(served, grades?.of(i) as Float32Array, row));
  expect(said).toEqual([{ value: 0 }, { value: 2 }]);
  expect(served.kind.cells({ value: 2 })).toEqual(["2"]);
  const options = { split: "dev" as const, glueData: "", skipBroken: false, signal: context.signal };
  expect((await evaluateTask(model, task, options)).score).toBe(student.record.score);
  model.dispose();

  const saved = {
    format: "saved-model" as const,
    model: place("merged"),
    out: place("served/1"),
    force: false,
    kinds: own,
  };
  expect((await exportModel(saved, null)).contents["signatures"]).toContain("grades");
  expect(storedManifest(place("merged")).tasks[0].kind).toBe("ordinal");
  expect(readFileSync(path.join(place("merged"), "README.md"), "utf8")).toContain("one logit a step");
  const left = await removeTasks(place("merged"), ["sst2"], null, own);
  expect(left.manifest.tasks.map(({ kind }) => kind)).toEqual([ordinal]);
});
