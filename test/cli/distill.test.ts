// flexbert distill where a teacher is no larger than the student that is asked for.

import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { temporaryFolder, tinyBase, writeTinyGlue } from "../tiny";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
const run = (line: string) =>
  flexbert(`${line} --base ./tiny --max-length 32 --epochs 1`.split(" "), {
    cwd,
    env: { FLEXBERT_CACHE: path.join(cwd, "cache") },
  });

beforeAll(async () => {
  await writeBase(tinyBase("tiny"), path.join(cwd, "tiny"));
  writeTinyGlue(path.join(cwd, "glue-data"));
  for (const line of ["finetune --task rte --k 1", "finetune --task stsb --k 2"]) {
    const { status, stderr } = run(line);
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  }
});

const keeps = (task: string, layers: string) =>
  new RegExp(
    `^${task}: students of a teacher of ${layers} with .* points\n {2}its teacher is no larger: it keeps its teacher\n`,
    "m",
  );

test("the dry run says what the command says, without a table of nothing", () => {
  const line = "distill --task rte --student-layers 1-2";
  const [dry, real] = [run(`${line} --dry-run`), run(line)];
  expect([dry.status, real.status]).toEqual([0, 0]);
  expect(dry.stdout).toMatch(keeps("rte", "1 layer"));
  expect(real.stdout.startsWith(dry.stdout)).toBe(true);
  expect(JSON.parse(run(`${line} --dry-run --json`).stdout).trials).toEqual([]);
});

test("beside a task that has students to train, it stands above their table", () => {
  const { stdout } = run("distill --task rte,stsb --student-layers 1 --dry-run");
  expect(stdout).toMatch(keeps("rte", "1 layer"));
  expect(stdout).not.toMatch(/stsb: students/);
  expect(stdout).toMatch(/^stsb +1 +1 /m);
  expect(stdout).toMatch(/^1 of 1 trials to run/m);
});
