// A student on another fork than its teacher's against the same student in PyTorch: same teacher, fork, layers, start, losses and
// rows, several seeds each. Draws differ between the sides (order of rows, dropout), so only their spread can be compared.
//
//   npm run build && flexbert pull sentence-transformers/all-MiniLM-L6-v2
//   node bench/student-seeds.mjs [--task stsb] [--k 5] [--fork 2] [--layers 2] [--seeds 3] [--epochs 4] [--rate 1e-4]
//       [--glue ../shared/data/glue] [--venv bench-out/venv] [--checkpoints DIR]
//
// --k is the teacher's, which is trained with seed 1 at the same rate; in DIR finished runs stay.
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
    task: { type: "string", default: "stsb" },
    k: { type: "string", default: "5" },
    fork: { type: "string", default: "2" },
    layers: { type: "string", default: "2" },
    seeds: { type: "string", default: "3" },
    epochs: { type: "string", default: "4" },
    rate: { type: "string", default: "1e-4" },
    glue: { type: "string", default: "../shared/data/glue" },
    threads: { type: "string", default: String(os.availableParallelism()) },
    venv: { type: "string", default: "bench-out/venv" },
    checkpoints: { type: "string" },
  },
});
const folder = path.dirname(new URL(import.meta.url).pathname);
const work = mkdtempSync(path.join(os.tmpdir(), "flexbert-student-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));
execFileSync(path.join(folder, "peers/setup.sh"), [values.venv], { stdio: "inherit" });
const checkpoints = values.checkpoints ?? path.join(work, "checkpoints");

const [task] = resolveTasks(values.task, knownTasks([]));
const rows = path.join(work, "rows.jsonl");
await writeRows(rows, task, { glueData: values.glue });

const run = (command, args) =>
  JSON.parse(execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], maxBuffer: 1e9 }));
const points = (scores) => scores.map((score) => (100 * score).toFixed(1)).join(", ");
const mean = (scores) => scores.reduce((total, score) => total + score, 0) / scores.length;

const flexbert = (args) =>
  run(process.execPath, [
    ...[path.join(folder, "../bin/flexbert.js"), ...args, "--task", task.name, "--base", BASE],
    ...["--epochs", values.epochs, "--learning-rate", values.rate, "--glue-data", values.glue],
    ...["--checkpoints", checkpoints, "--threads", values.threads, "--engine", "onnx", "--json", "--quiet"],
  ]).tasks[0].runs;

const [teacher] = flexbert(["finetune", "--k", values.k]);
const place = ["--student-layers", values.layers, "--student-forks", values.fork];
const ours = flexbert(["distill", ...place, "--seeds", values.seeds]).map(({ metrics }) => metrics[task.metric]);
const weights = path.join(teacher.folder, "model.safetensors");
const peers = Array.from({ length: Number(values.seeds) }, (_, i) =>
  run(path.join(values.venv, "bin/python"), [
    ...[path.join(folder, "peers/student.py"), cachedFolder(BASE), rows, values.threads, task.metric, weights],
    ...[values.fork, values.layers, String(i + 1), values.epochs, values.rate],
  ]),
);
const best = peers.map(({ scores }) => Math.max(...scores));
console.log(
  `teacher (k = ${values.k}): flexbert ${points([teacher.metrics[task.metric]])}, in PyTorch ${points([peers[0].teacher])}`,
);
for (const [side, scores] of Object.entries({ flexbert: ours, PyTorch: best })) {
  console.log(
    `${task.name}, ${values.layers} layers on fork ${values.fork}, ${task.metric}: ${side} ${points(scores)} (mean ${points([mean(scores)])})`,
  );
}
