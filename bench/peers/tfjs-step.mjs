// The same step in plain TensorFlow.js on tfjs-node, op by op, as its users write a model today: tensors and variables of
// tf, gradients by tf.variableGrads, tf.train.adam. Nothing of flexbert's but the loader of TensorFlow's library, so that
// both sides run the same one. A line in, a line out.
//
//   node bench/peers/tfjs-step.mjs HIDDEN INTERMEDIATE HEADS LAYERS TRAINED BATCH LENGTH THREADS
//
// It does less than a train step of flexbert or of bench/peers/train_step.py: tf.train.adam has no weight decay.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { showUsage } from "../usage.mjs";

const require = createRequire(import.meta.url);
const tf = require("@tensorflow/tfjs");
const { openEngine } = require("../../dist/engines/open.js");

showUsage(import.meta.url);

const [hidden, intermediate, heads, layers, trained, batch, length, threads] = process.argv.slice(2, 10).map(Number);
const VOCABULARY = 30522;
const CLIP_NORM = 1;

process.env.FLEXBERT_TENSORFLOW_MODE = "eager";
const { engine } = await openEngine("tensorflow", { threads });
const normal = (shape, trainable) => tf.variable(tf.randomNormal(shape, 0, 0.02), trainable);
const zeros = (shape, trainable) => tf.variable(tf.zeros(shape), trainable);
const ones = (shape, trainable) => tf.variable(tf.ones(shape), trainable);
const dense = (from, to, trainable) => ({ weight: normal([from, to], trainable), bias: zeros([to], trainable) });
const norm = (trainable) => ({ scale: ones([hidden], trainable), shift: zeros([hidden], trainable) });
const embeddings = {
  words: normal([VOCABULARY, hidden], false),
  positions: normal([512, hidden], false),
  types: normal([2, hidden], false),
  norm: norm(false),
};
const encoder = Array.from({ length: layers }, (_, i) => {
  const trainable = i >= layers - trained;
  return {
    query: dense(hidden, hidden, trainable),
    key: dense(hidden, hidden, trainable),
    value: dense(hidden, hidden, trainable),
    attended: dense(hidden, hidden, trainable),
    attentionNorm: norm(trainable),
    wide: dense(hidden, intermediate, trainable),
    narrow: dense(intermediate, hidden, trainable),
    outputNorm: norm(trainable),
  };
});
const pooler = dense(hidden, hidden, true);
const classifier = dense(hidden, 2, true);

const apply = (x, { weight, bias }) => tf.add(tf.matMul(x, weight), bias);
function normalised(x, { scale, shift }) {
  const { mean, variance } = tf.moments(x, -1, true);
  return tf.add(tf.mul(tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, 1e-12))), scale), shift);
}
const gelu = (x) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
const split = (x) => tf.transpose(tf.reshape(x, [batch, length, heads, hidden / heads]), [0, 2, 1, 3]);

/** [batch * length, hidden] to the same. */
function layer(x, bias, parameters) {
  const [query, key, value] = ["query", "key", "value"].map((name) => split(apply(x, parameters[name])));
  const scores = tf.add(tf.mul(tf.matMul(query, key, false, true), 1 / Math.sqrt(hidden / heads)), bias);
  const context = tf.transpose(tf.matMul(tf.softmax(scores), value), [0, 2, 1, 3]);
  const attended = apply(tf.reshape(context, [batch * length, hidden]), parameters.attended);
  const middle = normalised(tf.add(x, attended), parameters.attentionNorm);
  const wide = gelu(apply(middle, parameters.wide));
  return normalised(tf.add(middle, apply(wide, parameters.narrow)), parameters.outputNorm);
}

const ids = tf.randomUniform([batch, length], 1000, 30000, "int32");
const types = tf.zeros([batch, length], "int32");
const bias = tf.zeros([batch, 1, 1, length]);
const labels = tf.oneHot(
  tf.tensor1d(
    Array.from({ length: batch }, (_, row) => row % 2),
    "int32",
  ),
  2,
);

const frozenForward = () =>
  tf.tidy(() => {
    const positions = tf.slice(embeddings.positions, [0, 0], [length, hidden]);
    const sum = tf.add(tf.add(tf.gather(embeddings.words, ids), tf.gather(embeddings.types, types)), positions);
    let x = normalised(tf.reshape(sum, [batch * length, hidden]), embeddings.norm);
    for (const parameters of encoder.slice(0, layers - trained)) x = layer(x, bias, parameters);
    return x;
  });

function loss(from) {
  let x = from;
  for (const parameters of encoder.slice(layers - trained)) x = layer(x, bias, parameters);
  const first = tf.reshape(tf.slice(tf.reshape(x, [batch, length, hidden]), [0, 0, 0], [batch, 1, hidden]), [
    batch,
    hidden,
  ]);
  return tf.losses.softmaxCrossEntropy(labels, apply(tf.tanh(apply(first, pooler)), classifier));
}

const optimizer = tf.train.adam(2e-5, 0.9, 0.999, 1e-6);
function step() {
  const started = performance.now();
  const from = frozenForward();
  from.dataSync(); // what flexbert's step does between the two, to time them apart
  const frozen = performance.now() - started;
  const value = tf.tidy(() => {
    const { value, grads } = tf.variableGrads(() => loss(from));
    const norm = tf.sqrt(tf.addN(Object.values(grads).map((gradient) => tf.sum(tf.square(gradient)))));
    const factor = tf.minimum(tf.div(CLIP_NORM, norm), 1);
    optimizer.applyGradients(
      Object.fromEntries(Object.entries(grads).map(([name, gradient]) => [name, tf.mul(gradient, factor)])),
    );
    return value.dataSync()[0];
  });
  from.dispose();
  return { ms: performance.now() - started, frozen, loss: value, peak: 1024 * process.resourceUsage().maxRSS };
}

console.log(JSON.stringify({ ready: `tfjs ${tf.version.tfjs}, ${engine.summary}` }));
for await (const _ of createInterface({ input: process.stdin })) console.log(JSON.stringify(step()));
process.exit(0);
