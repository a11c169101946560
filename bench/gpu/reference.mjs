// The onnx engine on a device against PyTorch's values (test/fixtures/reference): the forward pass of the tiny BERT, and twenty
// AdamW steps of its top two layers, twice, to see whether they repeat byte for byte. Ends with 1 where they are not met.
//
//   npm run build && node bench/gpu/reference.mjs [--device webgpu] [--precision float32] [--profile PREFIX]
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { parseArgs } from "node:util";
import { showUsage } from "../usage.mjs";

const require = createRequire(import.meta.url);
const { openEngine } = require("../../dist/engines/open.js");
const { readSafetensors } = require("../../dist/checkpoints/formats/safetensors.js");
const { parseConfig } = require("../../dist/model/families/config-file.js");
const { masking } = require("../../dist/model/attention.js");
const { embed, encoderLayers } = require("../../dist/model/encoder.js");
const { heads, pooledHead } = require("../../dist/model/heads.js");
const { branchTensors } = require("../../dist/model/parameters.js");
const { placeOf } = require("../../dist/model/place.js");
const { float32, int32 } = require("../../dist/model/tensors.js");
const { labelLoss } = require("../../dist/recipes/losses.js");
const { stepScalars, withMoments } = require("../../dist/training/step/adamw.js");
const { trainStep } = require("../../dist/training/step/step.js");

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    device: { type: "string", default: "webgpu" },
    precision: { type: "string", default: "float32" },
    profile: { type: "string" },
  },
});
const TRAINED = 2;
/** By precision: the largest difference of a hidden state, and the largest share by which a loss or a norm may differ. */
const bounds = { float32: [1e-4, 1e-3], tf32: [1e-2, 1e-2], bf16: [1e-1, 5e-2], float16: [1e-2, 1e-2] };

const folder = path.join(import.meta.dirname, "../../test/fixtures/reference/tiny-bert");
const expected = JSON.parse(readFileSync(path.join(folder, "expected.json"), "utf8"));
const config = parseConfig(
  JSON.parse(readFileSync(path.join(folder, "config.json"), "utf8")),
  path.join(folder, "config.json"),
);
const { tensors } = await readSafetensors(path.join(folder, "model.safetensors"));
const { engine } = await openEngine("onnx", values);
console.log(engine.summary);

const matrix = (rows) => int32([rows.length, rows[0].length], Int32Array.from(rows.flat()));
const place = placeOf(config.numHiddenLayers, TRAINED);
const program = await engine.load(tensors, {
  forward(state, { ids, types, mask }) {
    const masked = masking(mask);
    const embedded = embed(state, ids, types, config);
    const below = encoderLayers(state, embedded, masked, config, [0, place.fork]);
    const top = encoderLayers(state, below, masked, config, [place.fork, config.numHiddenLayers], undefined, "first");
    return { outputs: { hidden: below, logits: pooledHead.logits(state, top) } };
  },
});
const outputs = await program.run("forward", {
  ids: matrix(expected.input_ids),
  types: matrix(expected.token_type_ids),
  mask: matrix(expected.attention_mask),
});
program.dispose();
const wanted = expected.logits.flat();
const difference = wanted.reduce((most, value, i) => Math.max(most, Math.abs(value - outputs.logits.data[i])), 0);

async function steps() {
  const trained = await engine.load(withMoments(branchTensors(tensors, place)), {
    train: trainStep({ place, config, loss: labelLoss(heads.classification), clipNorm: 1 }),
  });
  const rows = expected.class_ids.length;
  const results = [];
  for (const [i, loss] of expected.labels.losses.entries()) {
    const scalars = Object.entries(stepScalars(1e-3, 0.01, i + 1));
    const result = await trained.run("train", {
      hidden: outputs.hidden,
      attention_mask: matrix(expected.attention_mask),
      labels: int32([rows], Int32Array.from(expected.class_ids)),
      row_weights: float32([rows], new Float32Array(rows).fill(1)),
      ...Object.fromEntries(scalars.map(([name, value]) => [name, float32([], Float32Array.of(value))])),
    });
    results.push({
      loss: Math.abs(result.loss.data[0] / loss - 1),
      norm: Math.abs(result.grad_norm.data[0] / expected.labels.grad_norms[i] - 1),
    });
  }
  const state = await trained.state();
  trained.dispose();
  return { results, bytes: Buffer.concat(Object.values(state).map(({ data }) => Buffer.from(data.slice().buffer))) };
}

const [first, second] = [await steps(), await steps()];
const most = (name) => Math.max(...first.results.map((result) => result[name]));
const [hidden, share] = bounds[values.precision];
const met = difference < hidden && most("loss") < share && most("norm") < share;
const repeats = first.bytes.equals(second.bytes);
console.log(
  `${values.device} ${values.precision}: logits differ by at most ${difference.toExponential(1)}, ${first.results.length} losses by ` +
    `${most("loss").toExponential(1)}, gradient norms by ${most("norm").toExponential(1)} of their value: ` +
    `${met ? "met" : "NOT MET"}; the state after them ${repeats ? "repeats" : "does not repeat"} byte for byte`,
);
process.exit(met ? 0 : 1);
