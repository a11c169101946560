// The small experiment by two processes, killed and resumed, in shares; the tables and weights must be the same each time.

import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { announce } from "../../src/experiment/presence";
import { until } from "../until";
import { all, cwd, run, start, table, trained, weights } from "./experiment";
import { bin, flexbert } from "./flexbert";

beforeAll(() => {
  const { status, stderr } = run("--out alone");
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
});

describe("flexbert run", () => {
  test("two processes share it: no trial twice, the same tables and weights", async () => {
    const both = [start("--out shared"), start("--out shared")];
    expect(await Promise.all(both.map(({ ended }) => ended))).toEqual([0, 0]);
    const [a = [], b = []] = both.map(({ log }) => trained(log()));
    expect([...a, ...b].sort((x, y) => x - y)).toEqual(all);
    expect(Math.min(a.length, b.length)).toBeGreaterThan(0);
    expect(table("shared")).toBe(table("alone"));
    expect(weights("shared")).toEqual(weights("alone"));
  });

  test("killed again and again, then resumed: the same tables and weights", async () => {
    let kills = 0;
    // One process that is killed, and another beside it that is killed too: claims of the dead are taken over.
    for (const epochs of [1, 4, 2, 3]) {
      const both = [start("--out killed --save-every 0"), start("--out killed --save-every 0")];
      const seen = () => both.flatMap(({ log }) => log().match(/: epoch \d+,/g) ?? []).length;
      await until(() => seen() >= epochs || both.every(({ child }) => child.exitCode !== null));
      for (const { child } of both) if (child.exitCode === null && child.kill("SIGKILL")) kills++;
      await Promise.all(both.map(({ ended }) => ended));
    }
    expect(kills).toBeGreaterThanOrEqual(6);
    expect(run("--out killed").status).toBe(0);
    expect(table("killed")).toBe(table("alone"));
    expect(weights("killed")).toEqual(weights("alone"));
  });

  test("Ctrl-C ends with 130, says how to go on, and loses nothing", async () => {
    const { child, log, ended } = start("--out stopped");
    await until(() => /epoch 1,/.test(log()) || child.exitCode !== null);
    child.kill("SIGINT");
    expect(await ended).toBe(130);
    expect(log()).toMatch(/Go on with: flexbert run small.yaml --engine wasm --out stopped/);
    expect(run("--out stopped").status).toBe(0);
    expect(weights("stopped")).toEqual(weights("alone"));
  });

  test("shares of each step, then the rest: the same tables", () => {
    for (const step of ["finetune", "distill"]) {
      for (const share of ["1/3", "0/3", "2/3"]) {
        expect(run(`--out shares --only ${step} --shard ${share}`).status).toBe(0);
      }
    }
    const rest = run("--out shares");
    expect(rest.status).toBe(0);
    expect(trained(rest.stderr)).toEqual([]);
    expect(table("shares")).toBe(table("alone"));
    expect(weights("shares")).toEqual(weights("alone"));
  });

  test("a share alone trains what it can and says what to run; the other one then makes the teachers", () => {
    const share = run("--out halves --shard 0/2");
    expect(share.status).toBe(4);
    expect(share.stderr).toMatch(/trial 8 .* waits for its teacher: 2 of 4 fine-tuning trials of rte .* \(1, 3\)/);
    expect(share.stderr).toMatch(/no process works on them\. .* of other shares: run those, then this command again/);
    expect(trained(share.stderr)).toEqual([0, 2, 4, 6]);
    const other = run("--out halves --shard 1/2");
    expect([other.status, trained(other.stderr)]).toEqual([0, [1, 3, 5, 7, 9, 11]]);
    const again = run("--out halves --shard 0/2");
    expect([again.status, trained(again.stderr)]).toEqual([0, [8, 10]]);
    expect(readdirSync(path.join(cwd, "halves/checkpoints"))).toEqual(["tiny"]);
    expect(table("halves")).toBe(table("alone"));
  });

  test("a share waits for teachers while another process is there to make them, whatever that one does just now", async () => {
    const busy = await announce(path.join(cwd, "waits/checkpoints"), "fine-tuning of small.yaml");
    const { log, ended, child } = start("--out waits --shard 0/2");
    await until(() => /waiting: /.test(log()) || child.exitCode !== null);
    expect(log()).toMatch(
      /waiting: rte has no teacher yet: 2 of 4 .* \(1, 3\)\. .* in use by process \d+ \(fine-tuning/,
    );
    await sleep(4000); // longer than it takes to give up
    expect(child.exitCode).toBeNull();
    const other = run("--out waits --shard 1/2");
    await busy.withdraw();
    expect([other.status, await ended]).toEqual([0, 0]);
    expect([...trained(log()), ...trained(other.stderr)].sort((a, b) => a - b)).toEqual(all);
    expect(table("waits")).toBe(table("alone"));
  });

  test("one trial; a student without its teacher; --force", () => {
    const student = run("--out single --trial 9");
    expect(student.status).toBe(4);
    expect(student.stderr).toMatch(/trial 9 .* waits for its teacher: 4 of 4 .* \(0, 1, 2, 3\)/);
    expect(run("--out single --trial 3").status).toBe(0);
    const record = () => {
      const folder = path.join(cwd, "single/checkpoints/tiny/rte/finetune");
      return readFileSync(path.join(folder, readdirSync(folder)[0] as string, "run.json"), "utf8");
    };
    const before = record();
    expect(run("--out single --trial 3").status).toBe(0);
    expect(record()).toBe(before);
    const forced = run("--out single --trial 3 --force");
    expect(trained(forced.stderr)).toEqual([3]);
    expect(JSON.parse(record()).sha256).toBe(JSON.parse(before).sha256);
    expect(JSON.parse(record()).finishedAt).not.toBe(JSON.parse(before).finishedAt);
    const merge = run("--out single --only merge");
    expect(merge.status).toBe(4);
    expect(merge.stderr).toMatch(/merge needs every trial: 11 of 12 are not finished, the first is trial 0/);
  });

  test("a budget of milliseconds is measured on the engine that was asked for", () => {
    const text = readFileSync(path.join(cwd, "small.yaml"), "utf8");
    const select = "select: { max_latency: 10000 }\nmerge: true";
    writeFileSync(path.join(cwd, "budget.yaml"), text.replace("merge: true", select));
    const line = "run budget.yaml --engine wasm --out budget --checkpoints alone/checkpoints";
    const { status, stderr } = flexbert(line.split(" "), { cwd });
    expect([status, trained(stderr)]).toEqual([0, []]);
    expect(stderr).toMatch(/measured .* 1 x 64 tokens on wasm/);
    expect(stderr.match(/^engine: \w+/gm)).toEqual(["engine: wasm", "engine: wasm"]);
    expect(existsSync(path.join(cwd, "budget/selection.json"))).toBe(true);
  });

  test("a step without what the step before it writes says what to run, and a reader that goes stops nothing", async () => {
    const line = (rest: string) =>
      `run budget.yaml --engine wasm --out steps --checkpoints alone/checkpoints ${rest}`.split(" ");
    const early = flexbert(line("--only merge"), { cwd });
    expect(early.status).toBe(4);
    expect(early.stderr).toMatch(
      /merge needs the step select: steps\/selection\.json is missing\. Run: .* --from select/,
    );
    const child = spawn(process.execPath, [bin, ...line("--from select")], {
      cwd,
      stdio: ["ignore", "pipe", "ignore"],
    });
    child.stdout.once("data", () => child.stdout.destroy()); // select's table; merge and the scores come after it
    expect(await new Promise((resolve) => child.once("exit", resolve))).toBe(0);
    expect(existsSync(path.join(cwd, "steps/merged/flexbert.json"))).toBe(true);
  });

  test("a damaged run.json is named", () => {
    const folder = path.join(cwd, "single/checkpoints/tiny/rte/finetune");
    const file = path.join(folder, readdirSync(folder)[0] as string, "run.json");
    writeFileSync(file, "{");
    const { status, stderr } = run("--out single --trial 3");
    expect(status).toBe(4);
    expect(stderr).toMatch(/run.json is damaged/);
    rmSync(path.join(cwd, "single"), { recursive: true });
  });
});

test("a trial that diverges does not stop the others, and fails the run at its end", () => {
  const text = readFileSync(path.join(cwd, "small.yaml"), "utf8");
  writeFileSync(path.join(cwd, "wild.yaml"), text.replace("1e-3", "[1e38, 1e-3]").replace("[rte, stsb]", "rte"));
  const { status, stderr } = flexbert(["run", "wild.yaml", "--engine", "wasm", "--only", "finetune"], { cwd });
  expect(status).toBe(1);
  expect(stderr).toMatch(/4 of 8 trials failed\ntrial 0, rte k=3 .*: the loss is NaN/);
  expect(trained(stderr).filter((index) => index % 4 >= 2)).toEqual([2, 3, 6, 7]);
});
