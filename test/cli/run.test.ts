// A small experiment through the command line: what it leaves, what it does again, and what it refuses.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { all, cwd, run, table, trained } from "./experiment";
import { flexbert } from "./flexbert";

describe("flexbert run", () => {
  test("trains every trial once, merges, and does nothing when repeated", () => {
    const first = run("--out alone --tensorboard");
    expect({ status: first.status, stderr: first.status === 0 ? "" : first.stderr }).toEqual({ status: 0, stderr: "" });
    expect(trained(first.stderr)).toEqual(all);
    // Trained and merged on the one engine that was asked for.
    expect(first.stderr.match(/^engine: \w+/gm)).toEqual(["engine: wasm", "engine: wasm"]);
    expect(first.stdout).toMatch(/rte +k=3 .* 2 +1\n/);
    expect(table("alone").trim().split("\n")).toHaveLength(13);
    expect(readFileSync(path.join(cwd, "alone/scores.csv"), "utf8").trim().split("\n")).toHaveLength(13);
    const chosen = flexbert(["select", "--scores", "alone/scores.csv", "--max-layers", "99", "--json"], { cwd });
    expect({ status: chosen.status, stderr: chosen.status === 0 ? "" : chosen.stderr }).toEqual({
      status: 0,
      stderr: "",
    });
    expect(existsSync(path.join(cwd, "alone/merged/flexbert.json"))).toBe(true);
    // Event files beside metrics.jsonl, one a run folder.
    const files = readdirSync(path.join(cwd, "alone/checkpoints"), { recursive: true }) as string[];
    const folders = (name: RegExp) => files.filter((file) => name.test(file)).map((file) => path.dirname(file));
    expect(folders(/events\.out\.tfevents\./).sort()).toEqual(folders(/metrics\.jsonl$/).sort());

    const again = run("--out alone --json");
    expect(again.status).toBe(0);
    expect(again.stderr).not.toMatch(/epoch \d+,|engine:/);
    expect(JSON.parse(again.stdout)).toMatchObject({ trials: 12, finished: 12, steps: { merge: "skipped" } });
  });

  test("--from and --force do a step again; runs of other experiments in the folder are refused", () => {
    expect(run("--out alone --from merge").stderr).toMatch(/merge: nothing has changed, skipped/);
    expect(run("--out alone --from merge --force").stderr).toMatch(/merge: done/);
    const file = path.join(cwd, "small.yaml");
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.replace("epochs: [2, 4]", "epochs: [2]"));
    try {
      const { status, stderr } = run("--out alone");
      expect(status).toBe(2);
      expect(stderr).toMatch(/2 finished finetune runs of rte in alone.checkpoints are no trials of small.yaml/);
    } finally {
      writeFileSync(file, text);
    }
  });

  test("a dry run says time and disk, and writes nothing", () => {
    const { status, stdout } = run("--out nothing --dry-run --json");
    expect(status).toBe(0);
    const { trials, totalSeconds, openBytes, steps } = JSON.parse(stdout);
    expect(trials).toHaveLength(12);
    expect(totalSeconds).toBeGreaterThan(0);
    expect(openBytes).toBeGreaterThan(0);
    expect(steps).toEqual(["finetune", "distill", "merge"]);
    expect(existsSync(path.join(cwd, "nothing"))).toBe(false);
  });
});

test("a dry run and a plan of a halving say what it leaves", () => {
  writeFileSync(
    path.join(cwd, "halved.yaml"),
    `${readFileSync(path.join(cwd, "small.yaml"), "utf8")}search: halving\n`,
  );
  const halved = (line: string) => flexbert([...line.split(" "), "--out", "nothing"], { cwd });
  const { openFlops, halving } = JSON.parse(halved("plan halved.yaml --json").stdout);
  expect(halving.least).toBeGreaterThan(0);
  expect(halving.most).toBeGreaterThan(halving.least);
  expect(halving.most).toBeLessThan(openFlops);
  const { stdout } = halved("run halved.yaml --dry-run");
  expect(stdout).toMatch(/^search: halving stops the k that lag behind: .* to .* of that, more where scores tie$/m);
});

