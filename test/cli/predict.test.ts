// flexbert predict: what its formats hold of the rows that went in.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { temporaryFolder, tinyBase, writeTinyGlue } from "../tiny";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
const run = (line: string, input = "") =>
  flexbert(line.split(" "), { cwd, env: { FLEXBERT_CACHE: path.join(cwd, "cache") }, input });
const write = (file: string, content: string) => writeFileSync(path.join(cwd, file), content);
const cellsOf = (text: string) => text.split("\n").map((line) => line.split("\t"));

beforeAll(async () => {
  await writeBase(tinyBase("tiny"), path.join(cwd, "tiny"));
  writeTinyGlue(path.join(cwd, "glue-data"));
  const finetune = "finetune --task rte,sst2,stsb --k 1 --epochs 1 --max-length 32 --base ./tiny";
  for (const line of [finetune, "merge --no-onnx --base ./tiny"]) {
    const { status, stderr } = run(line);
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  }
});

describe("--format tsv", () => {
  const number = expect.stringMatching(/^-?\d+\.\d+$/);
  const entailment = expect.stringMatching(/^(not_)?entailment$/);

  test("pairs have a column for each text, and the file's id is kept", () => {
    write("pairs.tsv", "sentence1\tsentence2\tindex\na good film\tthe | film\tr7\nbad\tdull book\tr9\n");
    const { status, stdout } = run("predict --file pairs.tsv --format tsv");
    expect(status).toBe(0);
    expect(cellsOf(stdout)).toEqual([
      ["id", "text", "pair", "rte", "rte score", "stsb"],
      ["r7", "a good film", "the | film", entailment, number, number],
      ["r9", "bad", "dull book", entailment, number, number],
      [""],
    ]);
  });

  test("it is read back as it was, by predict itself", () => {
    write("pairs.jsonl", '{"id": 3, "text": "a good film", "pair": "the film"}\n{"text": "bad", "pair": "dull"}\n');
    const first = run("predict --file pairs.jsonl --format tsv").stdout;
    write("again.tsv", first);
    expect(run("predict --file again.tsv --format tsv").stdout).toBe(first);
    expect(cellsOf(first).map(([id]) => id)).toEqual(["id", "3", "", ""]);
  });

  test("single texts have no pair, and rows without an id no id", () => {
    expect(cellsOf(run("predict --format tsv", "a good film\n").stdout)).toEqual([
      ["text", "sst2", "sst2 score"],
      ["a good film", expect.stringMatching(/./), number],
      [""],
    ]);
  });

  test("tabs and line ends inside a text stay inside its cell", () => {
    write("lines.jsonl", `${JSON.stringify({ text: "a\tgood\r\nfilm\n", pair: "the\rbook\t" })}\n`);
    const rows = cellsOf(run("predict --task rte --file lines.jsonl --format tsv").stdout);
    expect(rows).toHaveLength(3);
    expect(rows[1]).toEqual(["a good film ", "the book ", entailment, number]);
  });
});

test("--format jsonl carries the id as it was written, and the texts untouched", () => {
  write("ids.jsonl", '{"idx": 3, "text": "a good\\nfilm"}\n{"idx": "x", "text": "bad"}\n');
  const rows = run("predict --file ids.jsonl --format jsonl").stdout.trim().split("\n");
  expect(rows.map((row) => JSON.parse(row))).toEqual([
    { id: 3, text: "a good\nfilm", pair: null, predictions: { sst2: expect.objectContaining({}) } },
    { id: "x", text: "bad", pair: null, predictions: { sst2: expect.objectContaining({}) } },
  ]);
});

test("--output writes the file alone, and the last line says where", () => {
  const { status, stdout, stderr } = run("predict --format tsv --output scores.tsv", "a good film\n");
  expect([status, stdout]).toEqual([0, ""]);
  expect(stderr).toMatch(/^1 row, 1 task, .*; written to scores\.tsv\n$/m);
  const written = readFileSync(path.join(cwd, "scores.tsv"), "utf8");
  expect(written).toBe(run("predict --format tsv", "a good film\n").stdout);
});

