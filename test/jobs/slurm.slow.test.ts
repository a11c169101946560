// The small experiment on a real Slurm: one trial killed, one queued again, one cancelled, the node's daemon restarted; what is
// left is submitted again, and the tables and weights are those of one process.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { cwd, run, table, weights } from "../cli/experiment";
import { flexbert } from "../cli/flexbert";
import { unless } from "../skips";
import { until } from "../until";
import { missingSlurm, slurmOfItsOwn } from "./slurm";

unless(missingSlurm()).describe("flexbert jobs on Slurm", () => {
  const { env, ask, restart } = slurmOfItsOwn();
  const jobs = (line: string, ...more: string[]) => flexbert(["jobs", ...line.split(" "), ...more], { cwd, env });
  const json = (line: string, ...more: string[]) => JSON.parse(jobs(line, ...more, "--json").stdout);

  beforeAll(() => {
    const small = readFileSync(path.join(cwd, "small.yaml"), "utf8");
    const section = "jobs: { cpus: 1, memory: 500MB, engine: wasm, pack: 1, slurm: { time: 10m } }\n";
    const near = section.replace("pack", `node_cache: ${cwd}/node/$SLURM_JOB_USER, pack`);
    writeFileSync(path.join(cwd, "jobs.yaml"), small + near);
    // Slow enough that something can happen to it meanwhile.
    writeFileSync(path.join(cwd, "long.yaml"), small.replace("epochs: [2, 4]", "epochs: [60]") + section);
    expect(run("--out alone --threads 1").status).toBe(0);
  });

  /** Array, task, state and number of what Slurm still has. */
  const queue = (): string[][] => {
    const printed = ask("squeue", "--array", "--noheader", "--format=%F|%K|%T|%i");
    return printed
      .split("\n")
      .filter(Boolean)
      .map((line) => line.split("|"));
  };
  const idle = () => until(() => queue().length === 0);

  const log = (out: string, trial: number) => {
    const file = path.join(cwd, out, "jobs/0001/logs", `finetune-${trial}.log`);
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  };

  /** Waits for what jobs do; where none is left that could, it fails with their logs in place of waiting for ever. */
  const comes = (out: string, what: () => boolean) =>
    until(() => {
      if (what()) return true;
      if (queue().length > 0 || what()) return false;
      throw new Error(`all jobs have ended before it came:\n${[0, 1, 2, 3].map((i) => log(out, i)).join("\n")}`);
    });

  test("stages in arrays under the site's MaxArraySize, each after the one before; the tables and weights of one process", async () => {
    // sbatch reads options of its own grammar: this is how it is held to it.
    const own = "o'hara's 100 %a $(false)";
    const submitted = json("submit jobs.yaml --on slurm --out", own);
    expect(submitted.stages.map(({ array, jobs }: { array: string; jobs: number }) => [array, jobs])).toEqual([
      ["finetune-0", 6],
      ["finetune-1", 2],
      ["distill", 4],
      ["merge", 1],
    ]);
    expect(submitted).toMatchObject({ trials: 12, queued: 0, finished: 0 });
    const again = json("submit jobs.yaml --on slurm --out", own);
    expect(again).toMatchObject({ trials: 0, stages: [] });
    const logs = ["distill-0", "distill-1", "distill-2", "distill-3", "merge-0"];
    for (let i = 0; i < 8; i++) logs.push(i < 6 ? `finetune-0-${i}` : `finetune-1-${i - 6}`);
    restart();
    await idle();
    const status = json("status jobs.yaml --out", own);
    expect(status.failed).toEqual([]);
    expect(readdirSync(path.join(cwd, own, "jobs/0001/logs")).sort()).toEqual(logs.map((name) => `${name}.log`).sort());
    expect(status.submissions[0].stages).toMatchObject([
      { stage: "finetune", jobs: 8, done: 8 },
      { stage: "distill", jobs: 4, done: 4 },
      { stage: "merge", jobs: 1, done: 1 },
    ]);
    const collected = jobs("collect jobs.yaml --out", own);
    expect([collected.status, collected.stdout]).toEqual([0, expect.stringMatching(/all 12 trials are finished/)]);
    expect(table(own)).toBe(table("alone"));
    expect(weights(own)).toEqual(weights("alone"));
    // Two trials of each task stand on each fork, and their students.
    const told = logs
      .map((name) => readFileSync(path.join(cwd, own, "jobs/0001/logs", `${name}.log`), "utf8"))
      .join("");
    const shared = (split: string, fork: number) =>
      `${split}: trunk activations under fork ${fork} are another process's, in ${cwd}/node/root/`;
    for (const task of ["rte", "stsb"]) {
      for (const split of ["train", "dev"])
        for (const fork of [1, 2]) expect(told).toContain(shared(`${task} ${split}`, fork));
    }
  });

  /** The process that has a trial of rte's, by its lock. */
  const holderOf = (out: string, name: string): number => {
    const folder = path.join(cwd, out, "checkpoints/tiny/rte/finetune");
    const run = readdirSync(folder).find((one) => one.startsWith(name)) as string;
    return JSON.parse(readFileSync(path.join(folder, run, ".flexbert.lock"), "utf8")).pid;
  };

  test("SIGKILL, cancelled, and queued again: what failed is reported and submitted again alone", async () => {
    const { stages } = json("submit long.yaml --on slurm --out rough");
    const id = stages[0].id as string;
    const begun = (trial: number) => /: epoch 2,/.test(log("rough", trial));
    await comes("rough", () => begun(0) && begun(1));
    // Held where it is, so that it cannot end before it is told to: Slurm wakes what it ends.
    process.kill(holderOf("rough", "k02"), "SIGSTOP");
    // It has not begun: both CPUs are taken.
    ask("scancel", `${id}_3`);
    // As the kernel does where memory runs out: of flexbert, whose script then says 137.
    process.kill(holderOf("rough", "k03"), "SIGKILL");
    ask("scontrol", "requeue", `${id}_1`);
    await comes("rough", () => /stopping after the step in hand/.test(log("rough", 1)));
    const queuedAgain = ([array, task, state]: string[]) => array === id && task === "1" && state === "PENDING";
    await comes("rough", () => queue().some(queuedAgain));
    // It waits two minutes before it begins again: not in a test. In the second in which slurmd revoked the job's credential it takes no
    // other of the job ("Job credential revoked"), and the job is gone.
    ask("scontrol", "release", `${id}_1`);
    ask("scontrol", "update", `jobid=${id}_1`, "starttime=now+3seconds");
    await idle();
    expect(log("rough", 1)).toMatch(/engine: .*: epoch 2,.*the state is saved.*engine: .*: epoch 60,/s);
    expect(log("rough", 1).match(/: epoch 2,/g)).toHaveLength(1);
    const { failed } = json("status long.yaml --out rough");
    expect(failed.map(({ trials, state }: { trials: string; state: string }) => [trials, state])).toEqual(
      expect.arrayContaining([
        ["0", "failed"],
        ["3", "gone"],
      ]),
    );
    const missing = jobs("collect long.yaml --out rough");
    expect(missing.status).toBe(4);
    expect(missing.stdout).toMatch(/missing: trial 0, rte k=3 seed 1, 60 epochs/);
    expect(missing.stdout).not.toMatch(/missing: trial 1,/);
    // All but trials 1 and 2 of four, and their students.
    const next = json("submit long.yaml --on slurm --out rough");
    expect(next.trials).toBe(6);
    await idle();
    expect(jobs("collect long.yaml --out rough").status).toBe(0);
    const plain = flexbert("run long.yaml --engine wasm --threads 1 --out smooth".split(" "), { cwd });
    expect(plain.status).toBe(0);
    expect(table("rough")).toBe(table("smooth"));
    expect(weights("rough")).toEqual(weights("smooth"));
  });

  test("a trial that diverges takes its own task's students with it, and the others are trained", async () => {
    const text = readFileSync(path.join(cwd, "jobs.yaml"), "utf8");
    writeFileSync(
      path.join(cwd, "diverging.yaml"),
      text
        .replace("learning_rate: 1e-3", "learning_rate: [1e-3, 1e30]")
        .replace("epochs: [2, 4]", "epochs: 1")
        .replace("k: 2-3", "k: 2")
        .replace("[teacher, pretrained]", "teacher"),
    );
    jobs("submit diverging.yaml --on slurm --out diverged");
    await idle();
    const { failed, submissions } = json("status diverging.yaml --out diverged");
    const errors = failed.filter(({ stage }: { stage: string }) => stage === "finetune");
    expect(errors.length).toBeGreaterThan(0);
    for (const one of errors)
      expect(one).toMatchObject({ state: "failed", code: 1, error: expect.stringMatching(/diverged/) });
    const [finetune] = submissions[0].stages;
    expect(finetune.done).toBe(finetune.jobs - errors.length);
    expect(failed.find(({ stage }: { stage: string }) => stage === "merge")).toMatchObject({ state: "gone" });
  });

  test("cancel ends what is queued and running, and leaves states to go on from", async () => {
    jobs("submit long.yaml --on slurm --out stopped");
    await comes("stopped", () => queue().some(([, , state]) => state === "RUNNING"));
    expect(jobs("cancel long.yaml --out stopped").stdout).toMatch(/^cancelled: /);
    await idle();
    expect(jobs("cancel long.yaml --out stopped").stdout).toBe("nothing is queued or running\n");
  });
});

describe("where there is no Slurm", () => {
  test("submit says so, and a dry run prints scripts", () => {
    const none = { PATH: cwd };
    const refused = flexbert(["jobs", "submit", "small.yaml", "--on", "slurm", "--out", "none"], { cwd, env: none });
    expect([refused.status, refused.stderr]).toEqual([2, expect.stringMatching(/scontrol is not there/)]);
    const dry = flexbert(["jobs", "submit", "small.yaml", "--on", "slurm", "--dry-run"], { cwd, env: none });
    expect(dry.status).toBe(0);
    expect(dry.stdout).toMatch(/^#SBATCH --array=0-\d+$/m);
  });
});
