// Every export and precision of one merged model: bytes, the largest difference that export itself prints, dev scores computed
// through the export in the runtime of its users, and the latency of all tasks. The folder's own pieces come first. What
// runs in Python (SavedModel in TensorFlow, transformers in PyTorch: one full model a task) is timed inside Python.
//
//   npm run build && node bench/exports.mjs --merged MERGED [--glue ../shared/data/glue] [--venv bench-out/venv] [--threads 2]
//       [--rounds 3] [--max-eval-samples N] [--out bench-out/exports] [--only NAME,...]
//
// MERGED is a folder that flexbert quantize has made int8; the venv has tensorflow, torch and transformers.
import { execFileSync, spawn } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { showUsage } from "./usage.mjs";

const require = createRequire(import.meta.url);
const { openEngine } = require("../dist/engines/open.js");
const { onnxFileOpener } = require("../dist/engines/onnx/model-file.js");
const { graphModelOpener } = require("../dist/engines/wasm/graph-model-file.js");
const { int32 } = require("../dist/model/tensors.js");
const { evaluateTask } = require("../dist/predict/evaluate.js");
const { openModel } = require("../dist/predict/model.js");
const { resolveTasks } = require("../dist/tasks/registry.js");

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    merged: { type: "string", default: "merged" },
    glue: { type: "string", default: "../shared/data/glue" },
    venv: { type: "string", default: "bench-out/venv" },
    threads: { type: "string", default: String(os.availableParallelism()) },
    rounds: { type: "string", default: "3" },
    "max-eval-samples": { type: "string" },
    out: { type: "string", default: "bench-out/exports" },
    only: { type: "string" },
  },
});
const folder = path.dirname(new URL(import.meta.url).pathname);
const threads = Number(values.threads);
const python = path.join(values.venv, "bin/python");
const shapes = [
  [1, 32],
  [1, 128],
  [32, 32],
  [32, 128],
];

/** A flow of rows [batch][length] to logits by task, and the milliseconds of the best of `calls`. */
function ofFile(file) {
  return {
    async run({ ids, mask, types, batch, length }, calls = 1) {
      const size = [batch, length];
      const inputs = {
        input_ids: int32(size, ids),
        attention_mask: int32(size, mask),
        token_type_ids: int32(size, types),
      };
      let [outputs, ms] = [null, Number.POSITIVE_INFINITY];
      for (let call = 0; call < calls; call++) {
        const started = performance.now();
        outputs = await file.run(inputs);
        ms = Math.min(ms, performance.now() - started);
      }
      return { outputs, ms };
    },
    close: () => file.close(),
  };
}

