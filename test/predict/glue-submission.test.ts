// Submissions of tiny models: MNLI's two files and AX from one branch, labels by name, and what is refused beforehand.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import type { RowLogits } from "../../src/batches/row-logits";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { checkSubmissionFile, type SubmissionFile, submissionFiles } from "../../src/data/glue/submission";
import type { Engine } from "../../src/engines/engine";
import { openEngine } from "../../src/engines/open";
import { ExitCode } from "../../src/errors/errors";
import { cachedFolder } from "../../src/files/cache";
import type { Manifest } from "../../src/merge/folder/manifest";
import { readManifest } from "../../src/merge/folder/version";
import { merge } from "../../src/merge/merge";
import { placesOf } from "../../src/model/place";
import { float32 } from "../../src/model/tensors";
import { planSubmission, predictFile } from "../../src/predict/glue-submission";
import { openModel, type ServedModel } from "../../src/predict/model";
import { computeLogits } from "../../src/predict/predict";
import { glueTasks } from "../../src/tasks/glue";
import { kinds } from "../../src/tasks/kinds";
import type { Task } from "../../src/tasks/task";
import { finetune } from "../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTraining, writeTinyGlue } from "../tiny";

const folder = temporaryFolder();
const glueData = path.join(folder, "glue");
const merged = path.join(folder, "merged");
const signal = new AbortController().signal;
const tasks: Task[] = [glueTasks.sst2, glueTasks.stsb, glueTasks.mnli, glueTasks.ax, glueTasks.wnli];
const testRows = 5;
const pairs = "index\tsentence1\tsentence2";
let manifest: Manifest;
let engine: Engine;

const put = (file: string, lines: readonly string[]) => {
  mkdirSync(path.dirname(path.join(glueData, file)), { recursive: true });
  writeFileSync(path.join(glueData, file), `${lines.join("\n")}\n`);
};
const rows = (count: number, line: (row: number) => string) => Array.from({ length: count }, (_, row) => line(row));
const words = ["good film", "bad book", "the film was dull", "she read a long book", "he saw a bright film"];

/** The site's row counts are for the published files; these tests' have five rows. */
const withRows = (files: readonly SubmissionFile[], count = testRows): SubmissionFile[] =>
  files.map((file) => ({ ...file, source: { ...file.source, rows: count } }));
const files = () => withRows(submissionFiles(tasks));
const plan = (of: Manifest, options: { fillMissing?: boolean } = {}, chosen = files()) =>
  planSubmission(of, chosen, { glueData, merged, fillMissing: false, ...options });

function writeTestFiles(): void {
  // The second index differs from the row's number: files have indices of their own.
  const index = (row: number) => (row === 1 ? 17 : row);
  const pair = (row: number) => `${index(row)}\t${words[row % 5]}\t${words[(row + 1) % 5]}`;
  put("SST-2/test.tsv", ["index\tsentence", ...rows(testRows, (row) => `${index(row)}\t${words[row]}`)]);
  put("STS-B/test.tsv", [
    "index\tgenre\tsentence1\tsentence2",
    ...rows(testRows, (row) => `${index(row)}\tg\t${words[row]}\t${words[0]}`),
  ]);
  put("MNLI/test_matched.tsv", [pairs, ...rows(testRows, pair)]);
  put("MNLI/test_mismatched.tsv", [pairs, ...rows(testRows, (row) => `${row}\t${words[4 - row]}\t${words[row]}`)]);
  put("diagnostic/diagnostic.tsv", [pairs, ...rows(testRows, pair)]);
  put("WNLI/test.tsv", [pairs, ...rows(testRows, pair)]);
}

beforeAll(async () => {
  process.env["FLEXBERT_CACHE"] = path.join(folder, "cache");
  const base = tinyBase("tiny-submit", { layers: 2 });
  writeTinyGlue(glueData);
  const labelled = (row: number) => `${row}\t${words[row % 5]}\t${words[row % 3]}\t${glueTasks.mnli.labels[row % 3]}`;
  for (const split of ["train", "dev_matched"])
    put(`MNLI/${split}.tsv`, [`${pairs}\tgold_label`, ...rows(24, labelled)]);
  writeTestFiles();
  await writeBase(base, cachedFolder(base.name));
  ({ engine } = await openEngine("wasm", {}));
  const selections = [];
  for (const task of [glueTasks.sst2, glueTasks.stsb, glueTasks.mnli]) {
    const training = { ...tinyTraining, epochs: 1 };
    const request = { task, base, places: placesOf(2, [1]), seeds: [1], training, run: tinyRun(folder) };
    const [run] = await finetune(request, quietContext(engine).context);
    if (run) selections.push({ task, run });
  }
  await merge({ out: merged, base, selections, allowUnshared: false, onnx: null });
  manifest = await readManifest(merged);
});

