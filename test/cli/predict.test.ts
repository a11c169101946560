// flexbert predict: what its formats hold of the rows that went in.

import { readFileSync, writeFileSync } from "node:fs";
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
