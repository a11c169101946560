// One precision of the tensorflow engine in a process of its own, from dist/: TensorFlow reads the limit that the CPU
// probe sets from the process's environment, of which Jest hands tests a copy. Prints JSON.
//
//   node precision-child.cjs PRECISION FOLDER_OF_TINY_BERT CLASS_IDS_AS_JSON

const { readFileSync } = require("node:fs");
const path = require("node:path");
const dist = (file) => require(path.join(__dirname, "../../../dist", file));
const { readSafetensors } = dist("checkpoints/formats/safetensors.js");
const { openEngine } = dist("engines/open.js");
const { masking } = dist("model/attention.js");
const { embed, encoderLayer } = dist("model/encoder.js");
const { parseConfig } = dist("model/families/config-file.js");
const { heads } = dist("model/heads.js");
const { branchTensors } = dist("model/parameters.js");
const { float32, int32 } = dist("model/tensors.js");
const { labelLoss } = dist("recipes/losses.js");
const { stepScalars, withMoments } = dist("training/step/adamw.js");
const { initialLossScale } = dist("training/step/loss-scale.js");
const { trainStep } = dist("training/step/step.js");
const tf = require("@tensorflow/tfjs-core");

const [precision, folder, classIds] = process.argv.slice(2);
const labels = Int32Array.from(JSON.parse(classIds));
const trainedLayers = 2;
const matrix = (rows) => int32([rows.length, rows[0].length], Int32Array.from(rows.flat()));
const scalars = (step) =>
  Object.fromEntries(
    Object.entries(stepScalars(1e-3, 0.01, step)).map(([name, value]) => [name, float32([], Float32Array.of(value))]),
  );

/** The largest differences of products and of a sum from those of float64. */
async function rounding(engine) {
  const wave = (rows, columns, from) =>
    float32(
      [rows, columns],
      Float32Array.from({ length: rows * columns }, (_, i) => Math.sin((i + from) * 1.7 + 0.3) * 2),
    );
  const [a, b] = [wave(16, 32, 0), wave(32, 8, 5)];
  const program = await engine.load(
    {},
    {
      run: (_, inputs) => ({
        outputs: {
          product: tf.matMul(inputs.a, inputs.b),
          batched: tf.matMul(tf.expandDims(inputs.a), tf.expandDims(inputs.b)),
          sum: tf.add(inputs.a, 1e-4),
        },
      }),
    },
  );
  const { product, batched, sum } = await program.run("run", { a, b });
  program.dispose();
  const exact = Array.from({ length: 16 * 8 }, (_, at) =>
    Array.from({ length: 32 }, (_, i) => a.data[32 * Math.floor(at / 8) + i] * b.data[8 * i + (at % 8)]).reduce(
      (total, term) => total + term,
    ),
  );
  const furthest = (found, wanted) => Math.max(...wanted.map((value, i) => Math.abs(found.data[i] - value)));
  return {
    product: furthest(product, exact),
    batched: furthest(batched, exact),
    sum: furthest(
      sum,
      Array.from(a.data, (value) => Math.fround(value + Math.fround(1e-4))),
    ),
  };
}

/** 20 steps on PyTorch's reference batch, and with a scale of the loss that overflows one more. */
async function train(engine) {
  const expected = JSON.parse(readFileSync(path.join(folder, "expected.json"), "utf8"));
  const config = parseConfig(JSON.parse(readFileSync(path.join(folder, "config.json"), "utf8")), "config.json");
  const { tensors } = await readSafetensors(path.join(folder, "model.safetensors"));
  const fork = config.numHiddenLayers - trainedLayers;
  const place = { fork, layers: trainedLayers };
  const frozen = await engine.load(tensors, {
    forward: (state, inputs) => {
      let hidden = embed(state, inputs.ids, inputs.types, config);
      for (let layer = 0; layer < fork; layer++) {
        hidden = encoderLayer(state, hidden, masking(inputs.mask), config, layer);
      }
      return { outputs: { hidden } };
    },
  });
  const mask = matrix(expected.attention_mask);
  const { hidden } = await frozen.run("forward", {
    ids: matrix(expected.input_ids),
    types: matrix(expected.token_type_ids),
    mask,
  });
  const batch = {
    hidden,
    attention_mask: mask,
    labels: int32([labels.length], labels),
    row_weights: float32([labels.length], new Float32Array(labels.length).fill(1)),
  };
  const scale = precision === "float16" ? initialLossScale() : {};
  const entries = { train: trainStep({ place, config, loss: labelLoss(heads.classification), clipNorm: 1 }) };
  const program = await engine.load({ ...withMoments(branchTensors(tensors, place)), ...scale }, entries);
  const results = [];
  for (let step = 1; step <= 20; step++) {
    const { loss, grad_norm: norm } = await program.run("train", { ...batch, ...scalars(step) });
    results.push([loss.data[0], norm.data[0]]);
  }
  const state = await program.state();
  program.dispose();
  const overflow = precision === "float16" ? await overflowing(engine, entries, state, batch) : null;
  const { losses, grad_norms: norms } = expected.labels;
  return { results, expected: losses.map((loss, i) => [loss, norms[i]]), overflow };
}

/** A step whose scaled gradients are beyond float16, from a trained state. */
async function overflowing(engine, entries, state, batch) {
  const scaled = { ...state, "loss_scale.scale": float32([], Float32Array.of(2 ** 40)) };
  const program = await engine.load(scaled, entries);
  const { loss, grad_norm: norm } = await program.run("train", { ...batch, ...scalars(21) });
  const after = await program.state();
  program.dispose();
  const changed = Object.keys(state).filter(
    (name) =>
      !name.startsWith("loss_scale") &&
      !Buffer.from(state[name].data.buffer).equals(Buffer.from(after[name].data.buffer)),
  );
  return { loss: loss.data[0], norm: norm.data[0], scale: after["loss_scale.scale"].data[0], changed };
}

async function main() {
  const { engine } = await openEngine("tensorflow", { precision, threads: 1 });
  const report = { summary: engine.summary, rounding: await rounding(engine), training: await train(engine) };
  process.stdout.write(JSON.stringify(report));
}

void main();
