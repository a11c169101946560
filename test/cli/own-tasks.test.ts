// The user's own tasks after training: every command finds their file again or says which to give; and a quick look on
// a few dev rows does not take over what was trained on all of them.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { cachedFolder } from "../../src/files/cache";
import { temporaryFolder, tinyBase, writeTinyGlue } from "../tiny";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
const env = { FLEXBERT_CACHE: path.join(cwd, "cache") };
const run = (line: string) => flexbert(line.split(" "), { cwd, env });
const own = "--base tiny --tasks own/mine.yaml --max-length 32";

function ran(line: string): string {
  const { status, stderr } = run(line);
  expect({ line, status, stderr: status === 0 ? "" : stderr }).toEqual({ line, status: 0, stderr: "" });
  return stderr;
}

beforeAll(async () => {
  await writeBase(tinyBase("tiny"), cachedFolder("tiny", env.FLEXBERT_CACHE));
  writeTinyGlue(path.join(cwd, "own"));
  mkdirSync(path.join(cwd, "own"), { recursive: true });
  writeFileSync(
    path.join(cwd, "own/mine.yaml"),
    `tasks:
  - name: mood
    files: { train: SST-2/train.tsv, dev: SST-2/dev.tsv }
    columns: { text: sentence, label: label }
    labels: ["0", "1"]
    metric: accuracy
`,
  );
  ran(`finetune ${own} --task mood --k 2-3 --epochs 1`);
});

test("status names the tasks file in its next step", () => {
  expect(run("status").stdout).toMatch(/flexbert distill --task mood --base tiny --tasks own\/mine\.yaml/);
});

test("merge and select without the file say that there are runs, and which file to give", () => {
  for (const command of ["merge --base tiny", "select --base tiny"]) {
    const { status, stderr } = run(command);
    expect(status).toBe(4);
    expect(stderr).toMatch(/checkpoints\/tiny has runs of mood, .* Give --tasks own\/mine\.yaml/);
  }
});

test("a run folder, and its config.yaml, know the file", () => {
  const [task] = JSON.parse(run("status --json").stdout);
  const { teacher } = task;
  ran(`eval --model ${teacher}`);
  ran(`finetune --config ${path.join(teacher, "config.yaml")}`);
});

test("a quick look stays one: what was scored on all dev rows remains the teacher, and that is said", () => {
  const before = JSON.parse(run("status --json").stdout)[0].teacher;
  const { status, stderr } = run(`finetune ${own} --task mood --k 1 --epochs 1 --max-eval-samples 1`);
  expect(status).toBe(0);
  expect(stderr).toMatch(/mood: a quick look\. The teacher stays k=\d seed 1, .* points on 12 dev rows/);
  expect(JSON.parse(run("status --json").stdout)[0].teacher).toBe(before);
  expect(run(`merge ${own.replace(" --max-length 32", "")} --dry-run`).stderr).toMatch(
    /mood: 1 run scored on other dev rows left out/,
  );
});

test("finetune says in which options the runs of its table differ", () => {
  const { stderr } = run(`finetune ${own} --task mood --k 2 --epochs 2`);
  expect(stderr).toMatch(/mood: its runs differ in --epochs too; flexbert report keeps them apart/);
});
