// The same on one of flexbert's engines, for bench/families.mjs: a line in, a line out (family.py says which).
//
//   node bench/peers/flexbert-family.mjs CONFIG K BATCH LENGTH THREADS ENGINE
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { showUsage } from "../usage.mjs";

const require = createRequire(import.meta.url);
const { benchmarkWeights } = require("../../dist/benchmark/benchmark-weights.js");
const { BENCHMARK_OUTPUTS, openInference, openTrainStep } = require("../../dist/benchmark/step-benchmark.js");
const { openEngine } = require("../../dist/engines/open.js");
const { familyHead } = require("../../dist/model/families/head.js");
const { parseConfig } = require("../../dist/model/families/config-file.js");
const { branchOfBase } = require("../../dist/recipes/trial/initial-branch.js");

showUsage(import.meta.url);

const SEED = 1;
const [json, k, batch, length, threads] = process.argv.slice(2, 7);
const engineName = process.argv[7] ?? "onnx";
const config = parseConfig(JSON.parse(json), "bench/peers/family-cases.mjs");

/** Both programs. A function of its own: the weights end with it. */
async function openBoth(engine) {
  const base = { config, tensors: benchmarkWeights(config, SEED) };
  const head = familyHead(config, BENCHMARK_OUTPUTS);
  const place = { fork: config.numHiddenLayers - Number(k), layers: Number(k) };
  const tensors = { ...base.tensors, ...branchOfBase(base, place, head, SEED) };
  const benchmark = { config, tensors, layers: Number(k), seed: SEED };
  const train = await openTrainStep(engine, { ...benchmark, batchSize: Number(batch) });
  // A program takes any batch; the one of the benchmark is that of its texts.
  const infer = new Map();
  return async (kind, [rows, tokens]) => {
    if (kind === "train") return train.run(Number(length));
    if (!infer.has(rows)) infer.set(rows, await openInference(engine, { ...benchmark, batchSize: Number(rows) }));
    return infer.get(rows).run(Number(tokens));
  };
}

const { engine } = await openEngine(engineName, { threads: Number(threads) });
const run = await openBoth(engine);
console.log(JSON.stringify({ ready: engine.summary }));
for await (const line of createInterface({ input: process.stdin })) {
  const [kind, ...sizes] = line.split(" ");
  const { ms, loss } = await run(kind, sizes);
  console.log(JSON.stringify({ ms, value: loss, peak: 1024 * process.resourceUsage().maxRSS }));
}
process.exit(0);