test("exits of the runs that are merged: once, in a dry run, and as a step alone", () => {
  const text = readFileSync(path.join(cwd, "small.yaml"), "utf8");
  // Of four layers a rule is sure to pay; of students of one, none does.
  const merging = text.replace("merge: true", "merge: { select: teacher }");
  writeFileSync(path.join(cwd, "leaving.yaml"), `${merging}exits: { tasks: rte, epochs: 1, budget: 2 }\n`);
  const leaving = (line: string) =>
    flexbert(
      [
        "run",
        "leaving.yaml",
        "--engine",
        "wasm",
        "--out",
        "leaving",
        "--checkpoints",
        "alone/checkpoints",
        ...line.split(" "),
      ],
      { cwd },
    );
  const early = leaving("--only merge");
  expect([early.status, early.stderr]).toEqual([
    4,
    expect.stringMatching(/merge needs the step exits: .*exits.json is missing/),
  ]);
  expect(leaving("--dry-run").stdout).toMatch(/^exits: at most .* in which rows pass the model for ramps$/m);
  const { status, stdout, stderr } = leaving("--from exits");
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toMatch(/^rte: texts leave where the entropy is at most .*, which takes at most 2 layers/m);
  const { tasks } = JSON.parse(readFileSync(path.join(cwd, "leaving/exits.json"), "utf8"));
  expect(tasks).toMatchObject([{ task: "rte", stored: true, exits: { budget: 2 } }]);
  // Of the very run that is merged.
  const { current } = JSON.parse(readFileSync(path.join(cwd, "leaving/merged/flexbert.json"), "utf8"));
  const manifest = JSON.parse(readFileSync(path.join(cwd, `leaving/merged/manifests/${current}.json`), "utf8"));
  const [rte, stsb] = ["rte", "stsb"].map((name) =>
    manifest.tasks.find((task: { name: string }) => task.name === name),
  );
  expect(rte.exits).toMatchObject({ rule: tasks[0].exits });
  expect(stsb.exits).toBeUndefined();
  expect(leaving("--from exits").stderr).toMatch(/exits: nothing has changed, skipped/);
  const again = leaving("--only exits --force");
  expect(again.stderr).toMatch(/epoch 1/);
});

describe("flexbert plan", () => {
  test("the same indices and ids before and after, states by what is there", () => {
    const plan = (out: string) =>
      JSON.parse(flexbert(["plan", "small.yaml", "--out", out, "--json"], { cwd }).stdout).trials;
    const [before, after] = [plan("nothing"), plan("alone")];
    const of = (trials: { state: string; id: string }[], key: "state" | "id") => trials.map((trial) => trial[key]);
    expect(of(before, "state")).toEqual([...Array(8).fill("open"), ...Array(4).fill("waiting")]);
    expect(of(after, "state")).toEqual(Array(12).fill("finished"));
    expect(of(before, "id").slice(0, 8)).toEqual(of(after, "id").slice(0, 8));
    expect(of(before, "id").slice(8)).toEqual([null, null, null, null]);
    expect(new Set(of(after, "id")).size).toBe(12);
    expect(existsSync(path.join(cwd, "nothing"))).toBe(false);
  });
});

describe("bad input", () => {
  test.each([
    ["--trial 12", 2, /--trial 12: small.yaml has 12 trials, 0 to 11/],
    ["--trial -1", 2, /--trial "-1": it takes a whole number of at least 0/],
    ["--shard 2/2", 2, /--shard "2\/2": it takes I\/N with I from 0 to N - 1/],
    ["--shard 0/2 --trial 1", 2, /--trial and --shard exclude each other/],
    ["--from distill --only merge", 2, /--from and --only exclude each other/],
    ["--only report", 2, /small.yaml has no step report. It has finetune, distill, merge/],
    ["--only tune", 2, /--only "tune": it takes one of finetune, distill/],
    ["--only merge --shard 0/2", 2, /--shard shares out trials, and merge has none/],
    ["--trial 1 --only finetune", 2, /--trial 1 names one trial/],
    ["--glue-data nowhere --out nothing", 3, /nowhere/],
  ])("%s", (line, code, message) => {
    const { status, stderr } = run(line);
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/\n\s+at /);
    expect(status).toBe(code);
  });

  test("no file, a file that is not there", () => {
    expect(flexbert(["run"], { cwd }).status).toBe(2);
    const { status, stderr } = flexbert(["run", "absent.yaml"], { cwd });
    expect(stderr).toMatch(/absent.yaml: cannot read the experiment file \(ENOENT\)/);
    expect(status).toBe(2);
  });
});