describe("files", () => {
  test("--columns and --keep-columns: any column is a text, the others are handed on", () => {
    write("own.csv", 'nr,message,note\n1,"a good, film",x\n2,bad,"two\nlines"\n');
    const line = "predict --file own.csv --columns text=message --keep-columns";
    const label = expect.stringMatching(/^(positive|negative)$/);
    const score = expect.stringMatching(/^[01]\.\d{4}$/);
    expect(cellsOf(run(`${line} --format tsv`).stdout)).toEqual([
      ["text", "nr", "note", "sst2", "sst2 score"],
      ["a good, film", "1", "x", label, score],
      ["bad", "2", "two lines", label, score],
      [""],
    ]);
    const rows = run(`${line} --format jsonl`).stdout.trim().split("\n");
    expect(rows.map((row) => JSON.parse(row).columns)).toEqual([
      { nr: "1", note: "x" },
      { nr: "2", note: "two\nlines" },
    ]);
    const { status, stderr } = run("predict --file own.csv --columns message");
    expect([status, stderr]).toEqual([2, expect.stringContaining("it takes columns by name, as text=NAME")]);
  });

  // chemprop/chemprop#174: predictions overwrite the file's own column of the task's name
  test("--keep-columns refuses a column that has the name of an output, and writes nothing", () => {
    const line = "predict --keep-columns --output kept.out --format";
    for (const [header, twice] of [
      ["text,sst2", "sst2"],
      ["text,sst2 score", "sst2 score"],
    ]) {
      write("named.csv", `${header}\na good film,mine\n`);
      const { status, stderr } = run(`${line} tsv --file named.csv`);
      expect([status, stderr]).toEqual([
        3,
        expect.stringContaining(`the file's column "${twice}" has the name of one that predict writes`),
      ]);
      expect(readdirSync(cwd)).not.toContain("kept.out");
    }
    write("named.csv", "message,text\na good film,mine\n");
    expect(run(`${line} tsv --file named.csv --columns text=message`).stderr).toContain('column "text" has the name');
    expect(run(`${line} jsonl --file named.csv --columns text=message`).status).toBe(0);
    expect(JSON.parse(readFileSync(path.join(cwd, "kept.out"), "utf8"))).toMatchObject({
      text: "a good film",
      columns: { text: "mine" },
    });
  });

  // fastai/fastai#975: predictions come in the order of lengths, beside the texts of the file's order
  test("each row has its own prediction, whatever its length and its neighbours'", () => {
    const texts = Array.from(
      { length: 150 },
      (_, i) => `${"very ".repeat((i * 37) % 23)}${i % 2 ? "good" : "dull"} film ${i}`,
    );
    const predicted = (lines: readonly string[]) =>
      run("predict --format jsonl", `${lines.join("\n")}\n`)
        .stdout.trim()
        .split("\n")
        .map((row) => JSON.parse(row) as { text: string; predictions: { sst2: { score: number } } });
    const [there, back] = [predicted(texts), predicted([...texts].reverse()).reverse()];
    expect(there.map(({ text }) => text)).toEqual(texts);
    expect(new Set(there.map(({ predictions }) => predictions.sst2.score)).size).toBeGreaterThan(20);
    for (const [i, { text, predictions }] of back.entries()) {
      expect(text).toBe(texts[i]);
      expect(predictions.sst2.score).toBeCloseTo(there[i]?.predictions.sst2.score as number, 5);
    }
  });

  test("rows of GLUE's files are read as the task says, with its ids; two tasks that disagree ask for --columns", () => {
    write("qnli.tsv", "index\tquestion\tsentence\n7\tthe film\tshe saw the film\n");
    expect(cellsOf(run("predict --file qnli.tsv --task rte --format tsv").stdout)[1]).toEqual(
      expect.arrayContaining(["7", "the film", "she saw the film"]),
    );
    const { status, stderr } = run("predict --file qnli.tsv --task sst2 --columns text=question --format tsv");
    expect([status, stderr]).toEqual([0, expect.stringContaining("1 row, 1 task")]);
  });

  test("a broken row is told before any is predicted, without what a terminal would obey", () => {
    write("red.csv", `id,text\n${"1,a\n".repeat(5000)}\u001b[31mred\n`);
    const { status, stdout, stderr } = run("predict --file red.csv --format tsv --output red.tsv");
    expect([status, stdout]).toEqual([3, ""]);
    expect(stderr).toContain("red.csv: 1 broken row (line 5002: 1 column, the header has 2)");
    write("head.csv", "\u001b[31mred,\u009b2J\n1,2\n");
    const refused = run("predict --file head.csv");
    expect(refused.status).toBe(3);
    expect(refused.stderr).toContain("no column of texts among \\u{1b}[31mred, \\u{9b}2J");
    write("told.csv", "text\n\u001b[31mred\u0007\n");
    expect(run("predict --file told.csv").stdout).toContain("\\u001b[31mred\\u0007");
  });

  test("stdin: lines end at LF and CRLF, and any number of them are rows in order", () => {
    const lines = Array.from({ length: 10_000 }, (_, i) => (i % 3 === 0 ? "" : `a \u2028 film ${i}\r.`));
    const { stdout } = run("predict --format jsonl", `${lines.join("\r\n")}\r\n`);
    expect(
      stdout
        .trim()
        .split("\n")
        .map((row) => JSON.parse(row).text),
    ).toEqual(lines);
    expect(run("predict", "").stderr).toContain("there are no rows to predict");
  });

  test("Parquet and what else datasets writes of GLUE: data check and predict", () => {
    const exported = path.join(__dirname, "../fixtures/glue-exported");
    const reports = JSON.parse(flexbert(["data", "check", "--glue-data", exported, "--json"], { cwd }).stdout);
    const found = reports.map(
      ({ task, splits }: { task: string; splits: { split: string; rows: number; broken: unknown[] }[] }) => [
        task,
        ...splits.map(({ split, rows, broken }) => `${split} ${rows} ${broken.length}`),
      ],
    );
    expect(found).toEqual([
      ["cola", "train 2 0", "dev 2 0", "test 1 0"],
      ["stsb", "dev 2 0"],
      ["mnli", "dev 2 0", "dev_mismatched 1 0"],
    ]);
    expect(reports[0].splits[1].labels).toEqual([
      { label: "unacceptable", rows: 1, share: 0.5 },
      { label: "acceptable", rows: 1, share: 0.5 },
    ]);
    expect(reports[1].splits[0].values).toMatchObject({ min: 0, max: 3.75 });
    const file = path.join(exported, "mnli/validation_matched-00000-of-00001.parquet");
    const { stdout } = run(`predict --task rte --file ${file} --format jsonl --keep-columns`);
    expect(
      stdout
        .trim()
        .split("\n")
        .map((row) => JSON.parse(row)),
    ).toMatchObject([
      { id: 0, text: "a premise", pair: "a claim", columns: { label: 0 } },
      { id: 1, text: "b premise", pair: "b claim", columns: { label: 2 } },
    ]);
  });
});

