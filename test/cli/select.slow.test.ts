// flexbert select from tables and from stored runs, and merge of what it chose.

import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { storedManifest } from "../merged";
import { temporaryFolder, tinyBase, writeTinyGlue } from "../tiny";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
const env = { FLEXBERT_CACHE: path.join(cwd, "cache") };
const run = (line: string) => flexbert(line.split(" "), { cwd, env });
const json = (line: string) => {
  const { status, stdout, stderr } = run(`${line} --json`);
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(stdout);
};
const readJson = (file: string) => JSON.parse(readFileSync(path.join(cwd, file), "utf8"));
const writeJson = (file: string, value: unknown) => writeFileSync(path.join(cwd, file), JSON.stringify(value));
const trained = "--base ./tiny --max-length 32 --epochs 1 --learning-rate 1e-3";
const paper = path.join(__dirname, "../fixtures/paper/candidates.csv");

beforeAll(async () => {
  writeTinyGlue(path.join(cwd, "glue-data"));
  await writeBase(tinyBase("tiny"), path.join(cwd, "tiny"));
  await writeBase(tinyBase("other", { seed: 2 }), path.join(cwd, "other"));
  for (const line of ["finetune --task rte --k 3", "finetune --task stsb --k 2", "distill --student-layers 1-2"]) {
    const { status, stderr } = run(`${line} ${trained}`);
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  }
});

describe("from a table", () => {
  test("the paper's c = 1: 26 branch + 7 shared layers, average 82.5, in the file's own unit", () => {
    const { tasks, shared, total, overhead, average, unit } = json(`select --scores ${paper} --threshold 1`);
    expect({ shared, total, overhead, unit }).toEqual({ shared: 7, total: 33, overhead: 33 / 96, unit: "points" });
    expect(average).toBeCloseTo(82.475, 9);
    const rte = tasks.find(({ task }: { task: string }) => task === "RTE");
    expect(rte).toMatchObject({ fork: 7, layers: 5, score: 71.5, role: "teacher", run: null });
    expect(rte.candidates.map(({ chosen }: { chosen: boolean }) => chosen)).toEqual([false, false, false, true]);
  });

  test("prints every candidate, the choice and why", () => {
    const { stdout, stderr } = run(`select --scores ${paper}`);
    expect(stderr).toMatch(/8 tasks on a base of 12 layers, scores read as points/);
    expect(stdout).toMatch(/^RTE +teacher +5 +7 +71\.5 +\* +\+1\.35 a layer over 1 layer: at least 1$/m);
    expect(stdout).toMatch(
      /\nthreshold 1: 8 tasks, 7 shared \+ 26 task layers = 33 of 8 x 12 \(34\.4 %\), average 82\.5\n$/,
    );
  });

  test("budgets of layers and milliseconds, and some of the tasks", () => {
    writeJson("costs.json", { sharedLayerMs: 1, branchLayerMs: 1, fixedMs: 7 });
    const byLayers = json(`select --scores ${paper} --max-layers 25`);
    const byTime = json(`select --scores ${paper} --max-latency 32 --latency costs.json`);
    expect(byLayers.total).toBeLessThanOrEqual(25);
    expect(byTime.tasks.map((one: { layers: number }) => one.layers)).toEqual(
      byLayers.tasks.map((one: { layers: number }) => one.layers),
    );
    expect(byTime.latencyMs).toBe(7 + byTime.total);
    const two = json(`select --scores ${paper} --task cola,rte --select kd-2`);
    expect(two.tasks.map(({ task, layers }: { task: string; layers: number }) => [task, layers])).toEqual([
      ["CoLA", 2],
      ["RTE", 2],
    ]);
    expect(two.shared).toBe(7);
  });
});

