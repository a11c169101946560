// A project in a folder: a tiny random base, one task of a few rows, and an experiment of any number of trials.

import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(import.meta.url);
const { randomBase, writeBase } = require("../../dist/checkpoints/bases/random-base.js");

const words = "the a good bad film book was is not very rather dull bright long short he she they saw read".split(" ");
const config = {
  vocabSize: words.length + 5,
  hiddenSize: 16,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
  intermediateSize: 32,
  maxPositionEmbeddings: 32,
  typeVocabSize: 2,
  hiddenDropoutProb: 0,
  attentionProbsDropoutProb: 0,
  layerNormEps: 1e-12,
  initializerRange: 0.05,
  padTokenId: 0,
};

/** Writes base, data and `tiny.yaml`, whose trials are half of k = 2 and half of k = 1. */
export async function tinyProject(folder, trials) {
  const tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...words];
  await writeBase(randomBase("tiny", config, { tokens, lowerCase: true }, 1), path.join(folder, "tiny"));
  const task = path.join(folder, "glue-data/SST-2");
  mkdirSync(task, { recursive: true });
  for (const [split, rows] of Object.entries({ train: 16, dev: 8 })) {
    const line = (row) => `${words[row % 7]} ${words[(row * 5) % 13]} ${row % 2 ? "good" : "bad"}\t${row % 2}`;
    const lines = Array.from({ length: rows }, (_, row) => line(row + 3));
    writeFileSync(path.join(task, `${split}.tsv`), `${["sentence\tlabel", ...lines].join("\n")}\n`);
  }
  const rates = Math.ceil(trials / 2000);
  const seeds = Math.ceil(trials / 2 / rates);
  const list = Array.from({ length: rates }, (_, i) => (i + 1) * 1e-5).join(", ");
  writeFileSync(
    path.join(folder, "tiny.yaml"),
    `base: ./tiny\ntasks: sst2\nmax_length: 16\nepochs: 1\nbatch_size: 8\nseeds: ${seeds}\nlearning_rate: [${list}]\nfinetune: { k: 1-2 }\n` +
      "jobs: { cpus: 1, memory: 500MB, engine: wasm }\n",
  );
  return path.join(folder, "tiny.yaml");
}
