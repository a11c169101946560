// One task more in a merged model of twenty: `flexbert add` and `flexbert update` against merging all of them anew, each as a
// process of its own, with the check of model.onnx and without it. Wall time, bytes that its calls read and wrote
// (/proc/PID/io: what onnxruntime maps into memory is not among them), and its largest memory. Weights are random; forks and layers are
// those of the paper's eight tasks, over and over. With --load also: opening model.onnx, whose weights are external data,
// against the self-contained file of `flexbert export onnx`, and the latency of both, in turn.
//
//   npm run build && node bench/history.mjs [--size base|minilm|tiny] [--tasks 20] [--load] [--rounds 5] [--out bench-out/history]
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { parseArgs } from "node:util";
import { weightsOf } from "./peers/random-merged.mjs";
import { showUsage } from "./usage.mjs";

const require = createRequire(import.meta.url);
const runtime = require("onnxruntime-node");
const { parameterShapes } = require("../dist/checkpoints/bases/parameter-shapes.js");
const { writeBase } = require("../dist/checkpoints/bases/random-base.js");
const { baseSha256 } = require("../dist/checkpoints/bases/weights.js");
const { safetensorsChunks } = require("../dist/checkpoints/formats/safetensors.js");
const { layerTensors } = require("../dist/model/parameters.js");

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    size: { type: "string", default: "base" },
    tasks: { type: "string", default: "20" },
    load: { type: "boolean", default: false },
    rounds: { type: "string", default: "5" },
    out: { type: "string", default: "bench-out/history" },
  },
});
/** Hidden, intermediate, layers, heads, vocabulary. */
const sizes = { base: [768, 3072, 12, 12, 30522], minilm: [384, 1536, 6, 12, 30522], tiny: [32, 64, 12, 4, 500] };
const [hidden, intermediate, layers, heads, vocabulary] = sizes[values.size];
const tasks = Number(values.tasks);
/** Layers above forks of the paper's choice at c = 1: RTE, CoLA, QNLI, MNLI, MRPC, SST-2, QQP, STS-B. */
const places = [
  ...[
    [7, 5],
    [4, 8],
    [7, 3],
    [7, 3],
    [7, 3],
  ],
  ...[
    [7, 2],
    [7, 1],
    [7, 1],
  ],
].map(([fork, own]) => (layers === 12 ? [fork, own] : [Math.floor(fork / 2), Math.ceil(own / 2)]));

const bin = path.join(path.dirname(new URL(import.meta.url).pathname), "../bin/flexbert.js");
const cwd = path.resolve(values.out);
rmSync(cwd, { recursive: true, force: true });
mkdirSync(cwd, { recursive: true });
const cache = path.join(cwd, "cache");

async function makeBase() {
  const config = {
    ...{ vocabSize: vocabulary, hiddenSize: hidden, numHiddenLayers: layers, numAttentionHeads: heads },
    ...{ intermediateSize: intermediate, maxPositionEmbeddings: 512, typeVocabSize: 2, padTokenId: 0 },
    ...{ hiddenDropoutProb: 0.1, attentionProbsDropoutProb: 0.1, layerNormEps: 1e-12, initializerRange: 0.02 },
  };
  const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  const tokens = [...special, ...Array.from({ length: vocabulary - special.length }, (_, i) => `w${i}`)];
  const tensors = weightsOf(parameterShapes(config), 1);
  const base = { name: "base", config, tensors, tokenizer: { tokens, lowerCase: true } };
  base.sha256 = baseSha256(config, tensors);
  await writeBase(base, path.join(cwd, "base"));
  return base;
}

/** A finished run of a task, as training leaves it. */
function makeRun(base, index, seed) {
  const [fork, own] = places[index % places.length];
  const task = `task${String(index).padStart(2, "0")}`;
  const shapes = Object.entries(layerTensors(base.tensors, fork, fork + own)).map(([name, { shape }]) => [name, shape]);
  shapes.push(["bert.pooler.dense.weight", [hidden, hidden]], ["bert.pooler.dense.bias", [hidden]]);
  shapes.push(["classifier.weight", [2, hidden]], ["classifier.bias", [2]]);
  const chunks = [...safetensorsChunks(weightsOf(shapes, 1000 * seed + index + 2))];
  const hash = createHash("sha256");
  for (const chunk of chunks) hash.update(chunk);
  const k = layers - fork;
  const name = `k${String(k).padStart(2, "0")}-seed${seed}-${hash.copy().digest("hex").slice(0, 8)}`;
  const folder = path.join(cwd, "checkpoints/base", task, "finetune", name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "model.safetensors"), Buffer.concat(chunks));
  const rows = { sha256: "0".repeat(64), rows: 100, skipped: 0 };
  const options = {
    epochs: 3,
    learningRate: 2e-5,
    batchSize: 32,
    maxLength: 128,
    warmup: 0.1,
    weightDecay: 0.01,
    clipNorm: 1,
    dropout: null,
  };
  const record = {
    ...{
      format: 1,
      id: name.slice(-8),
      state: "finished",
      method: "finetune",
      task,
      layers: own,
      fork,
      full: false,
      seed,
    },
    base: { name: "base", sha256: base.sha256, layers },
    ...{
      trainData: rows,
      devData: rows,
      labels: ["no", "yes"],
      score: 0.5 + seed / 10,
      metrics: { accuracy: 0.5 + seed / 10 },
    },
    ...{ options, sha256: hash.digest("hex"), steps: 10, bestEpoch: 1 },
    ...{ engine: "none", threads: 1, seconds: 0, tokensPerSecond: null },
    ...{ startedAt: "2026-11-20T00:00:00.000Z", finishedAt: "2026-11-20T00:00:00.000Z" },
  };
  writeFileSync(path.join(folder, "run.json"), JSON.stringify(record));
  return task;
}

