// `distill --transfer` over many short rows: seconds and peak memory beside those of a thousand, on a base of three layers, 16
// wide, with random weights: what is measured is what rows without labels take, not the model.
//
//   npm run build && node bench/transfer-rows.mjs [--rows N] [--engine NAME] [--cache-budget SIZE]    default 900,000, onnx, 64MB
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { showUsage } from "./usage.mjs";

const require = createRequire(import.meta.url);
const { randomBase, writeBase } = require("../dist/checkpoints/bases/random-base.js");

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "900000" },
    engine: { type: "string", default: "onnx" },
    "cache-budget": { type: "string", default: "64MB" },
  },
});
const here = path.resolve(import.meta.dirname, "..");
const folder = mkdtempSync(path.join(os.tmpdir(), "flexbert-transfer-rows-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

const words = "good bad film book long short very quite the a was is".split(" ");
const text = (i) => Array.from({ length: 3 + (i % 5) }, (_, j) => words[(i * 7 + j * 3) % words.length]).join(" ");

function writeTexts(file, rows) {
  const out = openSync(file, "w");
  writeSync(out, "text\n");
  for (let from = 0; from < rows; from += 10_000) {
    writeSync(out, Array.from({ length: Math.min(10_000, rows - from) }, (_, i) => `${text(from + i)}\n`).join(""));
  }
  closeSync(out);
}

const peakFile = path.join(folder, "peak");
const hook = path.join(folder, "peak.cjs");
writeFileSync(
  hook,
  `process.on("exit", () => require("fs").writeFileSync(${JSON.stringify(peakFile)}, String(process.resourceUsage().maxRSS)));`,
);

function flexbert(...args) {
  const started = performance.now();
  const common = [
    "--task",
    "sst2",
    "--base",
    "./tiny",
    "--max-length",
    "16",
    "--engine",
    values.engine,
    "--threads",
    "1",
  ];
  const all = ["--require", hook, path.join(here, "bin/flexbert.js"), ...args, ...common];
  const { status, stderr } = spawnSync(process.execPath, all, {
    ...{ cwd: folder, encoding: "utf8", env: { ...process.env, NO_COLOR: "1" }, maxBuffer: 2 ** 28 },
  });
  if (status !== 0) throw new Error(`flexbert ${args.join(" ")} ended with ${status}: ${stderr.slice(-500)}`);
  return { seconds: (performance.now() - started) / 1000, peak: Number(readFileSync(peakFile, "utf8")) * 1024 };
}

const config = {
  ...{ vocabSize: words.length + 5, hiddenSize: 16, numHiddenLayers: 3, numAttentionHeads: 2, intermediateSize: 32 },
  ...{ maxPositionEmbeddings: 32, typeVocabSize: 2, hiddenDropoutProb: 0, attentionProbsDropoutProb: 0 },
  ...{ layerNormEps: 1e-12, initializerRange: 0.02, padTokenId: 0 },
};
const tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...words];
await writeBase(randomBase("tiny", config, { tokens, lowerCase: true }, 1), path.join(folder, "tiny"));
const labelled = Array.from({ length: 320 }, (_, i) => `${text(i)}\t${i % 2}\n`).join("");
mkdirSync(path.join(folder, "glue-data/SST-2"), { recursive: true });
for (const split of ["train", "dev"]) {
  writeFileSync(path.join(folder, `glue-data/SST-2/${split}.tsv`), `sentence\tlabel\n${labelled}`);
}
flexbert("finetune", "--k", "2", "--epochs", "1");

console.log(`engine ${values.engine}, Node ${process.version}, --cache-budget ${values["cache-budget"]}`);
for (const rows of [1000, Number(values.rows)]) {
  const file = `texts-${rows}.csv`;
  writeTexts(path.join(folder, file), rows);
  const ways = { outputs: [], "every token's state": ["--match", "tokens"] };
  for (const [name, way] of Object.entries(ways)) {
    const transfer = ["--transfer", file, "--transfer-confidence", "0.01", "--transfer-balance", ...way];
    const budget = ["--cache-budget", values["cache-budget"]];
    const { seconds, peak } = flexbert("distill", "--student-layers", "1", "--epochs", "1", ...transfer, ...budget);
    console.log(`${rows} rows, ${name}: ${seconds.toFixed(1)} s, peak ${Math.round(peak / 1e6)} MB`);
  }
}
