// int8 against float32, and against Python's quantize_dynamic of the same float32 graph: time, size, and what a row's neighbours
// do to it. One encoder of random weights under a head, all in this process on one runtime, in turn; the best of the rounds counts.
//
//   npm run build && node bench/int8.mjs [--rounds 8] [--venv bench-out/venv] [--out bench-out/int8] [minilm] [base]
//
// The venv has onnx and onnxruntime (pip install onnx onnxruntime); without it the peer is left out.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { showUsage } from "./usage.mjs";

const require = createRequire(import.meta.url);
const runtime = require("onnxruntime-node");
const { parameterShapes } = require("../dist/checkpoints/bases/parameter-shapes.js");
const { toOnnx } = require("../dist/compile/onnx/onnx.js");
const { traceMerged } = require("../dist/export/traced.js");
const { pooledParameters } = require("../dist/model/head-parameters.js");
const { pooledHead } = require("../dist/model/heads.js");
const { packTensors, plainPlan } = require("../dist/quantise/packing.js");
const { normals } = require("../dist/random/draws.js");
const { foldIn, seedKey } = require("../dist/random/threefry.js");

showUsage(import.meta.url);

/** hidden, intermediate, heads, layers */
const models = { minilm: [384, 1536, 12, 6], base: [768, 3072, 12, 12] };
const shapes = [
  [1, 16],
  [1, 64],
  [8, 32],
  [32, 64],
];
const VOCABULARY = 30522;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "8" },
    threads: { type: "string", default: String(os.availableParallelism()) },
    venv: { type: "string", default: "bench-out/venv" },
    out: { type: "string", default: "bench-out/int8" },
  },
});
const threads = Number(values.threads);
const rounds = Number(values.rounds);

function randomModel([hiddenSize, intermediateSize, numAttentionHeads, numHiddenLayers]) {
  const config = {
    ...{ vocabSize: VOCABULARY, hiddenSize, intermediateSize, numAttentionHeads, numHiddenLayers },
    ...{ maxPositionEmbeddings: 512, typeVocabSize: 2, layerNormEps: 1e-12 },
  };
  const tensors = {};
  const add = (name, shape) => {
    const size = shape.reduce((all, part) => all * part, 1);
    const data = normals(foldIn(seedKey(1), Object.keys(tensors).length), size, 0.05);
    if (name.endsWith("LayerNorm.weight")) for (let i = 0; i < size; i++) data[i] += 1;
    tensors[name] = { dtype: "float32", shape: [...shape], data };
  };
  const own = `bert.encoder.layer.${numHiddenLayers - 1}.`; // the branch's, as in a merged model
  for (const [name, shape] of parameterShapes(config)) {
    if (!name.startsWith("bert.pooler.")) add(name.startsWith(own) ? `task/t/${name}` : name, shape);
  }
  for (const { name, shape } of pooledParameters(hiddenSize, 2)) add(`task/t/${name}`, shape);
  const task = { name: "t", fork: numHiddenLayers - 1, layers: 1, head: pooledHead };
  const types = Object.fromEntries(Object.entries(tensors).map(([name, { shape, dtype }]) => [name, { shape, dtype }]));
  return { ...traceMerged(types, [task], config), tensors };
}

/** Files of the three, by name. */
function files(name) {
  const { graph, symbols, tensors } = randomModel(models[name]);
  mkdirSync(values.out, { recursive: true });
  const file = (form) => path.join(values.out, `${name}-${form}.onnx`);
  const write = (form, constants) =>
    writeFileSync(file(form), toOnnx(graph, { constants, symbols, standard: true, wideInputs: true }));
  write("float32", tensors);
  write("int8", packTensors(graph, tensors, plainPlan));
  const found = { float32: file("float32"), int8: file("int8") };
  const python = path.join(values.venv, "bin/python");
  if (!existsSync(python)) {
    console.log(`no ${python}: quantize_dynamic is left out`);
    return found;
  }
  const peer = file("quantize_dynamic");
  const code =
    "import sys; from onnxruntime.quantization import quantize_dynamic, QuantType; " +
    "quantize_dynamic(sys.argv[1], sys.argv[2], per_channel=True, weight_type=QuantType.QInt8)";
  execFileSync(python, ["-c", code, found.float32, peer], { stdio: ["ignore", "ignore", "ignore"] });
  return { ...found, quantize_dynamic: peer };
}

/** Ids of `batch` rows: a row has the same ones in every batch. */
function feedsOf([batch, length], rows = [...Array(batch).keys()]) {
  const tensor = (value) =>
    new runtime.Tensor(
      "int64",
      BigInt64Array.from({ length: batch * length }, (_, i) => BigInt(value(i))),
      [batch, length],
    );
  const id = (i) => 1000 + (((rows[Math.floor(i / length)] + 1) * 7919 + (i % length) * 104729) % 29000);
  return { input_ids: tensor(id), attention_mask: tensor(() => 1), token_type_ids: tensor(() => 0) };
}

/** The largest relative difference of a row's logits alone from those in the batch. */
async function apart(session, [batch, length]) {
  const { t: together } = await session.run(feedsOf([batch, length]));
  let most = 0;
  for (const row of [0, batch - 1]) {
    const { t: alone } = await session.run(feedsOf([1, length], [row]));
    for (const [i, value] of alone.data.entries()) {
      most = Math.max(most, Math.abs(value - together.data[row * 2 + i]) / Math.abs(value));
    }
  }
  return most;
}

for (const name of positionals.length > 0 ? positionals : Object.keys(models)) {
  const found = files(name);
  const sessions = {};
  for (const [form, file] of Object.entries(found)) {
    sessions[form] = await runtime.InferenceSession.create(file, { intraOpNumThreads: threads, logSeverityLevel: 3 });
  }
  const sizes = Object.entries(found).map(([form, file]) => `${form} ${(statSync(file).size / 1e6).toFixed(1)} MB`);
  console.log(`${name}: ${sizes.join(", ")}; ${threads} threads, best of ${rounds} rounds`);
  for (const shape of shapes) {
    const best = Object.fromEntries(Object.keys(sessions).map((form) => [form, Number.POSITIVE_INFINITY]));
    const feeds = feedsOf(shape);
    for (let round = 0; round < rounds; round++) {
      for (const [form, session] of Object.entries(sessions)) {
        await setTimeout(100); // threads of the other side's sessions spin for a while after a call
        for (let call = 0; call < 3; call++) {
          const started = performance.now();
          await session.run(feeds);
          best[form] = Math.min(best[form], performance.now() - started);
        }
      }
    }
    const times = Object.entries(best).map(([form, ms]) => `${form} ${ms.toFixed(2)} ms`);
    const ratios = [`float32 / int8 ${(best.float32 / best.int8).toFixed(2)}`];
    if (best.quantize_dynamic) ratios.push(`int8 / quantize_dynamic ${(best.int8 / best.quantize_dynamic).toFixed(2)}`);
    console.log(`  ${shape.join(" x ")}: ${[...times, ...ratios].join(", ")}`);
  }
  for (const [form, session] of Object.entries(sessions)) {
    console.log(`  a row alone and among 8 others, ${form}: ${(await apart(session, [9, 32])).toExponential(1)}`);
  }
  for (const session of Object.values(sessions)) await session.release();
}