function writeTasks(names) {
  const task = (name) =>
    `  - name: ${name}\n    files: { train: ${name}.csv, dev: ${name}.csv }\n    columns: { text: text, label: label }\n    labels: ["no", "yes"]\n`;
  writeFileSync(path.join(cwd, "tasks.yaml"), `tasks:\n${names.map(task).join("")}`);
  for (const name of names)
    writeFileSync(path.join(cwd, `${name}.csv`), "text,label\nw1 w2 w3,no\nw4 w5 w6 w7 w8 w9,yes\n");
}

/** Runs a command and measures it: it says at its end what it read, wrote and held. */
async function measure(what, line) {
  const hook = `process.on("exit", () => {
    const io = Object.fromEntries(require("node:fs").readFileSync("/proc/self/io", "utf8").trim().split("\\n").map((l) => l.split(": ")));
    require("node:fs").writeFileSync("measured.json", JSON.stringify({ ...io, maxRss: process.resourceUsage().maxRSS }));
  });`;
  writeFileSync(path.join(cwd, "hook.cjs"), hook);
  const started = performance.now();
  const child = spawn(process.execPath, ["--require", "./hook.cjs", bin, ...line.split(" "), "--quiet"], {
    ...{ cwd, stdio: ["ignore", "ignore", "inherit"], env: { ...process.env, FLEXBERT_CACHE: cache } },
  });
  const code = await new Promise((resolve) => child.once("close", resolve));
  if (code !== 0) throw new Error(`flexbert ${line} ended with ${code}`);
  const seconds = (performance.now() - started) / 1000;
  const { rchar, wchar, maxRss } = JSON.parse(readFileSync(path.join(cwd, "measured.json"), "utf8"));
  const mb = (bytes) => (bytes / 1e6).toFixed(1);
  console.log(`| ${what} | ${seconds.toFixed(2)} | ${mb(rchar)} | ${mb(wchar)} | ${mb(1024 * maxRss)} |`);
}

async function load(rounds) {
  const files = { "external data": "merged/model.onnx", "self-contained": "alone/model.onnx" };
  await measure("export onnx", "export onnx --model merged --out alone");
  console.log("\n| model | MB | open, s | 1 x 16, ms | 8 x 32, ms |\n|---|---|---|---|---|");
  const best = {};
  for (let round = 0; round < rounds; round++) {
    for (const [name, file] of Object.entries(files)) {
      const times = [];
      const begun = performance.now();
      const session = await runtime.InferenceSession.create(path.join(cwd, file), { logSeverityLevel: 3 });
      times.push(performance.now() - begun);
      for (const [rows, length] of [
        [1, 16],
        [8, 32],
      ]) {
        const tensor = (value) =>
          new runtime.Tensor("int64", new BigInt64Array(rows * length).fill(value), [rows, length]);
        const feeds = { input_ids: tensor(7n), attention_mask: tensor(1n), token_type_ids: tensor(0n) };
        await session.run(feeds);
        const started = performance.now();
        await session.run(feeds);
        times.push(performance.now() - started);
      }
      await session.release();
      best[name] = (best[name] ?? times).map((time, i) => Math.min(time, times[i]));
    }
  }
  for (const [name, [open, ...ms]] of Object.entries(best)) {
    const size = statSync(path.join(cwd, files[name])).size / 1e6;
    console.log(
      `| ${name} | ${size.toFixed(1)} | ${(open / 1000).toFixed(2)} | ${ms.map((time) => time.toFixed(1)).join(" | ")} |`,
    );
  }
}

const base = await makeBase();
const names = Array.from({ length: tasks + 1 }, (_, i) => makeRun(base, i, 1));
writeTasks(names);
const last = names.at(-1);
const before = names.slice(0, -1).join(",");
console.log(`${values.size}: ${tasks} tasks, one more is ${last}\n`);
console.log("| what | seconds | MB read | MB written | MB held |\n|---|---|---|---|---|");
await measure(`merge of ${tasks}, for what follows`, `merge --base ./base --task ${before} --out merged`);
await measure("add", `add --merged merged --task ${last}`);
makeRun(base, tasks, 2);
await measure("update", `update --merged merged --task ${last}`);
await measure("remove", `remove --merged merged --task ${last}`);
await measure(`merge anew, ${tasks + 1}`, `merge --base ./base --out anew`);
rmSync(path.join(cwd, "anew"), { recursive: true });
makeRun(base, tasks, 3);
await measure("add, --no-onnx", `add --merged merged --task ${last} --no-onnx`);
await measure(`merge anew, ${tasks + 1}, --no-onnx`, `merge --base ./base --out anew --no-onnx`);
if (!existsSync(path.join(cwd, "merged/model.onnx")))
  await measure("model.onnx again", `merge --base ./base --task ${last} --out merged`);
if (values.load) await load(Number(values.rounds));