describe("--skip-broken-rows", () => {
  const rows = (count: number, openAt: number) =>
    `text,label\n${Array.from({ length: count }, (_, i) => `${i === openAt ? '"' : ""}a good film,${i % 2 ? "up" : "down"}\n`).join("")}`;
  const task = (name: string) =>
    `  - name: ${name}\n    files: { train: ${name}.csv, dev: ${name}.csv }\n    columns: { text: text, label: label }\n    labels: [up, down]\n`;
  const finetune = "finetune --k 1 --epochs 1 --max-length 16 --base ./tiny --skip-broken-rows --json --task";

  const skippedIn = (name: string) => {
    const files = readdirSync(path.join(cwd, "checkpoints"), { recursive: true, encoding: "utf8" });
    const file = files.find((found) => found.includes(`${path.sep}${name}${path.sep}`) && found.endsWith("run.json"));
    const { trainData, devData } = JSON.parse(readFileSync(path.join(cwd, "checkpoints", file ?? ""), "utf8"));
    return [trainData.skipped, devData.skipped];
  };

  test("rows that an open quote took are counted, said and recorded; more than a tenth stops", () => {
    write("few.csv", rows(40, 38));
    write("many.csv", rows(40, 20));
    write("tasks.yaml", `tasks:\n${task("few")}${task("many")}`);
    const { status, stderr } = run(`${finetune} few`);
    expect([status, stderr]).toEqual([
      0,
      expect.stringContaining("few.csv: 2 of 40 train rows are broken and left out"),
    ]);
    expect(skippedIn("few")).toEqual([2, 2]);
    const refused = run(`${finetune} many`);
    expect([refused.status, refused.stderr]).toEqual([3, expect.stringContaining("20 of 40 are more than 10 %")]);
    expect(refused.stderr).toContain("--max-broken-rows 0.5");
    expect(run(`${finetune} many --max-broken-rows 0.5`).status).toBe(0);
    expect(skippedIn("many")).toEqual([20, 20]);
  });
});
