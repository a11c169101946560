// The same step on one of flexbert's engines, for bench/train-step.mjs: a line in, a line out.
//
//   node bench/peers/flexbert-step.mjs HIDDEN INTERMEDIATE HEADS LAYERS TRAINED BATCH LENGTH THREADS ENGINE [PROFILE]
//   DEVICE in the environment: cpu or gpu is what the engine must run on, webgpu or cuda a device of the onnx engine;
//   PRECISION is the products', DROPOUT the rate of all dropout (0)
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { showUsage } from "../usage.mjs";

const require = createRequire(import.meta.url);
const tf = require("@tensorflow/tfjs-core");
const { benchmarkSizes, benchmarkWeights } = require("../../dist/benchmark/benchmark-weights.js");
const { openEngine } = require("../../dist/engines/open.js");
const { pooledParameters } = require("../../dist/model/head-parameters.js");
const { branchOfBase } = require("../../dist/recipes/trial/initial-branch.js");
const { BENCHMARK_OUTPUTS, openTrainStep } = require("../../dist/benchmark/step-benchmark.js");

showUsage(import.meta.url);

const SEED = 1;
const [hidden, intermediate, heads, layers, trained, batch, length, threads] = process.argv.slice(2, 10).map(Number);
const [engineName, profile] = process.argv.slice(10);
const config = {
  ...benchmarkSizes.base,
  hiddenSize: hidden,
  numHiddenLayers: layers,
  numAttentionHeads: heads,
  intermediateSize: intermediate,
  hiddenDropoutProb: Number(process.env.DROPOUT ?? 0),
  attentionProbsDropoutProb: Number(process.env.DROPOUT ?? 0),
};

// Options of onnxruntime's sessions on the CPU: a profile, and what bench/session-options.mjs tries.
const options = {
  ...JSON.parse(process.env.SESSION_OPTIONS ?? "{}"),
  ...(profile ? { enableProfiling: true, profileFilePrefix: profile } : {}),
};
if (Object.keys(options).length > 0) {
  const runtime = require("onnxruntime-node");
  const create = runtime.InferenceSession.create.bind(runtime.InferenceSession);
  runtime.InferenceSession.create = async (model, given) => {
    const session = await create(model, { ...given, ...options });
    if (profile) process.on("exit", () => session.endProfiling());
    return session;
  };
}

// With WHOLE_TOP every position of the topmost layer is computed, as PyTorch does, and not the first one alone.
if (process.env.WHOLE_TOP) {
  const encoder = require("../../dist/model/encoder.js");
  const { encoderLayers } = encoder;
  encoder.encoderLayers = (tensors, input, bias, config, range, dropout, top) => {
    const hidden = encoderLayers(tensors, input, bias, config, range, dropout);
    return top === "first" ? tf.slice(hidden, [0, 0, 0], [hidden.shape[0], 1, hidden.shape[2]]) : hidden;
  };
}

/** The step. A function of its own: the weights end with it. */
function openStep(engine) {
  const base = benchmarkWeights(config, SEED);
  const branch = branchOfBase(
    { config, tensors: base },
    { fork: layers - trained, layers: trained },
    pooledParameters(config.hiddenSize, BENCHMARK_OUTPUTS),
    SEED,
  );
  const benchmark = { config, tensors: { ...base, ...branch }, layers: trained, batchSize: batch, seed: SEED };
  return openTrainStep(engine, benchmark);
}

const { DEVICE, PRECISION } = process.env;
const named = ["webgpu", "cuda"].includes(DEVICE) ? { device: DEVICE } : {};
const { engine } = await openEngine(engineName, {
  threads,
  ...named,
  ...(named.device && profile ? { profile } : {}),
  ...(PRECISION ? { precision: PRECISION } : {}),
});
if (DEVICE && engine.device !== (named.device ? "gpu" : DEVICE)) {
  throw new Error(`${engine.summary} does not run on ${DEVICE}`);
}
const workload = await openStep(engine);
console.log(JSON.stringify({ ready: engine.summary }));
for await (const _ of createInterface({ input: process.stdin })) {
  const { ms, frozenMs, loss } = await workload.run(length);
  const peak = 1024 * process.resourceUsage().maxRSS;
  console.log(JSON.stringify({ ms, frozen: frozenMs, loss, peak, compiled: workload.compiledStep() }));
}
if (named.device) workload.dispose(); // writes its profiles; the CPU's are written at the exit
process.exit(0);