describe("from stored runs", () => {
  test("the candidates are each task's students and its teacher, in fractions", () => {
    const { tasks, unit, total, shared } = json("select --base ./tiny --select teacher");
    expect(unit).toBe("fractions");
    const shapes = tasks.map((one: { task: string; candidates: { layers: number; role: string }[] }) => [
      one.task,
      one.candidates.map(({ layers, role }) => `${role} ${layers}`),
    ]);
    expect(shapes).toEqual([
      ["stsb", ["student 1", "teacher 2"]],
      ["rte", ["student 1", "student 2", "teacher 3"]],
    ]);
    expect([shared, total]).toEqual([2, 7]);
  });

  test("merge takes exactly what was chosen, with whatever its own default would be", () => {
    const chosen = json("select --base ./tiny --select rte=kd-1,stsb=teacher --out chosen.json");
    const { tasks, overhead } = json("merge --base ./tiny --select chosen.json --out merged-chosen");
    const runs = Object.fromEntries(chosen.tasks.map((one: { task: string; run: string }) => [one.task, one.run]));
    for (const { name, run: merged } of tasks) expect(runs[name]).toContain(merged.split(" ")[1]);
    expect(tasks.map(({ name, layers }: { name: string; layers: number }) => [name, layers])).toEqual([
      ["rte", 1],
      ["stsb", 2],
    ]);
    expect(overhead).toMatchObject({ shared: chosen.shared, layers: chosen.total });
    const one = json("merge --base ./tiny --select chosen.json --task rte --out merged-one");
    expect(one.tasks.map(({ name }: { name: string }) => name)).toEqual(["rte"]);
    expect(readJson("chosen.json").tasks[0].run.folder).toMatch(/^tiny\/stsb\/finetune\/k02-seed1-[0-9a-f]{8}$/);
  });

  test("the checkpoints may lie elsewhere by then", () => {
    run("select --base ./tiny --select teacher --out moved.json");
    renameSync(path.join(cwd, "checkpoints"), path.join(cwd, "elsewhere"));
    try {
      const missing = run("merge --base ./tiny --select moved.json --out merged-moved");
      expect([missing.status, missing.stderr]).toEqual([
        4,
        expect.stringMatching(/there is no such run.*--checkpoints/),
      ]);
      expect(run("merge --base ./tiny --select moved.json --checkpoints elsewhere --out merged-moved").status).toBe(0);
    } finally {
      renameSync(path.join(cwd, "elsewhere"), path.join(cwd, "checkpoints"));
    }
  });

  test("a run that was trained again, goes on, or is another task's is refused before anything is written", () => {
    run("select --base ./tiny --select teacher --out again.json");
    const [stsb] = readJson("again.json").tasks;
    const record = path.join("checkpoints", stsb.run.folder, "run.json");
    const whole = readJson(record);
    const refused = (changed: object, message: RegExp) => {
      writeJson(record, { ...whole, ...changed });
      const { status, stderr } = run("merge --base ./tiny --select again.json --out merged-again");
      writeJson(record, whole);
      expect([status, stderr]).toEqual([4, expect.stringMatching(message)]);
      expect(() => readFileSync(path.join(cwd, "merged-again/flexbert.json"))).toThrow();
    };
    refused(
      { sha256: "0".repeat(64) },
      /with sha256 \w{8}, which has 00000000 by now.*flexbert select --out again\.json/,
    );
    refused({ state: "running" }, /not finished any more/);
    refused({ task: "rte" }, /which is a run of rte/);
  });

  test("a choice from a table takes the stored runs of its shapes", () => {
    writeFileSync(
      path.join(cwd, "own.csv"),
      "task,base_layers,fork,layers,score\nRTE,4,1,1,60\nRTE,4,1,3,70\nSTS-B,4,2,1,80\nSTS-B,4,2,2,80.5\n",
    );
    expect(run("select --scores own.csv --threshold 2 --out own.json").status).toBe(0);
    expect(readJson("own.json").tasks.map(({ score }: { score: number }) => score)).toEqual([0.7, 0.8]);
    const { status, stderr } = run("merge --base ./tiny --select own.json --out merged-own");
    expect([status, stderr]).toEqual([0, expect.stringMatching(/rte: own\.json comes from a table .*finetune\/k03/)]);
    const shapes = storedManifest(path.join(cwd, "merged-own")).tasks;
    expect(shapes.map(({ fork, layers }: { fork: number; layers: number }) => [fork, layers])).toEqual([
      [1, 3],
      [2, 1],
    ]);
    run(`select --scores ${paper} --out paper.json`);
    const foreign = run("merge --base ./tiny --select paper.json --task rte --out merged-paper");
    expect([foreign.status, foreign.stderr]).toEqual([4, expect.stringMatching(/5 layers above fork 7 for rte/)]);
  });

  test("--measure times the base's layers, and the file serves --max-latency on that base alone", () => {
    const measured = json(
      "select --measure --base ./tiny --length 16 --batch-size 2 --latency measured.json --engine wasm",
    );
    expect(measured.branchLayerMs).toBeGreaterThan(0);
    expect(readJson("measured.json")).toEqual(measured);
    expect(measured.measured).toMatchObject({ base: "tiny", length: 16, batchSize: 2 });
    const { latencyMs, tasks } = json("select --base ./tiny --max-latency 10000 --latency measured.json");
    expect(latencyMs).toBeGreaterThan(0);
    expect(tasks).toHaveLength(2);
    const now = json("select --base ./tiny --measure --length 8 --max-latency 10000 --max-layers 4 --engine wasm");
    expect(now.total).toBeLessThanOrEqual(4);
    const file = { ...measured, measured: { ...measured.measured, baseSha256: "0".repeat(64), base: "bert-large" } };
    writeJson("foreign.json", file);
    const { status, stderr } = run("select --base ./tiny --max-latency 9 --latency foreign.json");
    expect([status, stderr]).toEqual([2, expect.stringMatching(/measured on the base bert-large/)]);
  });
});

