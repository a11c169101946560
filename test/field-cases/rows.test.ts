// Inputs of the kinds on which users of other tools were failed, made by hand and kept beside the project (shared/data):
// each with its right value. The same kinds in inputs of the clone's own: test/data/rows, test/predict/row-file.test.ts.

import { createReadStream, existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { countBroken, readSplit } from "../../src/data/read-split";
import { openRowFile, type RowFileOptions } from "../../src/predict/row-file";
import { glueTasks } from "../../src/tasks/glue";
import type { Task } from "../../src/tasks/task";
import { readUserTasks } from "../../src/tasks/user-tasks";
import { createTokenizer } from "../../src/tokenizer/tokenizer";
import { embeddedVocabulary } from "../../src/tokenizer/vocabulary";
import { flexbert } from "../cli/flexbert";
import { sharedData } from "../shared-data";
import { unless } from "../skips";

const folder = path.join(sharedData, "field-cases");
const missing = !existsSync(folder) && `${folder} is absent`;
if (missing) console.warn(`SKIPPED: field cases of rows, because ${missing} (set FLEXBERT_SHARED_DATA)`);
const { describe } = unless(missing);
const at = (file: string) => path.join(folder, file);

async function texts(
  from: string | AsyncIterable<Uint8Array>,
  tasks: readonly Task[] = [],
  options: RowFileOptions = {},
) {
  const takesPairs = tasks.some(({ inputs }) => inputs === "pair");
  const { rows } = await openRowFile(from, { tasks, takesPairs, glueData: folder }, options);
  const found: string[] = [];
  for await (const { text, pair } of rows) found.push(pair === null ? text : `${text} | ${pair}`);
  return found;
}

const task = async (file: string): Promise<Task> => (await readUserTasks(at(file)))[0] as Task;

describe("field cases of rows", () => {
  test("PapaParse#112: an open quote is an error that names its line", async () => {
    await expect(texts(at("predict-file/unclosed.csv"))).rejects.toThrow("(line 3: Quoted field unterminated)");
  });

  test("PapaParse#281, #345: a header that ends in CRLF over rows that end in LF", async () => {
    expect(await texts(at("predict-file/mixed.tsv"))).toEqual(["first", "second", "third"]);
  });

  test("fastText#344, batch-scoring#125: a row out for every row in, or an error", async () => {
    expect(await texts(at("predict-file/blank.tsv"))).toEqual(["first", "", "third"]);
    await expect(texts(at("predict-file/short.csv"))).rejects.toThrow("line 3: 1 column, the header has 3");
  });

  test("node-csv-parse#323, pytext#747: predict reads a quoted TSV as its task does", async () => {
    const quoted = await task("task-definition/csv.yaml");
    const { examples } = await readSplit(quoted, "dev", { glueData: "" });
    expect(examples).toHaveLength(4);
    expect(await texts(at("task-definition/train.tsv"), [quoted])).toEqual(examples.map(({ text }) => text));
  });

  test("setfit#226: columns of the task, or --columns", async () => {
    const pair = ["What is it? | It is a cat."];
    expect(await texts(at("task-definition/qnli.tsv"), [glueTasks.qnli])).toEqual(pair);
    // Without a task that has them they are a pair all the same, which a model of single texts refuses.
    expect(await texts(at("task-definition/qnli.tsv"))).toEqual(pair);
    expect(await texts(at("task-definition/own.csv"), [], { columns: { text: "message" } })).toEqual([
      "good film",
      "bad film",
    ]);
    await expect(texts(at("task-definition/own.csv"))).rejects.toThrow("--columns text=NAME");
  });

  test("--skip-broken-rows: an open quote in row 10 of 1,000 loses 991 of them", async () => {
    const broken = await task("broken-quote/t.yaml");
    const read = (maxBroken: number) => readSplit(broken, "train", { glueData: "", skipBroken: true, maxBroken });
    await expect(read(0.1)).rejects.toThrow("991 of 1000 are more than 10 %");
    const { examples, broken: rows } = await read(1);
    expect([examples.length, countBroken(rows)]).toEqual([9, 991]);
  });

  test("TSV as pandas writes it: what is said names quotes: csv", async () => {
    const { warnings } = await readSplit(await task("pandas-tsv/onlyq.yaml"), "train", { glueData: "" });
    expect(warnings).toEqual([expect.stringContaining("say quotes: csv for t in")]);
    await expect(readSplit(await task("pandas-tsv/ord.yaml"), "train", { glueData: "" })).rejects.toThrow(
      "say quotes: csv",
    );
  });

  test("datasets#8241: hidden labels are none", async () => {
    const { examples } = await readSplit(await task("hidden-labels/own.yaml"), "test", { glueData: "" });
    expect(examples.map(({ label }) => label)).toEqual([null, null, null]);
  });

  test.each([
    ["cola", [1, 0, 1]],
    ["sst2", [1, 0, 1]],
    ["rte", [1, 0, 1]],
  ] as const)("GLUE's %s as datasets writes it", async (name, labels) => {
    const read = async (split: "dev" | "test") =>
      (await readSplit(glueTasks[name], split, { glueData: at("hidden-labels/hf") })).examples;
    expect((await read("dev")).map(({ label, index }) => [label, index])).toEqual(
      labels.map((label, i) => [label, String(i)]),
    );
    expect((await read("test")).map(({ label }) => label)).toEqual([null, null, null]);
    expect(await texts(at(`hidden-labels/hf/${glueTasks[name].folder}/dev.tsv`), [glueTasks[name]])).toHaveLength(3);
  });

  test("pydantic-ai#8316: a byte order mark before JSON lines; an array of objects", async () => {
    expect(await texts(at("jsonl/bom.jsonl"))).toEqual(["one", "two"]);
    expect(await texts(at("jsonl/array.json"))).toEqual(["one", "two"]);
  });

  test("nodejs/node#22448: lines of stdin are the same on every Node", async () => {
    expect(await texts(createReadStream(at("line-ends/lines.txt")))).toEqual([
      "first row\u2028still the first row",
      "second row\rstill the second row",
      "third row",
    ]);
  });

  test("transformers PR 37537: an empty second text is none, as in transformers' call for one row", async () => {
    const [first] = await texts(createReadStream(at("empty-pair/pairs.tsv")));
    expect(first).toBe("is it raining | ");
    const tokenizer = createTokenizer({ tokens: embeddedVocabulary(), lowerCase: true });
    const { ids } = tokenizer.encode("is it raining", "", 128);
    expect(Array.from(ids, (id) => tokenizer.settings.tokens[id])).toEqual(["[CLS]", "is", "it", "raining", "[SEP]"]);
    // ids of transformers 5.23.0, BertTokenizer of bert-base-uncased: tokenizer("is it raining", "")
    const input = readFileSync(at("empty-pair/pairs.tsv"), "utf8");
    const { stdout } = flexbert(["tokenize", "--pairs"], { cwd: folder, input });
    const rows = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).input_ids);
    expect(rows).toEqual([
      [101, 2003, 2009, 24057, 102],
      [101, 102, 2073, 2024, 2017, 102],
      [101, 2003, 2009, 102, 2748, 102],
    ]);
  });
});

describe("every report that the field cases name", () => {
  /** Repository#number, and of "#281, #345" both. */
  const reportsIn = (text: string) =>
    [...text.matchAll(/([\w.-]+)#(\d+)((?:, #\d+)*)/g)].flatMap(([, name, first, more = ""]) =>
      [first, ...more.matchAll(/\d+/g)].map((number) => `${name}#${number}`),
    );

  test("is named by a test", () => {
    const tests = (readdirSync(path.join(__dirname, ".."), { recursive: true }) as string[]).filter((file) =>
      file.endsWith(".test.ts"),
    );
    const tested = new Set(tests.flatMap((file) => reportsIn(readFileSync(path.join(__dirname, "..", file), "utf8"))));
    const named = reportsIn(readFileSync(at("README.md"), "utf8"));
    expect(named.length).toBeGreaterThan(25);
    expect(named.filter((report) => !tested.has(report))).toEqual([]);
  });
});
