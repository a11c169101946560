// The model card: front matter that parses, the manifest's tasks with scores, metric and split, licences that are known or
// said to be unknown; and that merge writes it after the manifest and leaves somebody else's alone.

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { parse } from "yaml";
import { openEngine } from "../../src/engines/open";
import { modelCard, writeCard } from "../../src/merge/card";
import type { Manifest, MergedTask } from "../../src/merge/folder/manifest";
import { readManifest } from "../../src/merge/folder/version";
import { merge, removeTasks } from "../../src/merge/merge";
import { markdownText } from "../../src/messages/markdown";
import { placesOf } from "../../src/model/place";
import { glueTasks } from "../../src/tasks/glue";
import { kinds } from "../../src/tasks/kinds";
import { finetune } from "../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTraining, writeTinyGlue } from "../tiny";

const root = temporaryFolder();
const sha256 = "a".repeat(64);

const task = (name: string, fields: Partial<MergedTask> = {}): MergedTask => ({
  ...{ file: `blobs/${name}.safetensors`, sha256, name, kind: kinds.classification, inputs: "pair" },
  ...{ labels: ["yes", "no"], range: null, metric: "accuracy", maxLength: 128, fork: 4, layers: 2 },
  ...{ score: 0.7, metrics: { accuracy: 0.7, f1: 0.75 }, run: `finetune k02-seed1-${name}` },
  ...fields,
});

const manifest = (tasks: readonly MergedTask[], base = "owner/some-bert"): Manifest => ({
  ...{ format: 2, base: { name: base, sha256, layers: 6 }, embeddings: { file: "e", sha256 }, trunk: [], tasks },
  onnx: null,
});

const frontMatter = (card: string) => parse(card.split("---\n")[1] as string);

describe("modelCard", () => {
  test("front matter for the hub: licence, base, data, and each task's results", () => {
    const stsb = task("stsb", {
      kind: kinds.regression,
      metric: "pearson",
      metrics: { pearson: 0.8, spearman: null },
      range: [0, 5],
      labels: [],
    });
    const matter = frontMatter(modelCard(manifest([task("mnli"), stsb])));
    expect(matter).toMatchObject({
      ...{ license: "unknown", language: "en", base_model: "owner/some-bert", library_name: "flexbert" },
      ...{ pipeline_tag: "text-classification", datasets: ["nyu-mll/glue"] },
    });
    const [mnli, regression] = matter["model-index"][0].results;
    expect(mnli.dataset).toMatchObject({ type: "nyu-mll/glue", config: "mnli", split: "validation_matched" });
    expect(mnli.metrics).toEqual([
      { type: "accuracy", name: "accuracy", value: 0.7 },
      { type: "f1", name: "f1", value: 0.75 },
    ]);
    // An undefined metric has no value to give.
    expect(regression.metrics).toEqual([{ type: "pearsonr", name: "pearson", value: 0.8 }]);
  });

  test("a base's licence where it is known; nothing of GLUE for other tasks; no hub name for a folder", () => {
    const known = modelCard(manifest([task("rte")], "bert-base-uncased"));
    expect(frontMatter(known)).toMatchObject({ license: "apache-2.0", base_model: "bert-base-uncased" });
    expect(known).toContain("The base bert-base-uncased is published under apache-2.0.");
    const published = ["google-bert/bert-large-cased", "google/bert_uncased_L-4_H-256_A-4"];
    for (const name of [...published, "sentence-transformers/all-MiniLM-L6-v2"]) {
      expect(frontMatter(modelCard(manifest([task("rte")], name)))).toMatchObject({ license: "apache-2.0" });
    }
    const own = modelCard(manifest([task("support-intent"), task("constructor")], "my-folder"));
    const matter = frontMatter(own);
    expect(matter.license).toBe("unknown");
    for (const key of ["base_model", "datasets", "language"]) expect(matter).not.toHaveProperty(key);
    expect(matter["model-index"][0].results[1].dataset).toEqual({
      type: "constructor",
      name: "constructor",
      split: "dev",
    });
    expect(own).toContain("The licence of the base is not known to flexbert.");
  });

  test("the table: scores with metric and split, forks and layers; what is undefined or unshared is said", () => {
    const tasks = [task("cola", { inputs: "single", metric: "matthews", score: null, metrics: { matthews: null } })];
    const card = modelCard(manifest([...tasks, task("rte"), task("own", { fork: null, layers: 6 })]));
    expect(card).toContain("Scores are of the dev split, in points.");
    const rows = card.split("\n").filter((line) => line.startsWith("|"));
    expect(rows.slice(2)).toEqual([
      "| CoLA | classification, one text | matthews | undefined |  | 4 | 2 | finetune k02-seed1-cola |",
      "| RTE | classification, two texts | accuracy | 70.0 | f1 75.0 | 4 | 2 | finetune k02-seed1-rte |",
      "| own | classification, two texts | accuracy | 70.0 | f1 75.0 | none | 6 | finetune k02-seed1-own |",
    ]);
    expect(card).toContain(
      "4 shared and 10 task layers: 14 of the 18 that 3 whole models of 6 layers would run (77.8 %).",
    );
    expect(card).toContain('--task cola --text "');
    expect(card).toContain('--pair "');
  });

  test("model.onnx where it is there: inputs, outputs and a program that runs it", () => {
    const stsb = task("stsb", { kind: kinds.regression, metric: "pearson", range: [0, 5], labels: [] });
    const tasks = [task("sst2", { inputs: "single", labels: ["negative", "positive"], maxLength: 64 }), stsb];
    const without = modelCard(manifest(tasks));
    expect(without).not.toMatch(/onnx/);
    const card = modelCard({ ...manifest(tasks), onnx: { file: "model.onnx", sha256 } });
    expect(frontMatter(card).tags).toContain("onnx");
    for (const row of [
      "| input | input\\_ids | int64 | batch, length | token ids, by the vocabulary of this folder |",
      "| input | attention\\_mask | int64 | batch, length | 1 for tokens, 0 for padding |",
      "| input | token\\_type\\_ids | int64 | batch, length | 0 for the first text, 1 for the second |",
      "| output | sst2 | float32 | batch, 2 | logits of its labels, in the order above; at most 64 tokens |",
      "| output | stsb | float32 | batch, 1 | the value; at most 128 tokens |",
    ]) {
      expect(card.split("\n")).toContain(row);
    }
    expect(card).toContain('tokenizer(["A film to see twice."], padding=True, truncation=True, max_length=64');
    expect(card).toContain('(logits,) = session.run(["sst2"], {name: batch[name] for name in ["input_ids",');
    expect(card).toContain('labels = ["negative","positive"]');
    const ofPair = modelCard({ ...manifest([stsb]), onnx: { file: "model.onnx", sha256 } });
    expect(ofPair).toContain('tokenizer(["A man plays."], ["Someone plays."], ');
    expect(ofPair).toContain("print(logits[:, 0])");
  });

  test("labels with markup stay text", () => {
    const card = modelCard(manifest([task("odd", { labels: ["a|b", "<b>x</b>", "1. *c*\n# d"] })]));
    expect(card).toContain("- odd: a\\|b, \\<b\\>x\\</b\\>, 1\\. \\*c\\* \\# d");
    expect(markdownText("- a\n- b")).toBe("\\- a - b");
  });
});