const open = (names?: readonly string[]) =>
  openModel(merged, engine, { taskOf: () => glueTasks.sst2, ...(names ? { names } : {}) });
const changed = (name: string, change: object): Manifest => ({
  ...manifest,
  tasks: manifest.tasks.map((task) => (task.name === name ? { ...task, ...change } : task)),
});

describe("planSubmission", () => {
  test("predicts MNLI's files and AX with mnli, and fills what is missing only when asked", async () => {
    const planned = await plan(manifest, { fillMissing: true });
    expect(planned.map(({ name, predictedWith, rows: count }) => [name, predictedWith, count])).toEqual([
      ["SST-2.tsv", "sst2", 5],
      ["STS-B.tsv", "stsb", 5],
      ["MNLI-m.tsv", "mnli", 5],
      ["MNLI-mm.tsv", "mnli", 5],
      ["AX.tsv", "mnli", 5],
      ["WNLI.tsv", null, 5],
    ]);
    const refused = plan(manifest);
    await expect(refused).rejects.toThrow(/has no wnli, .*flexbert finetune --task wnli.*--fill-missing/);
    await expect(refused).rejects.toMatchObject({ exitCode: ExitCode.model });
  });

  test("without mnli AX is missing too, and nothing of GLUE is nothing to submit", async () => {
    const others = { ...manifest, tasks: manifest.tasks.filter(({ name }) => name !== "mnli") };
    await expect(plan(others)).rejects.toThrow(/has no mnli, ax, wnli, .*--task mnli,wnli\)/);
    await expect(plan({ ...manifest, tasks: [] }, { fillMissing: true })).rejects.toThrow(/none of GLUE's tasks/);
  });

  test("refuses a task that is GLUE's by name alone", async () => {
    const refuse = (of: Manifest, message: RegExp) => expect(plan(of, { fillMissing: true })).rejects.toThrow(message);
    await refuse(changed("sst2", { labels: ["bad", "good"] }), /sst2 is a .* with labels bad, good; GLUE's SST-2 is/);
    await refuse(changed("sst2", { inputs: "pair" }), /sst2 is a classification of pairs/);
    await refuse(changed("stsb", { kind: kinds.classification, labels: ["a", "b"] }), /stsb is a classification/);
  });

  test("names all test files that are missing or have other rows at once", async () => {
    const chosen = files().map((file) =>
      file.name === "MNLI-m.tsv" ? { ...file, source: { ...file.source, rows: 6 } } : file,
    );
    put("WNLI/test.tsv", [pairs, "0\ta\tb", "0\tc\td", "2\te\tf", "3\tg\th", "4\ti\tj"]);
    const elsewhere = path.join(folder, "elsewhere");
    const options = { merged, fillMissing: true };
    try {
      const refused = planSubmission(manifest, chosen, { ...options, glueData });
      await expect(refused).rejects.toMatchObject({ exitCode: ExitCode.data });
      await expect(refused).rejects.toThrow(
        /test_matched\.tsv has 5 rows, the site takes 6\. Run: flexbert data download --task mnli --force/,
      );
      await expect(refused).rejects.toThrow(/WNLI.test\.tsv, line 3: the index "0" is there twice/);
      put("WNLI/test.tsv", [pairs, "0\ta\tb", "1\tc", "2\te\tf", "3\tg\th", "4\ti\tj"]);
      await expect(planSubmission(manifest, chosen, { ...options, glueData })).rejects.toThrow(
        /WNLI.test\.tsv has 1 broken rows \(line 3: 2 columns/,
      );
    } finally {
      writeTestFiles();
    }
    const missing = planSubmission(manifest, chosen, { ...options, glueData: elsewhere });
    await expect(missing).rejects.toThrow(/SST-2.test\.tsv is missing\. Run: flexbert data download --task sst2\n/);
  });

  test("an id follows from the branch, what is below it, and the test file", async () => {
    const ids = async (of: Manifest) => (await plan(of, { fillMissing: true })).map(({ id }) => id);
    const before = await ids(manifest);
    expect(new Set(before).size).toBe(before.length);
    expect(await ids(manifest)).toEqual(before);
    const other = await ids(changed("sst2", { sha256: "0".repeat(64) }));
    expect(other.map((id, i) => id === before[i])).toEqual([false, true, true, true, true, true]);
    const lower = await ids({ ...manifest, embeddings: { ...manifest.embeddings, sha256: "0".repeat(64) } });
    expect(lower.map((id, i) => id === before[i])).toEqual([false, false, false, false, false, true]);
  });
});

describe("predictFile", () => {
  const textOf = async (name: string, model: ServedModel | null) => {
    const file = (await plan(manifest, { fillMissing: true })).find((planned) => planned.name === name);
    if (!file) throw new Error(name);
    const text = await predictFile(model, file, { glueData, signal });
    checkSubmissionFile(file, text);
    return text;
  };
  const cells = (text: string) =>
    text
      .trimEnd()
      .split("\n")
      .slice(1)
      .map((line) => line.split("\t"));

  test("writes what predict says of each row, under the row's own index", async () => {
    const model = await open();
    try {
      for (const [name, served] of [
        ["MNLI-m.tsv", "mnli"],
        ["AX.tsv", "mnli"],
        ["SST-2.tsv", "sst2"],
      ] as const) {
        const task = model.tasks.find((candidate) => candidate.name === served);
        if (!task) throw new Error(served);
        const texts = rows(testRows, (row) => words[row % 5] as string);
        const asked = texts.map((text, row) => ({
          text,
          pair: task.inputs === "pair" ? (words[(row + 1) % 5] as string) : null,
        }));
        const logits = (await computeLogits(model, asked, [task], { signal }))[served] as RowLogits;
        const best = asked.map((_, row) => {
          const own = Array.from(logits.of(row));
          const label = own.indexOf(Math.max(...own));
          return served === "mnli" ? (task.labels[label] as string) : String(label);
        });
        expect(cells(await textOf(name, model))).toEqual(
          best.map((label, row) => [String(row === 1 ? 17 : row), label]),
        );
      }
      const values = cells(await textOf("STS-B.tsv", model)).map(([, value]) => Number(value));
      for (const value of values) expect(value >= 0 && value <= 5).toBe(true);
      expect(cells(await textOf("MNLI-mm.tsv", model)).map(([index]) => index)).toEqual(["0", "1", "2", "3", "4"]);
    } finally {
      model.dispose();
    }
  });

  test("a model whose labels stand in another order gives the same file", async () => {
    const reversed = async (model: ServedModel): Promise<ServedModel> => ({
      ...model,
      tasks: model.tasks.map((task) => ({ ...task, labels: [...task.labels].reverse() })),
      async *run(...call) {
        for await (const { logits, ...part } of model.run(...call)) {
          const width = logits.shape[1] as number;
          const at = (i: number) => i - (i % width) + (width - 1 - (i % width));
          yield {
            ...part,
            logits: float32(
              logits.shape,
              Float32Array.from(logits.data, (_, i) => logits.data[at(i)] as number),
            ),
          };
        }
      },
    });
    const model = await open(["mnli"]);
    try {
      expect(await textOf("MNLI-m.tsv", await reversed(model))).toBe(await textOf("MNLI-m.tsv", model));
    } finally {
      model.dispose();
    }
  });

  test("a constant needs no model", async () => {
    expect(cells(await textOf("WNLI.tsv", null))).toEqual(["0", "17", "2", "3", "4"].map((index) => [index, "0"]));
  });

  test("outputs that are no numbers are refused", async () => {
    const model = await open(["stsb"]);
    const broken: ServedModel = {
      ...model,
      async *run(...call) {
        for await (const part of model.run(...call)) {
          part.logits.data[0] = Number.NaN;
          yield part;
        }
      },
    };
    try {
      await expect(textOf("STS-B.tsv", broken)).rejects.toThrow(/stsb gives no number for .*STS-B.test\.tsv, line \d/);
    } finally {
      model.dispose();
    }
  });

  test("stops between batches", async () => {
    const model = await open(["sst2"]);
    const [file] = await plan(manifest, { fillMissing: true });
    if (!file) throw new Error("no plan");
    try {
      await expect(predictFile(model, file, { glueData, signal: AbortSignal.abort() })).rejects.toMatchObject({
        name: "Interrupted",
      });
    } finally {
      model.dispose();
    }
  });
});
