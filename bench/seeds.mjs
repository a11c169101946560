// Whether a score below PyTorch's is the seed's: the same top layers trained with the same recipe on both sides, several
// seeds each. Draws differ between the sides (order of rows, dropout, the head), so only their spread can be compared.
//
//   npm run build && flexbert pull sentence-transformers/all-MiniLM-L6-v2
//   node bench/seeds.mjs [--task cola] [--k 4,6] [--seeds 3] [--epochs 3] [--glue ../shared/data/glue] [--venv bench-out/venv]
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { writeRows } from "./peers/rows.mjs";
import { showUsage } from "./usage.mjs";

const require = createRequire(import.meta.url);
const { cachedFolder } = require("../dist/files/cache.js");
const { knownTasks, resolveTasks } = require("../dist/tasks/registry.js");

showUsage(import.meta.url);

const BASE = "sentence-transformers/all-MiniLM-L6-v2";
const { values } = parseArgs({
  options: {
    task: { type: "string", default: "cola" },
    k: { type: "string", default: "4,6" },
    seeds: { type: "string", default: "3" },
    epochs: { type: "string", default: "3" },
    glue: { type: "string", default: "../shared/data/glue" },
    threads: { type: "string", default: String(os.availableParallelism()) },
    venv: { type: "string", default: "bench-out/venv" },
  },
});
const folder = path.dirname(new URL(import.meta.url).pathname);
const work = mkdtempSync(path.join(os.tmpdir(), "flexbert-seeds-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));
execFileSync(path.join(folder, "peers/setup.sh"), [values.venv], { stdio: "inherit" });

const [task] = resolveTasks(values.task, knownTasks([]));
const rows = path.join(work, "rows.jsonl");
await writeRows(rows, task, { glueData: values.glue });

const run = (command, args) =>
  JSON.parse(execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], maxBuffer: 1e9 }));
const points = (scores) => scores.map((score) => (100 * score).toFixed(1)).join(", ");
const mean = (scores) => scores.reduce((total, score) => total + score, 0) / scores.length;

const { tasks } = run(process.execPath, [
  ...[path.join(folder, "../bin/flexbert.js"), "finetune", "--task", task.name, "--k", values.k],
  ...["--seeds", values.seeds, "--epochs", values.epochs, "--learning-rate", "1e-4", "--base", BASE],
  ...["--glue-data", values.glue, "--checkpoints", path.join(work, "checkpoints")],
  ...["--threads", values.threads, "--engine", "onnx", "--json", "--quiet"],
]);
for (const k of values.k.split(",").map(Number)) {
  const ours = tasks[0].runs.filter(({ layers }) => layers === k).map(({ metrics }) => metrics[task.metric]);
  console.log(`${task.name}, k = ${k}, ${task.metric}: flexbert ${points(ours)} (mean ${points([mean(ours)])})`);
  const peer = Array.from({ length: Number(values.seeds) }, (_, i) => {
    const args = [cachedFolder(BASE), rows, values.threads, task.metric, k, i + 1, values.epochs].map(String);
    return Math.max(
      ...run(path.join(values.venv, "bin/python"), [path.join(folder, "peers/top_layers.py"), ...args]).scores,
    );
  });
  console.log(`${task.name}, k = ${k}, ${task.metric}: PyTorch ${points(peer)} (mean ${points([mean(peer)])})`);
}
