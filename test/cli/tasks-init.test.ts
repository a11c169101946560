// From one CSV to a trained model: tasks init writes the tasks file, finetune trains by it, and config.yaml repeats the run.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { parse } from "yaml";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { cachedFolder } from "../../src/files/cache";
import { temporaryFolder, tinyBase } from "../tiny";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
const env = { FLEXBERT_CACHE: path.join(cwd, "cache") };
const run = (line: string) => flexbert(line.split(" "), { cwd, env });
const at = (file: string) => path.join(cwd, file);

function ran(line: string): { stdout: string; stderr: string } {
  const { status, stdout, stderr } = run(line);
  expect({ line, status, stderr: status === 0 ? "" : stderr }).toEqual({ line, status: 0, stderr: "" });
  return { stdout, stderr };
}

const names = Array.from({ length: 24 }, (_, i) => `intent, ${i}`); // a comma in a label, as people have them

beforeAll(async () => {
  await writeBase(tinyBase("tiny"), cachedFolder("tiny", env.FLEXBERT_CACHE));
  const rows = Array.from(
    { length: 240 },
    (_, i) => `"the film was ${i}, ""very"" good",${JSON.stringify(names[i % 24])}`,
  );
  writeFileSync(at("intents.csv"), `\ufeffutterance,intent\n${rows.join("\n")}\n`);
});

test("tasks init shows what it guessed, writes it, and says what is next", () => {
  const { stdout } = ran("tasks init intents.csv");
  expect(stdout).toMatch(/^intents: classification of single texts\n/);
  expect(stdout).toMatch(/text \(utterance\) +label \(intent\)\nthe film was 0, "very" good +intent, 0\n/);
  expect(stdout).toMatch(/24 labels by rows: intent, 0 10, /);
  expect(stdout).toMatch(/rows: train \d+, dev \d+\n/);
  expect(stdout).toMatch(/written to tasks\.yaml\. Look it over, then: flexbert finetune --task intents\n/);
  expect(parse(readFileSync(at("tasks.yaml"), "utf8")).tasks).toEqual([
    {
      name: "intents",
      files: { train: "intents.csv" },
      "dev-share": 0.2,
      columns: { text: "utterance", label: "intent" },
      labels: "from-data",
    },
  ]);
});

test("a tasks file that is there is left as it is", () => {
  writeFileSync(at("mine.yaml"), "# mine\n");
  const { status, stderr } = run("tasks init intents.csv --tasks mine.yaml");
  expect([status, stderr]).toEqual([
    2,
    expect.stringMatching(/mine\.yaml is there, and is left as it is\. Give --tasks/),
  ]);
  expect(readFileSync(at("mine.yaml"), "utf8")).toBe("# mine\n");
  const { stdout } = ran("tasks init intents.csv --tasks new.yaml --name other --dry-run");
  expect(stdout).toMatch(/new\.yaml would hold:\n.*\ntasks:\n {2}- name: other\n/);
  expect(existsSync(at("new.yaml"))).toBe(false);
});

test("the run has the labels that its data gave, in record, config and id, and repeats by its config", () => {
  const options = "--base tiny --k 1 --epochs 1 --max-length 16 --json";
  const trained = run(`finetune --task intents ${options}`);
  expect(trained.stderr).toMatch(/intents: 24 labels from its train file: intent, 0, intent, 1, intent, 10/);
  const [{ runs }] = JSON.parse(trained.stdout).tasks;
  const { folder } = runs[0];
  const sorted = [...names].sort();
  expect(JSON.parse(readFileSync(at(`${folder}/run.json`), "utf8")).labels).toEqual(sorted);
  expect(parse(readFileSync(at(`${folder}/config.yaml`), "utf8")).labels).toEqual(sorted);
  const again = JSON.parse(ran(`finetune --config ${folder}/config.yaml --json --dry-run`).stdout);
  expect(again.trials).toMatchObject([{ folder, finished: true }]);
  const scores = JSON.parse(ran(`eval --model ${folder} --json`).stdout);
  expect(scores[0]).toMatchObject({ task: "intents", skipped: 0 });
});

