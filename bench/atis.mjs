// ATIS: intents and slots on MiniLM against transformers in PyTorch, by the same recipe, several seeds each: accuracy of intents,
// span F1 of slots (seqeval's), on the dev and test sets. Draws differ between the sides, so only their spread can be compared. Then
// both tasks, and with --glue two of GLUE's, in one merged model, each against its branch alone.
//
//   npm run build && flexbert pull sentence-transformers/all-MiniLM-L6-v2
//   node bench/atis.mjs [--atis ../shared/data/atis] [--k 4] [--seeds 3] [--epochs 10] [--rate 2e-4] [--samples N]
//       [--tasks intents,slots] [--glue ../shared/data/glue] [--venv bench-out/venv] [--checkpoints DIR]
//
// --samples trains both sides on the first N rows (a trial). In DIR finished runs of both sides stay: --seeds 1, then 2, then 3 take
// one seed at a time.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { showUsage } from "./usage.mjs";

const require = createRequire(import.meta.url);
const { cachedFolder } = require("../dist/files/cache.js");

showUsage(import.meta.url);

const BASE = "sentence-transformers/all-MiniLM-L6-v2";
const { values } = parseArgs({
  options: {
    atis: { type: "string", default: "../shared/data/atis" },
    k: { type: "string", default: "4" },
    seeds: { type: "string", default: "3" },
    epochs: { type: "string", default: "10" },
    rate: { type: "string", default: "2e-4" },
    samples: { type: "string" },
    tasks: { type: "string", default: "intents,slots" },
    glue: { type: "string" },
    threads: { type: "string", default: String(os.availableParallelism()) },
    venv: { type: "string", default: "bench-out/venv" },
    checkpoints: { type: "string" },
  },
});
const folder = path.dirname(new URL(import.meta.url).pathname);
const work = mkdtempSync(path.join(os.tmpdir(), "flexbert-atis-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));
execFileSync(path.join(folder, "peers/setup.sh"), [values.venv], { stdio: "inherit" });
execFileSync(path.join(values.venv, "bin/pip"), ["install", "--quiet", "seqeval==1.2.2"], { stdio: "inherit" });
const checkpoints = values.checkpoints ?? path.join(work, "checkpoints");

const lines = (split, file) =>
  readFileSync(path.join(values.atis, split, file), "utf8")
    .replace(/\n$/, "")
    .split("\n");

// The same rows for both sides, and every label that any split has: test has some that train lacks.
const splits = { train: "train", valid: "valid", test: "test" };
const data = path.join(work, "atis");
for (const split of Object.keys(splits)) {
  mkdirSync(path.join(data, split), { recursive: true });
  for (const file of ["seq.in", "seq.out", "label"]) {
    const rows =
      split === "train" && values.samples ? lines(split, file).slice(0, Number(values.samples)) : lines(split, file);
    writeFileSync(path.join(data, split, file), `${rows.join("\n")}\n`);
  }
}
const labelsOf = (file, separator) =>
  [
    ...new Set(Object.keys(splits).flatMap((split) => lines(split, file).flatMap((line) => line.split(separator)))),
  ].sort();
const tasks = {
  intents: { file: "label", kind: "classification", metric: "accuracy", labels: labelsOf("label", "\n") },
  slots: { file: "seq.out", kind: "tagging", metric: "span_f1", labels: labelsOf("seq.out", " ") },
};
const tasksFile = path.join(work, "tasks.yaml");
const described = Object.entries(tasks).map(
  ([name, { file, kind, labels }]) =>
    `  - name: ${name}\n    kind: ${kind}\n    format: folder\n` +
    "    files: { train: atis/train, dev: atis/valid, test: atis/test }\n" +
    `    columns: { text: seq.in, label: ${file} }\n    labels: ${JSON.stringify(labels)}\n`,
);
writeFileSync(tasksFile, `tasks:\n${described.join("")}`);

const run = (command, args) =>
  JSON.parse(execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"], maxBuffer: 1e9 }));
const flexbert = (...args) =>
  run(process.execPath, [
    path.join(folder, "../bin/flexbert.js"),
    ...args,
    "--threads",
    values.threads,
    "--engine",
    "onnx",
    "--json",
    "--quiet",
  ]);
const points = (scores) => scores.map((score) => (100 * score).toFixed(2)).join(", ");
const mean = (scores) => scores.reduce((total, score) => total + score, 0) / scores.length;
const show = (what, side, scores) => console.log(`${what}: ${side} ${points(scores)} (mean ${points([mean(scores)])})`);

/** A seed of PyTorch's, once. */
function peerOf(name, seed, labels) {
  const recipe = [name, `k${values.k}`, `seed${seed}`, `${values.epochs}-epochs`, values.rate, values.samples ?? "all"];
  const kept = path.join(checkpoints, "peers", `${recipe.join("_")}.json`);
  if (existsSync(kept)) return JSON.parse(readFileSync(kept, "utf8"));
  const peer = run(path.join(values.venv, "bin/python"), [
    ...[path.join(folder, "peers/atis.py"), cachedFolder(BASE), data, values.threads, name, values.k],
    ...[seed, values.epochs, values.rate, JSON.stringify(labels)],
  ]);
  mkdirSync(path.dirname(kept), { recursive: true });
  writeFileSync(kept, JSON.stringify(peer));
  return peer;
}

for (const name of values.tasks.split(",")) {
  const { metric, labels } = tasks[name];
  const training = ["--base", BASE, "--tasks", tasksFile, "--checkpoints", checkpoints, "--max-length", "128"];
  const { runs } = flexbert(
    ...["finetune", "--task", name, "--k", values.k, "--seeds", values.seeds],
    ...["--epochs", values.epochs, "--learning-rate", values.rate, ...training],
  ).tasks[0];
  const test = runs.map(({ folder: model }) => {
    const [scored] = flexbert("eval", "--model", model, "--tasks", tasksFile, "--split", "test");
    return scored.metrics[metric];
  });
  const peers = runs.map((_, i) => peerOf(name, String(i + 1), labels));
  show(
    `${name}, dev ${metric}, best epoch`,
    "flexbert",
    runs.map(({ metrics }) => metrics[metric]),
  );
  show(
    `${name}, dev ${metric}, best epoch`,
    "PyTorch",
    peers.map(({ scores }) => Math.max(...scores)),
  );
  show(`${name}, test ${metric}`, "flexbert", test);
  show(
    `${name}, test ${metric}`,
    "PyTorch",
    peers.map((peer) => peer.test),
  );
  console.log(
    `${name}, seconds of training: flexbert ${runs.map(({ seconds }) => Math.round(seconds)).join(", ")}, ` +
      `PyTorch ${peers.map(({ seconds }) => Math.round(seconds)).join(", ")}`,
  );
}

if (values.glue) {
  const own = ["--base", BASE, "--tasks", tasksFile, "--checkpoints", checkpoints, "--glue-data", values.glue];
  flexbert("finetune", "--task", "mrpc,rte", "--k", values.k, "--epochs", "3", "--learning-rate", "1e-4", ...own);
  const out = path.join(work, "merged");
  const merged = flexbert("merge", "--task", `${values.tasks},mrpc,rte`, "--out", out, ...own);
  console.log(`merged: ${JSON.stringify(merged.onnx?.check?.tasks ?? merged)}`);
  for (const name of [...values.tasks.split(","), "mrpc", "rte"]) {
    const [scored] = flexbert("eval", "--model", out, "--task", name, "--tasks", tasksFile, "--glue-data", values.glue);
    console.log(`${name} in the merged model, dev: ${JSON.stringify(scored.metrics)}`);
  }
}