describe("bad input", () => {
  test.each([
    ["select --threshold 1 --max-layers 9", 2, /--threshold and --max-layers exclude each other/],
    ["select --threshold 1 --select best", 2, /exclude each other/],
    ["select --threshold -1", 2, /at least 0/],
    ["select --max-layers 0", 2, /whole number of at least 1/],
    ["select --max-latency 9", 2, /give --latency FILE, or --measure/],
    ["select --latency x.json", 2, /--latency x\.json does nothing by itself/],
    ["select --measure --threshold 1", 2, /--measure times layers for --max-latency, not for --threshold/],
    ["select --batch-size 8", 2, /--batch-size 8 is about what --measure times: give that too/],
    ["select --max-latency 9 --latency x.json --length 64", 2, /--length 64 is about what --measure times/],
    ["select --measure --base ./tiny --length 65", 2, /tiny takes at most 64/],
    ["select --max-latency 9 --latency x.json --allow-unshared", 2, /one shared trunk/],
    ["select --price 1 --keep 99", 2, /--price and --keep exclude each other/],
    ["select --threshold 1 --price 1", 2, /--threshold and --price exclude each other/],
    ["select --threshold 1 --max-bytes 9MB", 2, /--threshold and --max-bytes exclude each other/],
    ["select --keep 99 --select best", 2, /--keep and --select exclude each other/],
    ["select --max-bytes 10%", 2, /a size such as 100MB or 2GiB/],
    ["select --max-bytes 9MB --allow-unshared", 2, /--max-bytes and --allow-unshared exclude each other/],
    ["select --select best --within-noise", 2, /a name compares no scores/],
    [`select --scores ${paper} --cross`, 2, /--cross needs predictions, and a table of scores has none/],
    [`select --scores ${paper} --within-noise`, 2, /--within-noise needs seeds, and a table of scores has none/],
    [`select --scores ${paper} --keep 101`, 2, /the best keeps 100\.\d+ %\. Ask for less/],
    ["select --measure --price 1", 2, /--measure times layers for --max-latency, not for --price/],
    ["select --base ./tiny --threshold 1 --cross --glue-data elsewhere", 3, /dev file of stsb is missing/],
    ["select --select kd2", 2, /--select kd2/],
    [`select --scores ${paper} --select RTA=best`, 2, /RTA is not among the tasks \(did you mean "RTE"\?\)/],
    ["select --score-unit points", 2, /give that too/],
    ["select --out choice.txt", 2, /ends with \.json/],
    ["select --out no/where.json", 2, /the folder no does not exist/],
    ["select --scores absent.csv", 3, /absent\.csv cannot be read/],
    [`select --scores ${paper} --task rta`, 2, /--task rta: .* no such task \(did you mean "RTE"\?\)/],
    [`select --scores ${paper} --max-layers 14`, 2, /the smallest choice has 7 shared \+ 8 task layers = 15/],
    ["select --base ./tiny --max-layers 3", 2, /--max-layers 3: the smallest choice has 2 shared/],
    ["select --base ./other", 4, /no finished run in checkpoints for the base other/],
    ["select --base ./tiny --task cola", 4, /cola has no run on the base tiny\. Run: flexbert finetune --task cola/],
    ["select --base nowhere", 4, /flexbert pull nowhere/],
    ["merge --base ./tiny --select rta=teacher", 2, /rta is not among the tasks \(did you mean "rte"\?\): .*rte/],
    ["merge --base ./tiny --task stsb --select rte=teacher", 2, /rte is not among the tasks.*: stsb/],
    ["merge --base ./tiny --select absent.json", 2, /absent\.json cannot be read \(ENOENT\).*flexbert select --out/],
    ["merge --base ./tiny --select tiny/config.json", 2, /is no selection \(format: /],
    ["merge --base ./other --select chosen.json", 4, /chosen on the base tiny .* of other .*--base tiny/],
    ["merge --base ./tiny --select chosen.json --task sst2", 2, /--task sst2: chosen\.json has no such task/],
  ])("%s", (line, code, message) => {
    const { status, stderr, stdout } = run(line);
    expect([status, stderr, stdout]).toEqual([code, expect.stringMatching(message), ""]);
    expect(stderr).not.toMatch(/\n\s+at /);
  });

  test.each([
    ["a path out of the checkpoints", (file: Selection) => set(file, "folder", "../secret"), /no folder under/],
    ["an absolute path", (file: Selection) => set(file, "folder", "/etc"), /no folder under/],
    ["a task twice", (file: Selection) => ({ ...file, tasks: [file.tasks[0], file.tasks[0]] }), /names a task twice/],
    ["no tasks", (file: Selection) => ({ ...file, tasks: [] }), /tasks: /],
    ["another format", (file: Selection) => ({ ...file, format: 2 }), /has format 2/],
    [
      "a newer format",
      (file: Selection) => ({ ...file, format: 2, flexbert: "9.1.0" }),
      /made by flexbert 9\.1\.0; this is \d/,
    ],
  ])("a selection with %s", (_, change, message) => {
    writeJson("changed.json", change(readJson("chosen.json")));
    const { status, stderr } = run("merge --base ./tiny --select changed.json");
    expect([status, stderr]).toEqual([2, expect.stringMatching(message)]);
    rmSync(path.join(cwd, "changed.json"));
  });
});

describe("for all tasks together", () => {
  type Described = { task: string; candidates: { role: string; layers: number; fork: number; teacher: unknown }[] };

  beforeAll(() => {
    const { status, stderr } = run(`finetune --task rte --k 1-3 --seeds 2 ${trained}`);
    expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  });

  test("every k is a candidate beside teacher and students; the choice says what taught it", () => {
    const chosen = json("select --base ./tiny --price 0 --out price.json");
    const rte = chosen.tasks.find(({ task }: Described) => task === "rte") as Described;
    expect(new Set(rte.candidates.map(({ role, layers }) => `${role} ${layers}`)).size).toBe(rte.candidates.length);
    expect(rte.candidates.filter(({ role }) => role !== "student")).toHaveLength(3);
    expect(rte.candidates.filter(({ role }) => role === "teacher")).toHaveLength(1);
    for (const { role, teacher } of rte.candidates) {
      expect(teacher).toEqual(role === "student" ? expect.objectContaining({ id: expect.any(String) }) : null);
    }
    expect(chosen.bytes).toBeGreaterThan(0);
    expect(readJson("price.json").teachers).toBeCloseTo(chosen.teachers, 12);
    expect(run("merge --base ./tiny --select price.json --out merged-price").status).toBe(0);
    const { overhead } = json("merge --base ./tiny --select price.json --out merged-price");
    expect(overhead.layers).toBe(chosen.total);
  });

  test("a size of bytes, a share to keep, and noise where there are seeds", () => {
    const all = json("select --base ./tiny --keep 100");
    const few = json("select --base ./tiny --keep 0");
    expect(few.total).toBeLessThanOrEqual(all.total);
    const bounded = json(`select --base ./tiny --price 0 --max-bytes ${few.bytes}`);
    expect(bounded.total).toBe(few.total);
    const { status, stderr } = run(`select --base ./tiny --max-bytes ${few.bytes - 1}`);
    expect([status, stderr]).toEqual([2, expect.stringMatching(/the smallest choice has/)]);
    const noisy = run("select --base ./tiny --price 0.1 --within-noise");
    expect(noisy.stderr).toMatch(/rte: a seed moves the score by .* points \(from 3 further seeds\)/);
    expect(noisy.stderr).toMatch(/stsb: one seed of each place, so there is no noise to be had/);
    expect(noisy.stdout).toMatch(/\nprice 0\.1, within noise: 2 tasks, /);
  });

  test("--cross predicts the dev rows once, and shows the crossed scores beside the maximum", () => {
    const first = run("select --base ./tiny --price 0 --cross --engine wasm --out crossed.json");
    expect(first.stderr).toMatch(/rte: predicting 12 dev rows with \d+ branches/);
    expect(first.stderr).not.toMatch(/in its run\.json/);
    expect(first.stdout).toMatch(/\ncrossed: average .*the maximum on dev, which choosing inflates: .*, teachers /);
    const again = run("select --base ./tiny --price 0 --cross --engine wasm");
    expect(again.stderr).not.toMatch(/predicting|engine: /);
    expect(again.stdout).toBe(first.stdout);
    const { cross } = json("select --base ./tiny --threshold 1 --cross");
    expect(cross.tasks.map(({ task }: { task: string }) => task)).toEqual(["stsb", "rte"]);
    for (const { choices, score } of cross.tasks) {
      expect(score).toBeCloseTo((choices[0].score + choices[1].score) / 2, 12);
    }
    expect(readJson("crossed.json").cross.layers).toHaveLength(2);
    expect(run("merge --base ./tiny --select crossed.json --out merged-crossed").status).toBe(0);
    expect(json("report --base tiny --selection crossed.json --out report-crossed").files).toContain(
      "data/selection.csv",
    );
  });
});

interface Selection {
  readonly tasks: readonly { readonly run: object }[];
}

/** The first task's run with another value. */
const set = (file: Selection, key: string, value: string) => ({
  ...file,
  tasks: file.tasks.map((one, i) => (i === 0 ? { ...one, run: { ...one.run, [key]: value } } : one)),
});