describe("several files", () => {
  beforeAll(() => {
    for (const split of ["train", "validation", "test"]) {
      const rows = Array.from({ length: 30 }, (_, i) => `${i}\ta ${split} text ${i}\ta second ${i}\t${i / 6}`);
      writeFileSync(at(`sts-${split}.tsv`), `id\tsentence1\tsentence2\tscore\n${rows.join("\n")}\n`);
    }
  });

  test("are told by their names", () => {
    const { stdout } = ran("tasks init sts-test.tsv sts-train.tsv sts-validation.tsv --tasks sts.yaml --json");
    const { task, kind, inputs, columns, range, splits, next } = JSON.parse(stdout);
    expect({ task, kind, inputs, range }).toEqual({ task: "sts", kind: "regression", inputs: "pair", range: [0, 5] });
    expect(columns).toEqual({ text: "sentence1", pair: "sentence2", label: "score", index: "id" });
    expect(splits).toEqual({
      train: { rows: 30, broken: 0 },
      dev: { rows: 30, broken: 0 },
      test: { rows: 30, broken: 0 },
    });
    expect(next).toBe("flexbert finetune --task sts --tasks sts.yaml");
    const { tasks } = parse(readFileSync(at("sts.yaml"), "utf8"));
    expect(tasks[0].files).toEqual({ test: "sts-test.tsv", train: "sts-train.tsv", dev: "sts-validation.tsv" });
    expect(tasks[0]).not.toHaveProperty("dev-share");
  });

  test("that say the same of themselves are refused", () => {
    const { status, stderr } = run("tasks init intents.csv sts-train.tsv --tasks two.yaml");
    expect([status, stderr]).toEqual([2, expect.stringMatching(/would both be train files\. Give one train file/)]);
  });
});

describe("hostile files are one line and an exit code, and nothing is written", () => {
  test.each<[string, string | Uint8Array, RegExp]>([
    ["one row", "text,label\na film,good\n", /"label" has one label alone, "good"; a task needs two/],
    ["an open quote", 'text,label\n"a film,good\nb,bad\nc,good\nd,bad\n', /hostile\.csv: line 2: .*[qQ]uote/],
    ["a header alone", "text,label\n", /there is a header and no row/],
    [
      "an escape of the terminal in a name",
      "te\u001b[31mxt,label\n1,x\n2,y\n1,x\n2,y\n",
      /no column looks like texts beside "label"; it has "te\\u001b\[31mxt", "label"/,
    ],
    ["not a table", "just one line of words\n", /.+/],
    ["zeros", new Uint8Array(4096), /.+/],
  ])("%s", (_, content, message) => {
    writeFileSync(at("hostile.csv"), content);
    const { status, stderr } = run("tasks init hostile.csv --tasks hostile.yaml");
    expect(status).toBe(3);
    expect(stderr).toMatch(message);
    expect(stderr.trim().split("\n")).toHaveLength(1);
    expect(existsSync(at("hostile.yaml"))).toBe(false);
  });

  test("no file, and a name that is GLUE's", () => {
    expect(run("tasks init").stderr).toMatch(/tasks init takes files of rows/);
    const { status, stderr } = run("tasks init intents.csv --name rte --tasks rte.yaml");
    expect([status, stderr]).toEqual([2, expect.stringMatching(/"rte" is a GLUE task's name; choose another/)]);
  });
});

test("tasks that label words are not guessed, and that is said: columns of words, a folder, spans", () => {
  writeFileSync(at("ner.conll"), "a O\nfilm B-x\n\n");
  mkdirSync(at("slots"));
  writeFileSync(
    at("spans.jsonl"),
    `${JSON.stringify({ text: "a film", spans: [{ start: 2, end: 6, label: "x" }] })}\n`,
  );
  for (const [file, why] of [
    ["ner.conll", "has words in columns"],
    ["slots", "is a folder"],
    ["spans.jsonl", 'has spans in "spans"'],
  ]) {
    const { status, stderr } = run(`tasks init ${file} --tasks words.yaml`);
    expect([status, stderr]).toEqual([
      2,
      expect.stringContaining(`${why}, and tasks that label words are not guessed`),
    ]);
    expect(existsSync(at("words.yaml"))).toBe(false);
  }
});
