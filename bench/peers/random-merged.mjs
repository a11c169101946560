// A merged folder of random weights, made by flexbert's own merge: what scripts measure that ask how fast a shape of model is.
import { createHash } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(import.meta.url);
const { parameterShapes } = require("../../dist/checkpoints/bases/parameter-shapes.js");
const { baseSha256 } = require("../../dist/checkpoints/bases/weights.js");
const { safetensorsChunks } = require("../../dist/checkpoints/formats/safetensors.js");
const { splitmix32 } = require("../../dist/data/sample/sample.js");
const { merge } = require("../../dist/merge/merge.js");
const { layerTensors } = require("../../dist/model/parameters.js");
const { kinds } = require("../../dist/tasks/kinds.js");

/** Hidden, intermediate, layers, heads, vocabulary. */
const sizes = { base: [768, 3072, 12, 12, 30522], minilm: [384, 1536, 6, 12, 30522], tiny: [32, 64, 12, 4, 500] };

/** The paper's eight tasks as its threshold c = 1 chooses them: 33 of 96 layers. */
export const paperTasks = Object.entries({
  ...{ rte: [7, 5], cola: [4, 8], qnli: [2, 3], mnli: [4, 3], mrpc: [7, 3], sst2: [6, 2], qqp: [2, 1], stsb: [4, 1] },
}).map(([name, [fork, layers]]) => ({ name, fork, layers }));

/** Small weights, quickly: a table of drawn ones, read from a place of its own for each tensor. */
export function weightsOf(shapes, seed) {
  const random = splitmix32(seed, 0);
  const table = Float32Array.from({ length: 1 << 16 }, () => 0.04 * (random() + random() + random() - 1.5));
  return Object.fromEntries(
    [...shapes].map(([name, shape]) => {
      const data = new Float32Array(shape.reduce((size, dimension) => size * dimension, 1));
      const from = Math.floor(random() * table.length);
      for (let i = 0; i < data.length; i++) data[i] = table[(from + i) & 0xffff];
      if (name.endsWith("LayerNorm.weight")) for (let i = 0; i < data.length; i++) data[i] += 1;
      return [name, { dtype: "float32", shape, data }];
    }),
  );
}

function makeBase(size) {
  const [hiddenSize, intermediateSize, numHiddenLayers, numAttentionHeads, vocabSize] = sizes[size];
  const config = {
    ...{ vocabSize, hiddenSize, numHiddenLayers, numAttentionHeads, intermediateSize },
    ...{ maxPositionEmbeddings: 512, typeVocabSize: 2, padTokenId: 0, layerNormEps: 1e-12, initializerRange: 0.02 },
    ...{ hiddenDropoutProb: 0.1, attentionProbsDropoutProb: 0.1 },
  };
  const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  const tokens = [...special, ...Array.from({ length: vocabSize - special.length }, (_, i) => `w${i}`)];
  const tensors = weightsOf(parameterShapes(config), 1);
  const tokenizer = { tokens, lowerCase: true };
  return { name: "random", folder: "", config, tensors, tokenizer, sha256: baseSha256(config, tensors) };
}

/** A finished run of a task, as training leaves it. */
function makeRun(base, { name, fork, layers }, seed, folder) {
  const { hiddenSize } = base.config;
  const own = Object.entries(layerTensors(base.tensors, fork, fork + layers)).map(([key, { shape }]) => [key, shape]);
  own.push(["bert.pooler.dense.weight", [hiddenSize, hiddenSize]], ["bert.pooler.dense.bias", [hiddenSize]]);
  own.push(["classifier.weight", [2, hiddenSize]], ["classifier.bias", [2]]);
  const chunks = [...safetensorsChunks(weightsOf(own, seed))];
  const hash = createHash("sha256");
  for (const chunk of chunks) hash.update(chunk);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "model.safetensors"), Buffer.concat(chunks));
  const { sha256, config } = base;
  const record = {
    ...{ method: "finetune", task: name, fork, layers, labels: ["no", "yes"], score: 0.5, metrics: { accuracy: 0.5 } },
    ...{
      base: { name: base.name, sha256, layers: config.numHiddenLayers },
      options: { maxLength: 128 },
      sha256: hash.digest("hex"),
    },
  };
  const task = { name, kind: kinds.classification, inputs: "single", metric: "accuracy", labels: ["no", "yes"] };
  return { task, run: { folder, record } };
}

/**
 * Makes the folder anew.
 * @param tasks name, fork and layers of each
 * @param onnx whether model.onnx is written too
 */
export async function makeMerged(out, size, tasks, onnx) {
  rmSync(out, { recursive: true, force: true });
  const base = makeBase(size);
  const runs = path.join(out, "runs");
  const selections = tasks.map((task, i) => makeRun(base, task, i + 2, path.join(runs, task.name)));
  const model = path.join(out, "merged");
  await merge({ out: model, base, selections, allowUnshared: false, onnx: onnx ? { check: null } : null });
  rmSync(runs, { recursive: true });
  return { model, config: base.config };
}

/** Rows of these lengths as the tokenizer would give them, each with ids of its own. */
export function tokenRowsOf(lengths, vocabSize) {
  const ids = lengths.map((length, row) =>
    Int32Array.from({ length }, (_, i) => 5 + ((row * 31 + i * 7919) % (vocabSize - 5))),
  );
  return { ids, typeIds: ids.map((row) => new Int32Array(row.length)), lengths: Int32Array.from(lengths), padId: 0 };
}

/** The same rows padded to the longest, as int64 tensors of onnxruntime. */
export function paddedFeeds(runtime, { ids, lengths }) {
  const [rows, length] = [ids.length, Math.max(...lengths)];
  const wide = (value) => {
    const data = new BigInt64Array(rows * length);
    for (const [row, own] of ids.entries()) {
      for (const [i, id] of own.entries()) data[row * length + i] = BigInt(value(id));
    }
    return new runtime.Tensor("int64", data, [rows, length]);
  };
  return { input_ids: wide((id) => id), attention_mask: wide(() => 1), token_type_ids: wide(() => 0) };
}

/** Logits of all rows for all tasks, by task: [rows, outputs], flat. */
export async function segmentLogits(model, rows, tasks) {
  const logits = {};
  const wants = Array(rows.ids.length).fill(tasks);
  for await (const { task, rows: own, logits: part } of model.run(rows, wants)) {
    const width = part.shape[1];
    logits[task] ??= new Float32Array(rows.ids.length * width);
    for (const [i, row] of own.entries()) logits[task].set(part.data.subarray(i * width, (i + 1) * width), row * width);
  }
  return logits;
}

/** The largest difference between two such. */
export const apart = (a, b) =>
  Math.max(
    ...Object.keys(a).map((task) => a[task].reduce((most, x, i) => Math.max(most, Math.abs(x - b[task][i])), 0)),
  );
