// flexbert finetune where the train data of some task or all of them is not where it should be.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { temporaryFolder, tinyBase, writeTinyGlue } from "../tiny";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
const run = (line: string) => flexbert(line.split(" "), { cwd, env: { FLEXBERT_CACHE: path.join(cwd, "cache") } });

const entry = (name: string, files: string) =>
  `  - { name: ${name}, files: { ${files} }, columns: { text: text, label: label }, labels: [glad, sad] }\n`;

beforeAll(async () => {
  await writeBase(tinyBase("tiny"), path.join(cwd, "tiny"));
  writeTinyGlue(path.join(cwd, "glue"));
  mkdirSync(path.join(cwd, "own"));
  writeFileSync(path.join(cwd, "own/dev.csv"), "text,label\na good film,glad\n");
  const tasks = [entry("mood", "train: trian.csv, dev: dev.csv"), entry("tone", "dev: dev.csv")];
  writeFileSync(path.join(cwd, "own/tasks.yaml"), `tasks:\n${tasks.join("")}`);
});

test.each(["", " --task all"])("no task with train data: each own task's missing file is named%s", (more) => {
  const { status, stderr } = run(`finetune --tasks own/tasks.yaml --base ./tiny --k 1${more}`);
  expect([status, stderr.split("\n").length]).toEqual([3, 2]);
  expect(stderr).toContain("mood: own/tasks.yaml names trian.csv, which is not there; ");
  expect(stderr).toContain("nor has glue-data any of GLUE's. Correct the tasks file, or give --glue-data");
  expect(stderr.includes("tone: own/tasks.yaml names no train file")).toBe(true);
});

test("without a tasks file the message asks for one", () => {
  const { status, stderr } = run("finetune --base ./tiny --k 1");
  expect([status, stderr]).toEqual([3, expect.stringMatching(/in glue-data\. Give --glue-data, or --tasks with your/)]);
});

test("where other tasks have theirs, a warning names the file of the task that is left out", () => {
  const { status, stderr } = run(
    "finetune --tasks own/tasks.yaml --glue-data glue --base ./tiny --k 1 --max-length 32 --dry-run",
  );
  expect(status).toBe(0);
  expect(stderr).toContain("warning: left out: mood: own/tasks.yaml names trian.csv, which is not there\n");
  expect(stderr).not.toContain("tone");
});