describe("merge", () => {
  const out = path.join(root, "merged");
  let first: Manifest;

  beforeAll(async () => {
    writeTinyGlue(path.join(root, "glue"));
    const { engine } = await openEngine("wasm", {});
    const base = tinyBase("tiny-card");
    const selections = [];
    for (const chosen of [glueTasks.rte, glueTasks.stsb]) {
      const request = {
        task: chosen,
        base,
        places: placesOf(4, [2]),
        seeds: [1],
        training: { ...tinyTraining, epochs: 1 },
      };
      const [run] = await finetune({ ...request, run: tinyRun(root) }, quietContext(engine).context);
      selections.push({ task: chosen, run: run as NonNullable<typeof run> });
    }
    first = (await merge({ out, base, selections, allowUnshared: false, onnx: null })).manifest;
  });

  const card = () => readFileSync(path.join(out, "README.md"), "utf8");

  test("writes the card of what it merged, and again when a task goes", async () => {
    expect(card()).toBe(modelCard(first));
    const { manifest: second } = await removeTasks(out, ["stsb"], null);
    expect(card()).toBe(modelCard(second));
    expect(card()).not.toContain("STS-B");
    await removeTasks(out, ["rte"], null);
    expect(card()).toContain("# 0 tasks on one tiny-card");
    expect((await readManifest(out)).tasks).toEqual([]);
  });

  test("leaves a README.md alone that is not its own, and puts back one that is missing", async () => {
    const folder = path.join(root, "foreign");
    mkdirSync(folder);
    writeFileSync(path.join(folder, "README.md"), "# mine");
    await writeCard(folder, modelCard(first));
    expect(readFileSync(path.join(folder, "README.md"), "utf8")).toBe("# mine");
    rmSync(path.join(folder, "README.md"));
    await writeCard(folder, modelCard(first));
    expect(existsSync(path.join(folder, "README.md"))).toBe(true);
  });
});
