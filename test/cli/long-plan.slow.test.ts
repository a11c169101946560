// A plan of 60,000 trials in a heap that could not hold them: plan and jobs go through it trial by trial.

import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { cwd } from "./experiment";
import { bin } from "./flexbert";

const TRIALS = 60_000;

/** Megabytes. A trial with what is known of it takes a kilobyte. */
const HEAP = 64;

beforeAll(() => {
  const rates = Array.from({ length: TRIALS / 1000 }, (_, i) => (i + 1) * 1e-5).join(", ");
  writeFileSync(
    path.join(cwd, "long.yaml"),
    `base: ./tiny\ntasks: rte\nmax_length: 32\nseeds: 1000\nlearning_rate: [${rates}]\nfinetune: { k: 2 }\njobs: { cpus: 1 }\n`,
  );
});

/** What it prints. */
function small(line: string): string {
  const args = [`--max-old-space-size=${HEAP}`, bin, ...line.split(" ")];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: "utf8", maxBuffer: 2 ** 28 });
  expect([status, status === 0 ? "" : stderr.slice(-2000)]).toEqual([0, ""]);
  return stdout;
}

test("plan, for people and as JSON", () => {
  const lines = small("plan long.yaml").trimEnd().split("\n");
  expect(lines).toHaveLength(TRIALS + 3);
  expect(lines.at(-1)).toMatch(/^60000 of 60000 trials to train: /);
  const { trials, openFlops } = JSON.parse(small("plan long.yaml --json"));
  expect(trials).toHaveLength(TRIALS);
  expect([trials[0].index, trials[TRIALS - 1].index, trials[TRIALS - 1].seed]).toEqual([0, TRIALS - 1, 1000]);
  expect(openFlops).toBeGreaterThan(0);
});

test("jobs submit --dry-run", () => {
  const scripts = small("jobs submit long.yaml --on slurm --dry-run");
  expect(scripts).toMatch(/^ {2}(\d+-)?59999$/m);
});
