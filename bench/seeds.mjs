// Whether a score below PyTorch's is the seed's: the same top layers trained with the same recipe on both sides, several
// seeds each. Draws differ between the sides (order of rows, dropout, the head), so only their spread can be compared.
//
//   npm run build && flexbert pull sentence-transformers/all-MiniLM-L6-v2
//   node bench/seeds.mjs [--task cola] [--k 4,6] [--seeds 3] [--epochs 3] [--glue ../shared/data/glue] [--venv bench-out/venv]
//
// Full fine-tuning of MRPC in PyTorch beside experiments/glue-mpnet.yaml (about an hour and a half of two cores; then 2e-5):
//
//   flexbert pull sentence-transformers/all-mpnet-base-v2
//   node bench/seeds.mjs --base sentence-transformers/all-mpnet-base-v2 --task mrpc --k full --learning-rate 5e-5 --seeds 1 --sides peer
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { writeRows } from "./peers/rows.mjs";
import { showUsage } from "./usage.mjs";

const require = createRequire(import.meta.url);
const { cachedFolder } = require("../dist/files/cache.js");
const { defaultOf } = require("../dist/options/settings.js");
const { trainingSettings } = require("../dist/settings/training.js");
const { knownTasks, resolveTasks } = require("../dist/tasks/registry.js");

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    base: { type: "string", default: "sentence-transformers/all-MiniLM-L6-v2" },
    task: { type: "string", default: "cola" },
    k: { type: "string", default: "4,6" },
    seeds: { type: "string", default: "3" },
    epochs: { type: "string", default: "3" },
    "learning-rate": { type: "string", default: "1e-4" },
    "max-train-samples": { type: "string" },
    sides: { type: "string", default: "both" },
    glue: { type: "string", default: "../shared/data/glue" },
    threads: { type: "string", default: String(os.availableParallelism()) },
    venv: { type: "string", default: "bench-out/venv" },
  },
});
const folder = path.dirname(new URL(import.meta.url).pathname);
const work = mkdtempSync(path.join(os.tmpdir(), "flexbert-seeds-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));
const python = path.join(values.venv, "bin/python");
if (!existsSync(python)) execFileSync(path.join(folder, "peers/setup.sh"), [values.venv], { stdio: "inherit" });

const [task] = resolveTasks(values.task, knownTasks([]));
const rows = path.join(work, "rows.jsonl");
const limit = values["max-train-samples"];
await writeRows(rows, task, {
  glueData: values.glue,
  ...(limit === undefined ? {} : { maxTrainRows: Number(limit) }),
});

/** What peers/recipe.py has in its code must be what flexbert trains with where nothing else is said. */
const recipe = { batchSize: 32, maxLength: 128, warmup: 0.1, weightDecay: 0.01, clipNorm: 1, dropout: null };
for (const [name, value] of Object.entries(recipe)) {
  const own = defaultOf(trainingSettings[name]);
  if (own !== value) throw new Error(`flexbert's ${name} is ${own}, and peers/recipe.py has ${value}`);
}

const run = (command, args) =>
  JSON.parse(execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], maxBuffer: 1e9 }));
const points = (scores) => scores.map((score) => (100 * score).toFixed(1)).join(", ");
const mean = (scores) => scores.reduce((total, score) => total + score, 0) / scores.length;

function oursOf() {
  const { tasks } = run(process.execPath, [
    ...[path.join(folder, "../bin/flexbert.js"), "finetune", "--task", task.name, "--k", values.k],
    ...["--seeds", values.seeds, "--epochs", values.epochs, "--learning-rate", values["learning-rate"]],
    ...["--base", values.base, "--glue-data", values.glue, "--checkpoints", path.join(work, "checkpoints")],
    ...(limit === undefined ? [] : ["--max-train-samples", limit]),
    ...["--threads", values.threads, "--engine", "onnx", "--json", "--quiet"],
  ]);
  return tasks[0].runs;
}

const runs = values.sides === "peer" ? [] : oursOf();
for (const k of values.k.split(",")) {
  const ours = runs.filter(({ layers }) => String(layers) === k).map(({ metrics }) => metrics[task.metric]);
  const line = `${task.name}, k = ${k}, ${task.metric}`;
  if (ours.length > 0) console.log(`${line}: flexbert ${points(ours)} (mean ${points([mean(ours)])})`);
  if (values.sides === "ours") continue;
  const peer = Array.from({ length: Number(values.seeds) }, (_, i) => {
    const args = [cachedFolder(values.base), rows, values.threads, task.metric, k, i + 1, values.epochs].map(String);
    return run(python, [path.join(folder, "peers/top_layers.py"), ...args, "all", values["learning-rate"]]);
  });
  const best = peer.map(({ scores }) => Math.max(...scores));
  const seconds = peer.map((one) => one.seconds.toFixed(0)).join(", ");
  console.log(`${line}: PyTorch ${points(best)} (mean ${points([mean(best)])}), ${seconds} s`);
}
