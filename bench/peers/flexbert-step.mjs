// The same step on one of flexbert's engines, for bench/train-step.mjs: a line in, a line out.
//
//   node bench/peers/flexbert-step.mjs HIDDEN INTERMEDIATE HEADS LAYERS TRAINED BATCH LENGTH THREADS ENGINE [PROFILE]
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(import.meta.url);
const { openEngine } = require("../../dist/engines/open.js");
const { branchAxes } = require("../../dist/model/branch.js");
const { attentionBias, embed, encoderLayer } = require("../../dist/model/encoder.js");
const { embeddingParameters, layerParameters } = require("../../dist/model/parameters.js");
const { float32, int32, sizeOf } = require("../../dist/model/tensors.js");
const { parameterShapes } = require("../../dist/checkpoints/parameter-shapes.js");
const { branchTensors, embeddingTensors, layerTensors } = require("../../dist/model/parameters.js");
const { stepScalars, withMoments } = require("../../dist/training/adamw.js");
const { crossEntropy } = require("../../dist/training/losses.js");
const { rowWeights, stepAxes, trainStep } = require("../../dist/training/step.js");

const [hidden, intermediate, heads, layers, trained, batch, length, threads] = process.argv.slice(2, 10).map(Number);
const [engineName, profile] = process.argv.slice(10);
const config = {
  vocabSize: 30522,
  hiddenSize: hidden,
  numHiddenLayers: layers,
  numAttentionHeads: heads,
  intermediateSize: intermediate,
  maxPositionEmbeddings: 512,
  typeVocabSize: 2,
  hiddenDropoutProb: 0,
  attentionProbsDropoutProb: 0,
  layerNormEps: 1e-12,
  initializerRange: 0.02,
};

let random = 12345;
/** Uniform numbers of standard deviation 0.02: speed does not depend on them, overflow would. */
function weights(shape, name) {
  const data = new Float32Array(sizeOf(shape));
  if (name.endsWith("bias")) return float32(shape, data);
  if (name.endsWith("LayerNorm.weight")) return float32(shape, data.fill(1));
  for (let i = 0; i < data.length; i++) {
    random = (Math.imul(random, 1103515245) + 12345) & 0x7fffffff;
    data[i] = (random / 0x7fffffff - 0.5) * 0.0693;
  }
  return float32(shape, data);
}

// Options of onnxruntime's sessions: a profile, and what bench/session-options.mjs tries.
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

const { engine } = await openEngine(engineName, { threads });
let base = {
  ...Object.fromEntries([...parameterShapes(config)].map(([name, shape]) => [name, weights(shape, name)])),
  "classifier.weight": weights([2, hidden], "classifier.weight"),
  "classifier.bias": weights([2], "classifier.bias"),
};
const shape = { fork: layers - trained, layers: trained, full: false };
const frozen = await engine.load(
  { ...embeddingTensors(base), ...layerTensors(base, 0, shape.fork) },
  {
    forward(state, inputs) {
      const bias = attentionBias(inputs.attention_mask);
      let activations = embed(embeddingParameters(state), inputs.input_ids, inputs.token_type_ids, config);
      for (let layer = 0; layer < shape.fork; layer++) {
        activations = encoderLayer(layerParameters(state, layer), activations, bias, config, layer);
      }
      return { outputs: { hidden: activations } };
    },
  },
  { forward: branchAxes },
);
const program = await engine.load(
  withMoments(branchTensors(base, shape)),
  { train: trainStep({ shape, config, clipNorm: 1, loss: (z, i) => crossEntropy(z, i.labels, rowWeights(i)) }) },
  { train: stepAxes(config, shape) },
);
base = null; // the programs have what they need of it
const size = [batch, length];
const ids = Int32Array.from({ length: batch * length }, (_, i) => 1000 + ((i * 7919) % 29000));
const mask = int32(size, new Int32Array(batch * length).fill(1));
const types = int32(size, new Int32Array(batch * length));
const labels = int32(
  [batch],
  Int32Array.from({ length: batch }, (_, i) => i % 2),
);

let count = 0;
let frozenMs = 0;
async function step() {
  const began = performance.now();
  const scalars = Object.entries(stepScalars(2e-5, 0.01, ++count)).map(([name, value]) => [
    name,
    float32([], Float32Array.of(value)),
  ]);
  const { hidden: activations } = await frozen.run("forward", {
    input_ids: int32(size, ids),
    token_type_ids: types,
    attention_mask: mask,
  });
  frozenMs = performance.now() - began;
  const outputs = await program.run("train", {
    hidden: activations,
    attention_mask: mask,
    labels,
    row_weights: float32([batch], new Float32Array(batch).fill(1)),
    ...Object.fromEntries(scalars),
  });
  return outputs.loss.data[0];
}

console.log(JSON.stringify({ ready: engine.summary }));
for await (const _ of createInterface({ input: process.stdin })) {
  const started = performance.now();
  const loss = await step();
  const ms = performance.now() - started;
  const peak = 1024 * process.resourceUsage().maxRSS;
  console.log(JSON.stringify({ ms, frozen: frozenMs, loss, peak, compiled: program.compiled() }));
}
process.exit(0);
