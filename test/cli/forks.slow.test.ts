// An experiment whose students stand on every fork: by two processes, killed and resumed, the same candidates, choice and
// bytes each time. One of its forks is the teacher's, which `same` asks for too.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { until } from "../until";
import { cwd, run, start, table, weights } from "./experiment";
import { flexbert } from "./flexbert";

beforeAll(() => {
  writeFileSync(
    path.join(cwd, "small.yaml"),
    `base: ./tiny
tasks: [rte, stsb]
learning_rate: 1e-3
epochs: 2
batch_size: 8
max_length: 32
finetune: { k: 3-4 }
distill:
  - { student_layers: 1-2, student_forks: "same,0-3", init_layers: depth, epochs: 3 }
  - { tasks: rte, student_layers: 1, student_forks: 2, init_layers: [top, spread], epochs: 3 }
select: { max_layers: 4 }
merge: true
`,
  );
  const { status, stderr } = run("--out alone");
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
});

const chosen = (out: string) =>
  JSON.parse(readFileSync(path.join(cwd, out, "selection.json"), "utf8")).tasks.map(
    ({ task, fork, layers, run: named }: { task: string; fork: number; layers: number; run: { sha256: string } }) => {
      return { task, fork, layers, sha256: named.sha256 };
    },
  );

const same = (out: string) => {
  expect(table(out)).toBe(table("alone"));
  expect(weights(out)).toEqual(weights("alone"));
  expect(chosen(out)).toEqual(chosen("alone"));
};

test("the table has every place once, and the fork that is the teacher's under its two names", () => {
  const [head = "", ...lines] = table("alone").trim().split("\n");
  const column = (line: string, name: string) => line.split(",")[head.split(",").indexOf(name)] as string;
  const students = lines.filter((line) => column(line, "step") === "distill" && column(line, "task") === "rte");
  expect(students).toHaveLength(2 + 2 + 2 + 2 + 1 + 2); // same, forks 0 to 2, fork 3 under one layer, two other starts
  const [teachers] = students.map((line) => column(line, "fork"));
  const ids = students.map((line) => column(line, "id"));
  const twice = students.filter((line) => ids.filter((id) => id === column(line, "id")).length > 1);
  expect(twice.map((line) => column(line, "fork"))).toEqual([teachers, teachers, teachers, teachers]);
  expect(students.slice(-2).map((line) => column(line, "init_layers"))).toEqual(["top", "spread"]);
  expect(chosen("alone")).toHaveLength(2);
});

test("two processes share it", async () => {
  const both = [start("--out shared"), start("--out shared")];
  expect(await Promise.all(both.map(({ ended }) => ended))).toEqual([0, 0]);
  for (const { log } of both) expect(log()).toMatch(/ f=\d from teacher.* epoch 3,/);
  same("shared");
});

test("killed again and again, then resumed", async () => {
  let kills = 0;
  for (const epochs of [1, 9, 5]) {
    const both = [start("--out killed --save-every 0"), start("--out killed --save-every 0")];
    const seen = () => both.flatMap(({ log }) => log().match(/: epoch \d+,/g) ?? []).length;
    await until(() => seen() >= epochs || both.every(({ child }) => child.exitCode !== null));
    for (const { child } of both) if (child.exitCode === null && child.kill("SIGKILL")) kills++;
    await Promise.all(both.map(({ ended }) => ended));
  }
  expect(kills).toBeGreaterThanOrEqual(4);
  expect(run("--out killed").status).toBe(0);
  same("killed");
});

test("the first, one on a fork of its own and one with another start are found again by their config.yaml", () => {
  const rows = table("alone").trim().split("\n").length - 1;
  const { stdout } = flexbert(["plan", "small.yaml", "--out", "alone", "--json"], { cwd });
  const { trials } = JSON.parse(stdout) as { trials: { step: string; folder: string; task: string }[] };
  expect(trials).toHaveLength(rows);
  const students = trials.filter(({ step, task }) => step === "distill" && task === "rte").map(({ folder }) => folder);
  for (const folder of [students.at(0), students.at(4), students.at(-1)] as string[]) {
    const again = flexbert(
      [
        "distill",
        "--config",
        path.join(folder, "config.yaml"),
        "--checkpoints",
        "alone/checkpoints",
        "--engine",
        "wasm",
      ],
      { cwd },
    );
    expect(again.stderr.match(/flexbert: .*/)).toBeNull();
    expect(again.stdout).toMatch(/0 runs trained, 1 finished before/);
  }
});
