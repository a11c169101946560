// flexbert eval where the model's tasks lack the split that is asked for.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { temporaryFolder, tinyBase, writeTinyGlue } from "../tiny";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
const run = (line: string) => flexbert(line.split(" "), { cwd, env: { FLEXBERT_CACHE: path.join(cwd, "cache") } });

const tasksFile = `tasks:
  - name: mood
    files: { train: mood.csv, dev: mood.csv }
    columns: { text: text, label: label }
    labels: [glad, sad]
`;

beforeAll(async () => {
  await writeBase(tinyBase("tiny"), path.join(cwd, "tiny"));
  writeTinyGlue(path.join(cwd, "glue-data"));
  mkdirSync(path.join(cwd, "own"));
  const rows = Array.from({ length: 16 }, (_, row) => `the film was ${row % 2 ? "good,glad" : "bad,sad"}`);
  writeFileSync(path.join(cwd, "own/mood.csv"), `text,label\n${rows.join("\n")}\n`);
  writeFileSync(path.join(cwd, "own/tasks.yaml"), tasksFile);
  const common = "--base ./tiny --tasks own/tasks.yaml";
  for (const line of ["finetune --task mood,rte --k 1 --epochs 1 --max-length 32", "merge --no-onnx"]) {
    const { status, stderr } = run(`${line} ${common}`);
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  }
});

test("a split that none of the tasks has is an error, which names the tasks and who says so", () => {
  const { status, stdout, stderr } = run("eval --tasks own/tasks.yaml --split dev_mismatched");
  expect([status, stdout]).toEqual([3, ""]);
  expect(stderr).toContain("no task of merged has a dev_mismatched file: mood has train, dev (own/tasks.yaml); ");
  expect(stderr).toMatch(/; rte has train, dev, test \(glue-data.RTE\)\. Give another --split\n/);
  expect(run("merge --remove rte --no-onnx").status).toBe(0);
  const test = run("eval --tasks own/tasks.yaml --split test");
  expect([test.status, test.stdout]).toEqual([3, ""]);
  expect(test.stderr).toMatch(
    /has a test file: mood has train, dev \(own\/tasks\.yaml\)\. .* name the file under files/,
  );
});

test("a task that has no such split is passed over where another one has it", () => {
  expect(run("merge --base ./tiny --tasks own/tasks.yaml --no-onnx").status).toBe(0);
  const { status, stdout } = run("eval --tasks own/tasks.yaml --split dev");
  expect([status, stdout]).toEqual([0, expect.stringMatching(/^mood on 16 dev rows[\s\S]*^rte on 12 dev rows/m)]);
});
