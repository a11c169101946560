// A base of random weights as a folder that every command takes: a published BERT's sizes and bert-base-uncased's words. What is
// trained on it learns nothing; how long that takes is the same.
//
//   npm run build && node bench/gpu/random-base.mjs FOLDER [--size base|minilm|tiny]
import { createRequire } from "node:module";
import { parseArgs } from "node:util";
import { showUsage } from "../usage.mjs";

const require = createRequire(import.meta.url);
const { benchmarkSizes, benchmarkWeights } = require("../../dist/benchmark/benchmark-weights.js");
const { writeBase } = require("../../dist/checkpoints/bases/random-base.js");
const { embeddedVocabulary } = require("../../dist/tokenizer/vocabulary.js");

showUsage(import.meta.url);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { size: { type: "string", default: "base" } },
});
const small = { hiddenSize: 32, numHiddenLayers: 3, numAttentionHeads: 4, intermediateSize: 64 };
const sizes = { ...benchmarkSizes, tiny: { ...benchmarkSizes.minilm, ...small } };
const config = sizes[values.size];
if (config === undefined) throw new Error(`--size is one of ${Object.keys(sizes).join(", ")}`);
if (positionals.length !== 1) throw new Error("give one folder for the base");
const tensors = benchmarkWeights(config, 1);
const tokenizer = { tokens: embeddedVocabulary(), lowerCase: true };
await writeBase({ name: values.size, folder: "", config, tensors, tokenizer, sha256: "" }, positionals[0]);
