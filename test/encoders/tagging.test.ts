// A task that labels words, over every family: its head is that of the family's class for token classification, which says what
// the merged model says, and what was exported is imported again.

import { readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { readSafetensors } from "../../src/checkpoints/formats/safetensors";
import { modelFile, type StoredRun } from "../../src/checkpoints/runs/run-folder";
import { onnxFileOpener } from "../../src/engines/onnx/model-file";
import { openEngine } from "../../src/engines/open";
import { startTransformers } from "../../src/engines/transformers/transformers-file";
import type { CheckTools } from "../../src/export/check/model-check";
import { exportModel } from "../../src/export/export";
import { cachedFolder } from "../../src/files/cache";
import { merge } from "../../src/merge/merge";
import { families, familyOf, type ModelType } from "../../src/model/families/families";
import { familyTokenHead } from "../../src/model/families/head";
import { importBranch } from "../../src/recipes/import";
import { glueTasks } from "../../src/tasks/glue";
import type { Task } from "../../src/tasks/task";
import { finetune } from "../sweeps";
import { quietContext, temporaryFolder, tinyFamilyBase, tinyRun, tinyTraining, writeTinyGlue } from "../tiny";
import { writeTinyTagging } from "../tiny-tagging";
import { trainTiny } from "../trained";
import { python, withTransformers } from "../transformers";

const { sst2 } = glueTasks;
describe.each(Object.keys(families) as ModelType[])("%s", (type) => {
  const folder = temporaryFolder();
  const place = (name: string) => path.join(folder, name);
  const plain = tinyFamilyBase(type, `tagging-${type}`);
  const base = { ...plain, config: { ...plain.config, hiddenDropoutProb: 0.1 } };
  const { className } = familyOf(base.config);
  let task: Task;
  let run: StoredRun;
  let tools: CheckTools;

  beforeAll(async () => {
    process.env["FLEXBERT_CACHE"] = place("cache");
    await writeBase(base, cachedFolder(base.name));
    writeTinyGlue(place("glue"));
    ({ task } = await writeTinyTagging(folder));
    const { engine } = await openEngine("wasm", {});
    const training = { ...tinyTraining, epochs: 1 };
    const request = { task, base, places: [{ fork: 2, layers: 2 }], seeds: [1], training, run: tinyRun(folder) };
    [run] = (await finetune(request, quietContext(engine).context)) as [StoredRun];
    const { signal } = new AbortController();
    const taskOf = (name: string) => (name === task.name ? task : sst2);
    tools = {
      engine,
      open: onnxFileOpener({ threads: 1 }),
      signal,
      glueData: place("glue"),
      taskOf,
      warn: () => undefined,
    };
    const selections = [
      { task, run },
      { task: sst2, run: await trainTiny(folder, base, sst2) },
    ];
    const { onnx } = await merge({
      out: place("merged"),
      base,
      selections,
      allowUnshared: false,
      onnx: { check: tools },
    });
    expect(onnx?.check?.largestDifference).toBeLessThan(1e-4);
  });

  test("the branch holds its layers and what gives tokens their tags", async () => {
    const { tensors } = await readSafetensors(modelFile(run.folder));
    const layers = [2, 3].flatMap((index) => familyOf(base.config).layerParameters(base.config, index));
    const head = familyTokenHead(base.config, 4);
    expect(Object.keys(tensors).sort()).toEqual([...layers, ...head].map(({ name }) => name).sort());
    expect(tensors["classifier.weight"]?.shape).toEqual([4, 16]);
  });

  withTransformers.test("transformers' own class says what the branch says", async () => {
    const runtime = await startTransformers(python);
    const request = { format: "transformers" as const, model: place("merged"), out: place("checked"), force: false };
    const { check } = await exportModel(request, { ...tools, open: runtime.open });
    runtime.close();
    expect(check?.tasks.map(({ task: name }) => name)).toEqual(["sst2", "things"]);
    expect(check?.largestDifference).toBeLessThan(1e-5);
  });

  test("its weights alone do too, and name the class", async () => {
    const request = { format: "safetensors" as const, model: place("merged"), out: place("weights"), force: false };
    const { check } = await exportModel(request, tools);
    expect(check?.largestDifference).toBeLessThan(1e-5);
    const readme = readFileSync(path.join(place("weights"), "things/README.md"), "utf8");
    expect(readme).toContain(`import ${className}Config, ${className}ForTokenClassification`);
  });

  test("what was exported is imported with its score, and as no task of whole texts", async () => {
    await exportModel({ format: "transformers", model: place("merged"), out: place("theirs"), force: false }, null);
    const from = path.join(place("theirs"), "things");
    const { context } = quietContext(tools.engine);
    const own = { ...tinyRun(folder), checkpoints: place("imported") };
    const request = { task, base, folder: from, labels: null, maxLength: 32, run: own };
    const { record } = await importBranch(request, context);
    expect(record).toMatchObject({ fork: 2, layers: 2, score: run.record.score });
    await expect(importBranch({ ...request, task: sst2 }, context)).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringContaining(`labels every token, and sst2 is a classification of the whole text`),
    });
    await expect(importBranch({ ...request, folder: path.join(place("theirs"), "sst2") }, context)).rejects.toThrow(
      "its head labels the whole text, and things labels every word",
    );
  });
});
