// The commands that train, distil, merge and predict, run small and for real by the Node that runs this: the tiny base of
// test/fixtures/reference on two of the sample's tasks. In an unpacked package a module that was left out ends it with 1 and the error.
//
//   node bench/gpu/check.mjs [--device cpu]
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { showUsage } from "../usage.mjs";

showUsage(import.meta.url);

const { values } = parseArgs({ options: { device: { type: "string", default: "cpu" } } });
const root = path.resolve(import.meta.dirname, "../..");
const base = ["--base", path.join(root, "test/fixtures/reference/tiny-bert")];
const tasks = ["--tasks", path.join(root, "glue-data/sample/tasks.yaml"), ...base];
const rows = ["--max-train-samples", "64", "--max-eval-samples", "32", "--max-length", "32", "--epochs", "1"];
const on = ["--device", values.device, "--json"];
const cwd = mkdtempSync(path.join(os.tmpdir(), "flexbert-check-"));
const started = performance.now();

function flexbert(...args) {
  const command = [path.join(root, "bin/flexbert.js"), ...args, ...on];
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, command, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`flexbert ${args[0]} ended with ${signal ?? status}:\n${stderr.slice(-2000)}`);
  return JSON.parse(stdout);
}

try {
  const named = ["--task", "sample-sentiment,sample-similarity"];
  const taught = flexbert("finetune", ...tasks, ...rows, ...named, "--k", "2");
  flexbert("distill", ...tasks, ...rows, ...named, "--student-layers", "1");
  flexbert("merge", ...tasks, "--out", "merged");
  const { predictions } = flexbert("predict", "--model", "merged", "--text", "a long film", "--pair", "a film");
  if (!Number.isFinite(predictions?.["sample-similarity"]?.value)) throw new Error("predict gave no value");
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`finetune, distill, merge and predict ran in ${seconds} s; engine ${taught.engine}`);
} finally {
  rmSync(cwd, { recursive: true, force: true });
}
