// Trials as processes of one node, which share trunk activations: the tables and weights of one process that shares none.

import { readdirSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { all, cwd, run, start, table, weights } from "./experiment";
import { flexbert } from "./flexbert";

const passes = (log: string) => log.match(/trunk activations under fork \d are another process's/g)?.length ?? 0;

test("every trial a process of its own, two at a time", async () => {
  expect(run("--out alone --threads 1").status).toBe(0);
  const logs: string[] = [];
  const both = async (trials: number[]) => {
    const started = trials.map((trial) => start(`--out near --threads 1 --node-cache node --trial ${trial}`));
    for (const { ended } of started) expect(await ended).toBe(0);
    logs.push(...started.map(({ log }) => log()));
  };
  for (let i = 0; i < all.length; i += 2) await both([i, i + 1]);
  expect(run("--out near --threads 1 --only merge").status).toBe(0);
  expect(weights("near")).toEqual(weights("alone"));
  expect(flexbert(["jobs", "collect", "small.yaml", "--out", "near"], { cwd }).status).toBe(0);
  expect(table("near")).toBe(table("alone"));
  // Of two tasks two splits under two forks: everything else was read.
  const [own = ""] = readdirSync(path.join(cwd, "node"));
  const files = readdirSync(path.join(cwd, "node", own));
  expect(files.every((name) => /^[0-9a-f]{32}-\d\.trunk$/.test(name))).toBe(true);
  expect(files).toHaveLength(8);
  expect(logs.filter((log) => passes(log) > 0).length).toBeGreaterThanOrEqual(all.length / 2);
});
