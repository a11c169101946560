// flexbert search and `search: auto`: killed and resumed, and shared by two processes, it comes to the same rounds, front,
// choice and bytes, because its budget is units that are written down once.

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { until } from "../until";
import { cwd, weights } from "./experiment";
import { bin, flexbert } from "./flexbert";

const search = (line: string) => flexbert([...line.split(" "), "--engine", "wasm"], { cwd });
const read = (file: string) => readFileSync(path.join(cwd, file), "utf8");

function start(line: string): { child: ChildProcess; log: () => string; ended: Promise<number | null> } {
  const child = spawn(process.execPath, [bin, ...line.split(" "), "--engine", "wasm"], {
    cwd,
    stdio: ["ignore", "ignore", "pipe"],
  });
  let log = "";
  child.stderr?.on("data", (text) => {
    log += text;
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  return { child, log: () => log, ended };
}

/** What a search decided, by its log: the last process saw all rounds, those that it replays too. */
const decided = (log: string) => log.split("\n").filter((line) => /^(round \d+|front|search): /.test(line));

/** A results' folder with a budget that was measured on some machine: the tests are of units, however fast this one is. */
function prepared(out: string, seconds = 20): string {
  mkdirSync(path.join(cwd, out), { recursive: true });
  const unitsPerSecond = 13_000;
  const budget = { format: 1, seconds, seed: 1, unitsPerSecond, engine: "some", units: seconds * unitsPerSecond };
  writeFileSync(path.join(cwd, out, "search.json"), JSON.stringify(budget));
  return out;
}

const products = (out: string) => ({
  trials: read(`${out}/trials.csv`),
  front: read(`${out}/front.csv`),
  selection: JSON.parse(read(`${out}/selection.json`)),
  weights: weights(out),
});

let alone: string[];

beforeAll(() => {
  writeFileSync(
    path.join(cwd, "auto.yaml"),
    `base: ./tiny
tasks: [rte, stsb, sst2]
learning_rate: 1e-3
epochs: [2, 4]
batch_size: 8
max_length: 32
finetune: { k: 1-4 }
distill: { student_layers: 1-2, student_forks: 0-3, epochs: 6, seeds: 2 }
search: auto
budget: 20s
select: { price: 0.5 }
merge: true
`,
  );
  const first = search(`run auto.yaml --out ${prepared("alone")}`);
  expect({ status: first.status, stderr: first.status === 0 ? "" : first.stderr }).toEqual({ status: 0, stderr: "" });
  alone = decided(first.stderr);
});

describe("a search", () => {
  test("prints its front as it grows, writes it down, and stops what it left", () => {
    expect(alone.filter((line) => line.startsWith("round "))).not.toHaveLength(0);
    expect(alone.filter((line) => line.startsWith("front: "))).not.toHaveLength(0);
    const [head, ...lines] = read("alone/front.csv").trim().split("\n");
    expect(head).toBe(
      "layers,average,rte_fork,rte_layers,rte_score,stsb_fork,stsb_layers,stsb_score,sst2_fork,sst2_layers,sst2_score",
    );
    expect(lines.length).toBeGreaterThan(0);
    const { tasks } = JSON.parse(read("alone/selection.json"));
    expect(tasks).toHaveLength(3);
    expect(existsSync(path.join(cwd, "alone/merged/flexbert.json"))).toBe(true);
  });

  test("a dry run lists every trial, and says what a budget makes of them", () => {
    const { status, stdout } = search("run auto.yaml --out dry --dry-run");
    expect([status, stdout]).toEqual([
      0,
      expect.stringMatching(/\nsearch: of these what 20 s reach, where the front can/),
    ]);
    expect(existsSync(path.join(cwd, "dry"))).toBe(false);
  });

  test("repeated it trains nothing, opens no engine and comes to the same", () => {
    const before = products("alone");
    const again = search("run auto.yaml --out alone");
    expect(again.status).toBe(0);
    expect(again.stderr).not.toMatch(/epoch \d+,|engine:/);
    expect(decided(again.stderr)).toEqual(alone);
    expect(products("alone")).toEqual(before);
  });

  test("killed again and again and resumed: the same rounds, front, choice and bytes", async () => {
    const out = prepared("killed");
    for (const mark of [/epoch 1,/, /round 1:/, /round 2:/, /round 3:[\s\S]*epoch/]) {
      const { child, log, ended } = start(`run auto.yaml --out ${out} --save-every 0`);
      await until(() => mark.test(log()) || child.exitCode !== null);
      child.kill("SIGKILL");
      await ended;
    }
    const last = search(`run auto.yaml --out ${out}`);
    expect({ status: last.status, stderr: last.status === 0 ? "" : last.stderr }).toEqual({ status: 0, stderr: "" });
    expect(decided(last.stderr)).toEqual(alone);
    expect(products(out)).toEqual(products("alone"));
  });

  test("two processes on one folder: the same rounds, front, choice and bytes", async () => {
    const out = prepared("shared");
    const both = [start(`run auto.yaml --out ${out}`), start(`run auto.yaml --out ${out}`)];
    expect(await Promise.all(both.map(({ ended }) => ended))).toEqual([0, 0]);
    for (const { log } of both) {
      expect(decided(log())).toEqual(alone);
    }
    // Each trained something.
    for (const { log } of both) expect(log()).toMatch(/epoch \d+,/);
    expect(products(out)).toEqual(products("alone"));
  });
});

describe("flexbert search", () => {
  const options =
    "--base ./tiny --task rte,sst2 --k 2-3 --student-layers 1 --student-forks 2-3 --learning-rate 1e-3 --epochs 2 --max-length 32";

  test("without a file it writes one, measures its rate once, and ends where nothing can move the front", () => {
    const line = `search --budget 100h ${options} --keep 90 --out own`;
    const first = search(`${line} --json`);
    expect({ status: first.status, stderr: first.status === 0 ? "" : first.stderr }).toEqual({ status: 0, stderr: "" });
    const { search: found, steps, results } = JSON.parse(first.stdout);
    expect(found.front.length).toBeGreaterThan(0);
    expect(found.spent).toBeGreaterThan(0);
    expect([steps.select, steps.merge, results]).toEqual(["done", "done", "own/trials.csv"]);
    const { units, unitsPerSecond, seconds } = JSON.parse(read("own/search.json"));
    expect([seconds, units]).toEqual([360_000, Math.round(seconds * unitsPerSecond)]);
    expect(read("own/search.yaml")).toMatch(/^search: auto\nbudget: 360000s\n/m);
    const again = search(line);
    expect(again.stderr).not.toMatch(/epoch \d+,|layer-tokens/);
    expect(again.stdout).toMatch(/the front: the best average dev score in points by layers of the merged model/);
    const other = search(`search --budget 100h ${options} --keep 91 --out own`);
    expect([other.status, other.stderr]).toEqual([
      2,
      expect.stringMatching(/own\/search\.yaml is of a search with other/),
    ]);
  });

  test("of an experiment's file it takes everything but its budget; `search: halving` has none", () => {
    writeFileSync(
      path.join(cwd, "halving.yaml"),
      `base: ./tiny
tasks: [rte, sst2]
learning_rate: 1e-3
epochs: 4
max_length: 32
finetune: { k: 1-4 }
distill: { student_layers: 1, student_forks: 2-3, epochs: 2 }
search: halving
`,
    );
    const { status, stderr, stdout } = search("run halving.yaml --out halved --json");
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
    expect(existsSync(path.join(cwd, "halved/search.json"))).toBe(false);
    const { search: halved } = JSON.parse(stdout);
    // Each student was trained to its end, whatever k was stopped.
    const students = (epoch: number) => stderr.match(new RegExp(`l=1 f=\\d from .*: epoch ${epoch},`, "g")) ?? [];
    expect(students(2)).toHaveLength(students(1).length);
    expect(students(2).length).toBeGreaterThan(0);
    expect(halved.finished).toBeLessThanOrEqual(halved.begun);
    const budgeted = search(`search halving.yaml --budget 20s --out ${prepared("budgeted")}`);
    expect({ status: budgeted.status, stderr: budgeted.status === 0 ? "" : budgeted.stderr }).toEqual({
      status: 0,
      stderr: "",
    });
    expect(budgeted.stderr).toMatch(/^search: \d+ rounds, \d+ % of the budget/m);
  });
});

test("a trial that diverges counts as finished without a score, and the search goes on; the next one knows it", () => {
  writeFileSync(
    path.join(cwd, "wild.yaml"),
    `base: ./tiny
tasks: [rte]
learning_rate: [1e-3, 1e30]
epochs: 2
max_length: 32
finetune: { k: 2-3 }
distill: { student_layers: 1, student_forks: 2-3, learning_rate: 1e-3, epochs: 2 }
search: auto
budget: 20s
`,
  );
  const first = search(`run wild.yaml --out ${prepared("wild")}`);
  expect({ status: first.status, stderr: first.status === 0 ? "" : first.stderr }).toEqual({ status: 0, stderr: "" });
  expect(first.stderr).toMatch(/^warning: trial \d+, rte k=\d seed 1, 2 epochs at 1e\+30: the loss is /m);
  expect(readdirSync(path.join(cwd, "wild/diverged")).length).toBeGreaterThan(0);
  expect(read("wild/front.csv").trim().split("\n").length).toBeGreaterThan(1);
  const again = search("run wild.yaml --out wild");
  expect(again.stderr).not.toMatch(/epoch \d+,|the loss is/);
  expect(decided(again.stderr)).toEqual(decided(first.stderr));
});

describe("bad input", () => {
  test.each([
    ["search", 2, /--budget says how long to search/],
    ["search --budget 2", 2, /--budget "2": it takes a time such as 2h/],
    ["search --budget 1h --base ./tiny --cross --out x", 2, /cross goes with a rule: give --keep, --price or a limit/],
    ["search auto.yaml --budget 1h --k 1", 2, /--k: auto\.yaml says that/],
    ["search auto.yaml --budget 30s --out alone", 2, /a budget of 20 s and seed 1, and this one has 30 s and 1/],
    [
      "search auto.yaml --budget 0.01s --out small",
      2,
      /a budget of 0\.0 s is too small: one teacher a task takes about/,
    ],
    ["run auto.yaml --trial 1", 2, /--trial 1: auto\.yaml has search: auto, which decides by itself/],
    ["run auto.yaml --shard 0/2", 2, /--shard 0\/2: auto\.yaml has search: auto/],
    ["run auto.yaml --only finetune", 2, /--only finetune: auto\.yaml has search: auto/],
    ["run auto.yaml --force", 2, /--force: auto\.yaml has search: auto/],
    ["run auto.yaml --out none --only select", 4, /none holds no search\. Run: flexbert run auto\.yaml/],
  ])("%s", (line, code, message) => {
    const { status, stderr, stdout } = search(line);
    expect([status, stderr, stdout]).toEqual([code, expect.stringMatching(message), ""]);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  test("a budget that was too small leaves no trace: a larger one may be given", () => {
    expect(existsSync(path.join(cwd, "small/search.json"))).toBe(false);
  });
});