/** The same by a Python program that answers lines. */
function ofPython(script, model) {
  const child = spawn(python, [path.join(folder, "peers", script), model, String(threads)], {
    stdio: ["pipe", "pipe", "ignore"],
    env: { ...process.env, HF_HUB_OFFLINE: "1", TF_CPP_MIN_LOG_LEVEL: "3" },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const rows = (list, width) =>
    Array.from({ length: list.length / width }, (_, i) => [...list.subarray(i * width, (i + 1) * width)]);
  return {
    async run({ ids, mask, types, length }, calls = 1) {
      const run = {
        input_ids: rows(ids, length),
        attention_mask: rows(mask, length),
        token_type_ids: rows(types, length),
      };
      child.stdin.write(`${JSON.stringify({ run, calls })}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`${script} ended with ${child.exitCode}`);
      const { outputs, ms } = JSON.parse(value);
      const flat = Object.entries(outputs).map(([task, logits]) => [
        task,
        { data: Float32Array.from(logits.flat()), shape: [logits.length, logits[0].length] },
      ]);
      return { outputs: Object.fromEntries(flat), ms };
    },
    close: async () => void child.kill(),
  };
}

const FORMS = {
  "onnx float32": { args: ["onnx"], open: async (out) => ofFile(await onnxFileOpener({ threads })(onnxIn(out))) },
  "onnx float16": {
    args: ["onnx", "--precision", "float16"],
    open: async (out) => ofFile(await onnxFileOpener({ threads })(onnxIn(out))),
  },
  "onnx int8": {
    args: ["onnx", "--precision", "int8"],
    open: async (out) => ofFile(await onnxFileOpener({ threads })(onnxIn(out))),
  },
  "saved-model": { args: ["saved-model"], open: async (out) => ofPython("saved_model.py", out) },
  "tfjs (wasm)": {
    args: ["tfjs"],
    open: async (out) => ofFile(await (await graphModelOpener())(path.join(out, "model.json"))),
  },
  transformers: { args: ["transformers"], open: async (out) => ofPython("transformers_folders.py", out) },
  safetensors: { args: ["safetensors"], open: null },
};

const onnxIn = (out) => path.join(out, "model.onnx");

function bytesIn(out) {
  return readdirSync(out, { recursive: true })
    .map((file) => statSync(path.join(out, file)))
    .reduce((sum, stat) => sum + (stat.isFile() ? stat.size : 0), 0);
}

function filled([batch, length]) {
  const size = batch * length;
  const ids = Int32Array.from({ length: size }, (_, i) => 1000 + ((i * 7919) % 28000));
  return { ids, mask: new Int32Array(size).fill(1), types: new Int32Array(size), batch, length };
}

/** What evaluateTask asks of a model, answered by an export. */
function servedBy(runner, model) {
  async function* run(rows, wants) {
    const [batch, length] = [rows.lengths.length, Math.max(...rows.lengths)];
    const padded = filled([batch, length]);
    padded.ids.fill(rows.padId);
    padded.mask.fill(0);
    for (let row = 0; row < batch; row++) {
      padded.ids.set(rows.ids.at(row), row * length);
      padded.types.set(rows.typeIds.at(row), row * length);
      padded.mask.fill(1, row * length, row * length + rows.lengths[row]);
    }
    const { outputs } = await runner.run(padded);
    for (const task of new Set(wants.flat())) yield { task, rows: [...wants.keys()], logits: outputs[task] };
  }
  return { ...model, run };
}

async function scores(model, tasks) {
  const maxRows = values["max-eval-samples"] === undefined ? {} : { maxRows: Number(values["max-eval-samples"]) };
  const found = [];
  for (const task of tasks) {
    const signal = new AbortController().signal;
    const options = { split: "dev", glueData: values.glue, skipBroken: false, signal, ...maxRows };
    const { score } = await evaluateTask(model, resolveTasks(task.name, [])[0], options);
    found.push(`${task.name} ${(100 * score).toFixed(2)}`);
  }
  return found.join(", ");
}

const ms = (time) => (time < 100 ? time.toFixed(1) : time.toFixed(0));

async function latency(run) {
  const cells = [];
  for (const shape of shapes) {
    const rows = filled(shape);
    await run(rows, 1);
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < Number(values.rounds); round++) {
      await setTimeout(100);
      best = Math.min(best, (await run(rows, shape[0] === 1 ? 5 : 2)).ms);
    }
    cells.push(ms(best));
  }
  return cells.join(" | ");
}

/** The folder itself, in pieces. */
async function pieces(model, tasks) {
  return async ({ ids, types, batch, length }, calls) => {
    const rows = (list) => Array.from({ length: batch }, (_, i) => list.subarray(i * length, (i + 1) * length));
    const packed = { ids: rows(ids), typeIds: rows(types), lengths: new Int32Array(batch).fill(length), padId: 0 };
    const wants = Array(batch).fill(tasks.map(({ name }) => name));
    let best = Number.POSITIVE_INFINITY;
    for (let call = 0; call < calls; call++) {
      const started = performance.now();
      for await (const part of model.run(packed, wants)) void part;
      best = Math.min(best, performance.now() - started);
    }
    return { ms: best };
  };
}

const wanted = (name) => values.only === undefined || values.only.split(",").includes(name);
const row = (cells) => console.log(`| ${cells.join(" | ")} |`);

console.log(`${os.cpus()[0]?.model}, ${threads} threads, Node ${process.version}, load ${os.loadavg()[0]?.toFixed(1)}`);
row(["what", "MB", "largest difference", "dev scores", ...shapes.map(([batch, length]) => `${batch} x ${length}, ms`)]);
row(Array(4 + shapes.length).fill("---"));
const { engine } = await openEngine("onnx", { threads });
let tasks = [];
for (const weights of ["float32", "int8"]) {
  const model = await openModel(values.merged, engine, { taskOf: () => undefined, weights });
  tasks = model.tasks;
  if (wanted(`pieces ${weights}`)) {
    row([`pieces, ${weights}`, "", "", await scores(model, tasks), await latency(await pieces(model, tasks))]);
  }
  model.dispose();
}
const source = await openModel(values.merged, engine, { taskOf: () => undefined, weights: "float32" });
for (const [name, { args, open }] of Object.entries(FORMS)) {
  if (!wanted(name)) continue;
  const out = path.join(values.out, name.replaceAll(/[^a-z0-9]+/g, "-"));
  const command = ["export", ...args, "--merged", values.merged, "--out", out, "--force", "--json"];
  const more = ["--glue-data", values.glue, ...(existsSync(python) ? ["--python", python] : [])];
  const told = execFileSync(process.execPath, [path.join(folder, "../bin/flexbert.js"), ...command, ...more], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  const { check } = JSON.parse(told);
  const cells = [
    name,
    (bytesIn(out) / 1e6).toFixed(1),
    check ? check.largestDifference.toExponential(1) : "not checked",
  ];
  if (!open) {
    row([...cells, "", ...shapes.map(() => "")]);
    continue;
  }
  const runner = await open(out);
  row([
    ...cells,
    await scores(servedBy(runner, source), tasks),
    await latency((rows, calls) => runner.run(rows, calls)),
  ]);
  await runner.close();
}
process.exit(0);
