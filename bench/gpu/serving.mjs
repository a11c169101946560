// The paper's serving shape (Appendix E: 21 tasks in 40 layers of BERT-base, of which 8 are shared) on a device: every query asks all
// tasks. Queries come at random times at a rising rate, whether or not the last was answered; what waits is batched by tokens.
// Prints a line of JSON a rate: queries a second that were answered, and how long they took from arrival to logits.
//
//   npm run build && node bench/gpu/serving.mjs [--device cuda] [--precision bf16] [--rates 500,1000,2000,4000] [--seconds 4]
//       [--batch-tokens 4096] [--lengths 8-48] [--size base]
//
// Weights are random. A process alone: no HTTP, no tokenizer. Lengths are uniform within --lengths.
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { showUsage } from "../usage.mjs";

const require = createRequire(import.meta.url);
const { benchmarkSizes, benchmarkWeights } = require("../../dist/benchmark/benchmark-weights.js");
const { openEngine } = require("../../dist/engines/open.js");
const { branchAxes } = require("../../dist/model/branch.js");
const { heads } = require("../../dist/model/heads.js");
const { pooledParameters } = require("../../dist/model/head-parameters.js");
const { multiHeadLogits } = require("../../dist/model/multi-head.js");
const { scoped } = require("../../dist/model/parameters.js");
const { int32 } = require("../../dist/model/tensors.js");
const { branchOfBase } = require("../../dist/recipes/trial/initial-branch.js");

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    device: { type: "string", default: "cuda" },
    precision: { type: "string", default: "float32" },
    rates: { type: "string", default: "500,1000,2000,3000,4000,6000" },
    seconds: { type: "string", default: "4" },
    "batch-tokens": { type: "string", default: "4096" },
    lengths: { type: "string", default: "8-48" },
    size: { type: "string", default: "base" },
    tasks: { type: "string", default: "21" },
    shared: { type: "string", default: "8" },
    layers: { type: "string", default: "40" },
  },
});
const [SEED, OUTPUTS] = [1, 2];
const [shortest, longest] = values.lengths.split("-").map(Number);
const [count, shared, layers] = [values.tasks, values.shared, values.layers].map(Number);
const config = benchmarkSizes[values.size];

const { engine } = await openEngine("onnx", { device: values.device, precision: values.precision });
const program = await load();
const size = (tokens) => Math.ceil(tokens / 8) * 8;

/** Branches of one and two layers, so that they and the shared ones come to `layers`. */
async function load() {
  const base = benchmarkWeights(config, SEED);
  const own = layers - shared;
  const tensors = Object.fromEntries(
    Object.entries(base).filter(([name]) => {
      const layer = /encoder\.layer\.(\d+)\./.exec(name);
      return (layer === null || Number(layer[1]) < shared) && !name.includes("pooler");
    }),
  );
  const tasks = Array.from({ length: count }, (_, at) => ({
    name: `task${at}`,
    fork: shared,
    layers: Math.floor(own / count) + (at < own % count ? 1 : 0),
    head: heads.classification,
  }));
  for (const { name, fork, layers: branch } of tasks) {
    const made = branchOfBase(
      { config, tensors: base },
      { fork, layers: branch },
      pooledParameters(config.hiddenSize, OUTPUTS),
      SEED,
    );
    Object.assign(tensors, scoped(name, made));
  }
  const { hidden: _, ...axes } = branchAxes;
  return engine.load(
    tensors,
    { all: (state, inputs) => ({ outputs: multiHeadLogits(state, inputs, tasks, config) }) },
    { all: axes },
  );
}

function batchOf(lengths) {
  const length = size(Math.max(...lengths));
  const shape = [lengths.length, length];
  const [ids, mask] = [new Int32Array(lengths.length * length), new Int32Array(lengths.length * length)];
  for (const [row, tokens] of lengths.entries()) {
    mask.fill(1, row * length, row * length + tokens);
    for (let at = 0; at < tokens; at++) ids[row * length + at] = 1000 + ((row * 31 + at * 7) % 20000);
  }
  return {
    input_ids: int32(shape, ids),
    token_type_ids: int32(shape, new Int32Array(ids.length)),
    attention_mask: int32(shape, mask),
  };
}

const drawLength = () => shortest + Math.floor(Math.random() * (longest - shortest + 1));

async function atRate(rate, seconds) {
  const arrivals = [];
  for (let at = 0; at < seconds * 1000; at += (-Math.log(1 - Math.random()) * 1000) / rate) {
    arrivals.push({ at, length: drawLength() });
  }
  const took = [];
  const started = performance.now();
  let [next, batches] = [0, 0];
  while (next < arrivals.length) {
    const now = performance.now() - started;
    if (arrivals[next].at > now) {
      await sleep(Math.max(0, Math.min(1, arrivals[next].at - now)));
      continue;
    }
    if (now > 3 * seconds * 1000) break; // far behind: the rate is not met
    const taken = [];
    let most = 0;
    while (next < arrivals.length && arrivals[next].at <= now) {
      most = Math.max(most, size(arrivals[next].length));
      if (taken.length > 0 && most * (taken.length + 1) > Number(values["batch-tokens"])) break;
      taken.push(arrivals[next++]);
    }
    const outputs = await program.run("all", batchOf(taken.map(({ length }) => length)));
    if (Object.keys(outputs).length !== count || !Number.isFinite(outputs.task0.data[0])) throw new Error("no logits");
    const done = performance.now() - started;
    for (const { at } of taken) took.push(done - at);
    batches++;
  }
  const ended = performance.now() - started;
  const sorted = took.sort((a, b) => a - b);
  const percentile = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return {
    offered: rate,
    answered: took.length / (ended / 1000),
    p50: percentile(0.5),
    p99: percentile(0.99),
    rows: took.length / batches,
  };
}

const about = { device: values.device, precision: values.precision, engine: engine.summary, tasks: count, layers };
const warm = performance.now();
for (const rows of [1, 4, 16, 64]) await program.run("all", batchOf(Array.from({ length: rows }, () => longest)));
console.log(JSON.stringify({ ...about, warm: performance.now() - warm }));
for (const [rows, length] of [
  [1, 32],
  [8, 32],
  [32, 32],
  [128, 32],
  [256, 32],
]) {
  const times = [];
  for (let round = 0; round < 8; round++) {
    const before = performance.now();
    await program.run("all", batchOf(Array.from({ length: rows }, () => length)));
    times.push(performance.now() - before);
  }
  const best = Math.min(...times);
  console.log(JSON.stringify({ ...about, rows, length, ms: best, queriesPerSecond: (1000 * rows) / best }));
}
for (const rate of values.rates.split(",").map(Number)) {
  const result = await atRate(rate, Number(values.seconds));
  console.log(JSON.stringify({ ...about, ...result }));
  if (result.p99 > 500) break;
}
process.exit(0);
