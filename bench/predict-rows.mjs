// `predict` over many rows of CSV: rows a second, peak memory, and whether rows out are rows in, of this checkout and of
// others, on a merged model of one layer, 16 wide, with random weights: what is measured is the reader more than the model.
//
//   npm run build && node bench/predict-rows.mjs [--rows N] [--engine NAME] [FLEXBERT_FOLDER...]     default 1,000,000, wasm
//
// FLEXBERT_FOLDER: another built checkout, such as an older one; each runs the same file, one after the other, in turn.
import { spawnSync } from "node:child_process";
import {
  closeSync,
  createReadStream,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { showUsage } from "./usage.mjs";

const require = createRequire(import.meta.url);
const { randomBase, writeBase } = require("../dist/checkpoints/bases/random-base.js");

showUsage(import.meta.url);

const { values, positionals } = parseArgs({
  options: { rows: { type: "string", default: "1000000" }, engine: { type: "string", default: "wasm" } },
  allowPositionals: true,
});
const rows = Number(values.rows);
const here = path.resolve(import.meta.dirname, "..");
const folder = mkdtempSync(path.join(os.tmpdir(), "flexbert-predict-rows-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

const words = "good bad film book long short very quite the a was is".split(" ");
const text = (i) => Array.from({ length: 4 + (i % 5) }, (_, j) => words[(i * 7 + j * 3) % words.length]).join(" ");

/** Every tenth text has a comma and quotes, every hundredth goes over two lines. */
function cell(i) {
  if (i % 100 === 0) return `"${text(i)}\n""quoted"""`;
  return i % 10 === 0 ? `"${text(i)}, and ""so"" on"` : text(i);
}

function writeCsv(file) {
  const out = openSync(file, "w");
  writeSync(out, "id,text,note\n");
  for (let from = 0; from < rows; from += 10_000) {
    const lines = Array.from(
      { length: Math.min(10_000, rows - from) },
      (_, i) => `${from + i},${cell(from + i)},n${i}\n`,
    );
    writeSync(out, lines.join(""));
  }
  closeSync(out);
}

const peakFile = path.join(folder, "peak");
const hook = path.join(folder, "peak.cjs");
writeFileSync(
  hook,
  `process.on("exit", () => require("fs").writeFileSync(${JSON.stringify(peakFile)}, String(process.resourceUsage().maxRSS)));`,
);

function flexbert(checkout, args) {
  const started = performance.now();
  const { status, stderr } = spawnSync(
    process.execPath,
    ["--require", hook, path.join(checkout, "bin/flexbert.js"), ...args],
    {
      cwd: folder,
      encoding: "utf8",
      env: { ...process.env, NO_COLOR: "1" },
      maxBuffer: 2 ** 28,
    },
  );
  if (status !== 0)
    throw new Error(`${checkout}: flexbert ${args.join(" ")} ended with ${status}: ${stderr.slice(-500)}`);
  return { seconds: (performance.now() - started) / 1000, peak: Number(readFileSync(peakFile, "utf8")) * 1024, stderr };
}

async function countLines(file) {
  let count = 0;
  for await (const chunk of createReadStream(file)) for (const byte of chunk) if (byte === 10) count++;
  return count;
}

const config = {
  ...{ vocabSize: words.length + 5, hiddenSize: 16, numHiddenLayers: 1, numAttentionHeads: 2, intermediateSize: 32 },
  ...{ maxPositionEmbeddings: 32, typeVocabSize: 2, hiddenDropoutProb: 0, attentionProbsDropoutProb: 0 },
  ...{ layerNormEps: 1e-12, initializerRange: 0.02, padTokenId: 0 },
};
const tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ...words];
await writeBase(randomBase("tiny", config, { tokens, lowerCase: true }, 1), path.join(folder, "tiny"));
const trained = Array.from({ length: 32 }, (_, i) => `${text(i)}\t${i % 2}\n`).join("");
mkdirSync(path.join(folder, "glue-data/SST-2"), { recursive: true });
for (const split of ["train", "dev"])
  writeFileSync(path.join(folder, `glue-data/SST-2/${split}.tsv`), `sentence\tlabel\n${trained}`);
const engine = ["--engine", values.engine, "--threads", "1"];
flexbert(here, [
  "finetune",
  "--task",
  "sst2",
  "--k",
  "1",
  "--epochs",
  "1",
  "--max-length",
  "16",
  "--base",
  "./tiny",
  ...engine,
]);
flexbert(here, ["merge", "--no-onnx", "--base", "./tiny", ...engine]);
writeCsv(path.join(folder, "rows.csv"));
writeFileSync(path.join(folder, "few.csv"), "id,text,note\n1,good,n\n");

console.log(`${rows} rows of CSV, engine ${values.engine}, Node ${process.version}`);
for (const checkout of [here, ...positionals.map((given) => path.resolve(given))]) {
  const predict = (input) => ["predict", "--file", input, "--format", "tsv", "--output", "out.tsv", ...engine];
  const start = flexbert(checkout, predict("few.csv"));
  const { seconds, peak, stderr } = flexbert(checkout, predict("rows.csv"));
  const out = (await countLines(path.join(folder, "out.tsv"))) - 1;
  const said = /, ([\d.]+) rows and/.exec(stderr)?.[1];
  console.log(
    `${checkout}: ${out} rows out${out === rows ? "" : " (NOT the rows in)"}, ${seconds.toFixed(1)} s, ` +
      `${Math.round(rows / (seconds - start.seconds))} rows a second without the start (predict says ${said}), ` +
      `peak ${Math.round(peak / 1e6)} MB (one row: ${Math.round(start.peak / 1e6)} MB)`,
  );
}
