// Memory over many compiled train steps whose lengths take turns: this process's resident memory, tfjs's tensors and,
// for the tensorflow engine, the C library's tensors that are not deleted yet.
//
//   npm run build && node bench/memory.mjs [--engine tensorflow] [--steps 1000] [--precision float32]
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import { showUsage } from "./usage.mjs";

const require = createRequire(import.meta.url);
const { benchmarkSizes, benchmarkWeights } = require("../dist/benchmark/benchmark-weights.js");
const { openEngine } = require("../dist/engines/open.js");
const tensorflowLoad = require("../dist/engines/tensorflow/load.js");
const { pooledParameters } = require("../dist/model/head-parameters.js");
const { branchOfBase } = require("../dist/recipes/trial/initial-branch.js");
const { BENCHMARK_OUTPUTS, openTrainStep } = require("../dist/benchmark/step-benchmark.js");

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    engine: { type: "string", default: "tensorflow" },
    steps: { type: "string", default: "1000" },
    precision: { type: "string", default: "float32" },
  },
});
const steps = Number(values.steps);
const lengths = [16, 48, 32, 64];
const shown = new Set([1, 10, 100, 250, 500, 750, steps]);
const config = {
  ...benchmarkSizes.base,
  hiddenSize: 128,
  numHiddenLayers: 4,
  numAttentionHeads: 4,
  intermediateSize: 512,
};

let held = 0;
const { loadTensorflow } = tensorflowLoad;
tensorflowLoad.loadTensorflow = (...options) => {
  const { binding, createBackend } = loadTensorflow(...options);
  const counted = {
    createTensor(...given) {
      held++;
      return binding.createTensor(...given);
    },
    deleteTensor(tensor) {
      held--;
      binding.deleteTensor(tensor);
    },
    runSavedModel(...given) {
      const made = binding.runSavedModel(...given);
      held += made.length;
      return made;
    },
  };
  // The addon's own functions cannot be replaced, only hidden.
  const counting = Object.create(binding, Object.getOwnPropertyDescriptors(counted));
  return { binding: counting, createBackend };
};

const { engine } = await openEngine(values.engine, { precision: values.precision });
console.log(
  `${engine.summary}: ${steps} steps of 2 of 4 layers, hidden size 128, 8 rows of ${lengths.join(", ")} tokens`,
);
const before = engine.tensorCount();
const base = benchmarkWeights(config, 1);
const branch = branchOfBase(
  { config, tensors: base },
  { fork: 2, layers: 2 },
  pooledParameters(config.hiddenSize, BENCHMARK_OUTPUTS),
  1,
);
const workload = await openTrainStep(engine, {
  config,
  tensors: { ...base, ...branch },
  layers: 2,
  batchSize: 8,
  seed: 1,
});
for (let step = 1; step <= steps; step++) {
  const { loss } = await workload.run(lengths[step % lengths.length]);
  if (!shown.has(step)) continue;
  const { rss, heapUsed, external } = process.memoryUsage();
  const [inMemory, heap, outside] = [rss, heapUsed, external].map((bytes) => (bytes / 2 ** 20).toFixed(0));
  console.log(
    `step ${step}: ${inMemory} MiB resident (heap ${heap}, external ${outside}), ${engine.tensorCount() - before} tensors or programs, ${held} of the C library, loss ${loss.toFixed(4)}`,
  );
}
workload.dispose();
console.log(`disposed: ${engine.tensorCount() - before} tensors or programs, ${held} of the C library`);
