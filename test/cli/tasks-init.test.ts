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

describe("files whose words have labels", () => {
  const jsonl = (rows: readonly object[]) => `${rows.map((row) => JSON.stringify(row)).join("\n")}\n`;
  const planned = (line: string) => JSON.parse(ran(`tasks init ${line} --tasks words.yaml --dry-run --json`).stdout);
  const entryOf = (line: string) => parse(planned(line).content).tasks[0];

  beforeAll(() => {
    // Rows differ, so that their hash parts train and dev.
    const often = (row: (i: number) => string) => Array.from({ length: 20 }, (_, i) => row(i)).join("");
    const ner = (i: number) =>
      `EU NNP B-NP B-ORG\nrejects VBZ B-VP O\n${i} CD O O\n\nthe DT B-NP O\nlamb NN I-NP O\n\n`;
    writeFileSync(at("ner.conll"), often(ner));
    writeFileSync(
      at("bio-train.tsv"),
      often((i) => `IL-2\tB-DNA\ngene\tI-DNA\n${i}\tO\n\nand\tO\nmore\tO\n\n`),
    );
    mkdirSync(at("slots"));
    writeFileSync(
      at("slots/seq.in"),
      often((i) => `to boston ${i}\nnow\n`),
    );
    writeFileSync(
      at("slots/seq.out"),
      often(() => "O B-city O\nO\n"),
    );
    const words = (tags: (i: number) => readonly unknown[]) =>
      jsonl(Array.from({ length: 20 }, (_, i) => ({ id: i, tokens: ["a", "film", `${i}`], ner_tags: tags(i) })));
    writeFileSync(
      at("named.jsonl"),
      words(() => ["O", "B-x", "O"]),
    );
    writeFileSync(
      at("numbers.jsonl"),
      words((i) => [0, i % 2, 0]),
    );
    const spans = [[], [{ start: 2, end: 6, label: "x" }], [[0, 1, "y"]]];
    writeFileSync(
      at("spans.jsonl"),
      jsonl(Array.from({ length: 21 }, (_, i) => ({ text: `a film ${i}`, spans: spans[i % 3] }))),
    );
    writeFileSync(at("objects.jsonl"), jsonl(spans.map(() => ({ text: "a film", spans: [{ from: 2, to: 6 }] }))));
  });

  test.each<[string, object]>([
    ["ner.conll", { files: { train: "ner.conll" }, columns: { text: 0, label: 3 }, labels: ["B-ORG", "O"] }],
    [
      "bio-train.tsv",
      {
        ...{ files: { train: "bio-train.tsv" }, format: "conll" },
        ...{ columns: { text: 0, label: 1 }, labels: ["B-DNA", "I-DNA", "O"] },
      },
    ],
    [
      "slots",
      {
        ...{ files: { train: "slots" }, format: "folder" },
        ...{ columns: { text: "seq.in", label: "seq.out" }, labels: ["B-city", "O"] },
      },
    ],
    ["named.jsonl", { columns: { text: "tokens", label: "ner_tags" }, labels: ["B-x", "O"] }],
    [
      "numbers.jsonl --labels O,B-x,I-x",
      { columns: { text: "tokens", label: "ner_tags" }, labels: ["O", "B-x", "I-x"] },
    ],
    ["spans.jsonl", { columns: { text: "text", label: "spans" }, labels: ["x", "y"] }],
    ["ner.conll --columns text=0,label=2", { columns: { text: 0, label: 2 }, labels: ["B-NP", "B-VP", "I-NP", "O"] }],
  ])("%s", (line, entry) => {
    expect(entryOf(line)).toMatchObject({ kind: "tagging", ...entry });
  });

  test("are shown with three rows and counts of what has each label", () => {
    const { stdout } = ran("tasks init spans.jsonl --tasks words.yaml --dry-run");
    expect(stdout).toMatch(/^spans: tagging of single texts\n/);
    expect(stdout).toMatch(/a film 1 +\[\{"start":2,"end":6,"label":"x"\}\]\n/);
    expect(stdout).toMatch(/2 labels by words or spans: x 7, y 7\n/);
    expect(planned("numbers.jsonl --labels O,B-x,I-x").labels).toEqual([
      { label: "O", rows: 50 },
      { label: "B-x", rows: 10 },
      { label: "I-x", rows: 0 },
    ]);
  });

  test("a task that is written so is read", () => {
    ran("tasks init named.jsonl --tasks named.yaml");
    const { stdout } = ran("data check --tasks named.yaml --json");
    expect(JSON.parse(stdout)).toMatchObject([{ task: "named" }]);
  });

  test.each<[string, number, RegExp]>([
    ["numbers.jsonl", 2, /"ner_tags" labels words by numbers up to 1, and which tags they are is not in the file/],
    ["numbers.jsonl --labels O", 2, /numbers up to 1, and --labels has 1\. Name them from 0/],
    ["named.jsonl --labels O,B-x", 2, /named\.jsonl has their names\. Leave it out/],
    ["intents.csv --labels O,B-x", 2, /intents\.csv has none\. Leave it out/],
    ["objects.jsonl", 2, /"spans" has lists that are no spans of a start, an end and a label/],
    ["slots --columns text=words", 2, /slots is a folder without words\. Name its files/],
    ["ner.conll --columns text=0,label=1", 3, /no column is of tags such as B-x, I-x and O/],
  ])("%s is refused", (line, code, message) => {
    const { status, stderr } = run(`tasks init ${line} --tasks words.yaml`);
    expect([status, stderr]).toEqual([code, expect.stringMatching(message)]);
    expect(existsSync(at("words.yaml"))).toBe(false);
  });
});
