// flexbert distill where a teacher is no larger than the student that is asked for.

import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { temporaryFolder, tinyBase, writeTinyGlue } from "../tiny";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
const run = (line: string) =>
  flexbert((line === "status" ? line : `${line} --base ./tiny --max-length 32 --epochs 1`).split(" "), {
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

test("students on other forks: cut ranges, a place that is no smaller, and the table with their forks", () => {
  const line = "distill --task stsb --student-layers 1-2 --student-forks same,1-9 --json";
  const { stderr, stdout, status } = run(line);
  expect(status).toBe(0);
  expect(stderr).toContain(
    "student-forks same,1-9: the base has 4 layers, running students of 1 on same,1-3; 2 on same,1-2\n",
  );
  expect(stderr).toContain("stsb: its teacher has 2 layers, no more than a student of 2: it keeps its teacher\n");
  const [{ runs }] = JSON.parse(stdout).tasks;
  const places = runs.map(({ fork, layers }: { fork: number; layers: number }) => [fork, layers]);
  expect(places).toEqual([
    [1, 2],
    [1, 1],
    [2, 1],
    [3, 1],
  ]);
  const again = run(line.replace(" --json", ""));
  expect(again.stdout).toMatch(/^layers +fork +seed +score .*\n2 +1 +1 .*\n1 +1 +1 .*\n1 +2 +1 .*\n1 +3 +1 /m);
  expect(again.stdout).toMatch(/^0 runs trained, 4 finished before/m);
  expect(run("status").stdout).toMatch(/l=1 f=1 \S+, l=1 f=3 \S+, l=1 \S+, l=2 f=1 /);
});

test("whole students: their method in the table and the status, and a config.yaml that is the same run", () => {
  const line = "distill --task stsb --method distilbert --student-layers 2";
  const dry = run(`${line} --dry-run`);
  expect(dry.stdout).toMatch(/^stsb +2 +1 +none +\S+ +0 /m);
  const { stdout, status } = run(`${line} --json`);
  expect(status).toBe(0);
  const [{ runs }] = JSON.parse(stdout).tasks;
  expect(runs).toMatchObject([{ fork: null, layers: 2 }]);
  const again = run(`distill --config ${path.join(runs[0].folder, "config.yaml")}`);
  expect(again.stdout).toMatch(/^method +layers +fork +seed +score .*\ndistilbert +2 +none +1 /m);
  expect(again.stdout).toMatch(/^0 runs trained, 1 finished before/m);
  expect(run("status").stdout).toContain("distilbert l=2");
});

test("--teacher full asks for full fine-tuning, and is in the config.yaml that is the same run", () => {
  const line = "distill --task rte --method vanilla-kd --student-layers 2 --teacher full";
  const without = run(line);
  expect([without.status, without.stderr]).toEqual([
    4,
    expect.stringMatching(
      /--teacher full: no finished k=full for rte in .* Run: flexbert finetune --task rte --k full --base/,
    ),
  ]);
  expect(run("finetune --task rte --k full").status).toBe(0);
  const { status, stdout, stderr } = run(`${line} --json`);
  expect(status).toBe(0);
  expect(stderr).toContain("rte: the teacher is k=full seed 1");
  const [{ runs }] = JSON.parse(stdout).tasks;
  const again = run(`distill --config ${path.join(runs[0].folder, "config.yaml")}`);
  expect(again.stdout).toMatch(/^0 runs trained, 1 finished before/m);
});

test.each([
  ["--student-forks 3 --student-layers 2", /--student-forks 3: .* there is no room for 2\. Give forks of at most 2/],
  ["--student-forks all", /--student-forks "all": it takes forks such as same, 2-5, 3 or same,2,4/],
  ["--method pkd --student-forks 2", /--student-forks: a student of --method pkd is a whole encoder on no fork/],
  [
    "--method patient",
    /--method "patient": it takes one of flexbert, vanilla-kd, distilbert, pkd, theseus, tinybert, minilm/,
  ],
  ["--init pretrained --init-layers top", /--init-layers top names layers of the teacher, and --init pretrained/],
])("distill %s is refused", (flags, message) => {
  const { status, stderr } = run(`distill --task stsb ${flags}`);
  expect([status, stderr]).toEqual([2, expect.stringMatching(message)]);
});
