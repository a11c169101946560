// `predict` over many rows of CSV: rows a second, whether memory is flat, and whether rows out are rows in and in their
// order, of this checkout and of others, on a merged model of one layer, 16 wide, with random weights: what is measured is
// the reader more than the model. Ends with 1 where this checkout loses a row or its memory grows with the file.
//
//   npm run build && node bench/predict-rows.mjs [--rows N] [--rounds N] [--engine NAME] [FLEXBERT_FOLDER...]
//
// By default 1,000,000 rows, 3 rounds, wasm. FLEXBERT_FOLDER: another built checkout, such as one from before a change. In
// each round every checkout runs the same file, one after the other, the next round in the other order.
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
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { showUsage } from "./usage.mjs";

const require = createRequire(import.meta.url);
const { randomBase, writeBase } = require("../dist/checkpoints/bases/random-base.js");

showUsage(import.meta.url);

const { values, positionals } = parseArgs({
  options: {
    rows: { type: "string", default: "1000000" },
    rounds: { type: "string", default: "3" },
    engine: { type: "string", default: "wasm" },
  },
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

function writeCsv(file, count) {
  const out = openSync(file, "w");
  writeSync(out, "id,text,note\n");
  for (let from = 0; from < count; from += 10_000) {
    const lines = Array.from(
      { length: Math.min(10_000, count - from) },
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

/** Rows of a TSV of predictions whose ids go from 0 up without a hole; NaN from the first that does not. */
async function rowsInOrder(file) {
  let count = -1; // the header
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    if (count >= 0 && line.slice(0, line.indexOf("\t")) !== String(count)) return Number.NaN;
    count++;
  }
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
const runs = new Map([here, ...positionals.map((given) => path.resolve(given))].map((checkout) => [checkout, []]));
// Each reads what it has written: an older one does not know newer folders.
const mergedOf = (checkout) => `merged-${[...runs.keys()].indexOf(checkout)}`;
for (const checkout of runs.keys()) {
  flexbert(checkout, ["merge", "--no-onnx", "--base", "./tiny", "--out", mergedOf(checkout), ...engine]);
}
const tenth = Math.ceil(rows / 10);
for (const [name, count] of Object.entries({ all: rows, tenth, one: 1 }))
  writeCsv(path.join(folder, `${name}.csv`), count);

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const megabytes = (bytes) => `${Math.round(bytes / 1e6)} MB`;

/** One file through one checkout. */
async function predict(checkout, name) {
  const files = ["--model", mergedOf(checkout), "--file", `${name}.csv`, "--output", "out.tsv"];
  const args = ["predict", ...files, "--format", "tsv", ...engine];
  const { seconds, peak } = flexbert(checkout, args);
  return { seconds, peak, out: await rowsInOrder(path.join(folder, "out.tsv")) };
}

console.log(
  `${rows} rows of CSV, engine ${values.engine}, Node ${process.version}, load ${os.loadavg()[0].toFixed(1)}`,
);
for (let round = 0; round < Number(values.rounds); round++) {
  const order = [...runs.keys()];
  for (const checkout of round % 2 ? order.reverse() : order) {
    const start = await predict(checkout, "one");
    const few = await predict(checkout, "tenth");
    const all = await predict(checkout, "all");
    const speed = rows / (all.seconds - start.seconds);
    runs.get(checkout).push({ speed, start, few, all });
    console.log(`round ${round + 1}, ${checkout}: ${all.seconds.toFixed(1)} s, ${Math.round(speed)} rows a second`);
  }
}
for (const [checkout, measured] of runs) {
  const peaks = ["one", "tenth", "all"].map((_, i) =>
    median(measured.map(({ start, few, all }) => [start, few, all][i].peak)),
  );
  const whole = measured.every(({ few, all }) => few.out === tenth && all.out === rows);
  // The garbage that V8 leaves lying differs from run to run; a reader that holds rows takes hundreds of bytes for each.
  const flat = peaks[2] - peaks[1] < 64e6;
  console.log(
    `${checkout}: rows out ${whole ? "are rows in, in order" : "are NOT the rows in"}; ` +
      `${Math.round(median(measured.map(({ speed }) => speed)))} rows a second (median of ${measured.length}, start left out); ` +
      `peak memory ${megabytes(peaks[2])}, of a tenth of the rows ${megabytes(peaks[1])}, of one ${megabytes(peaks[0])}: ` +
      `${flat ? "flat" : "it GROWS with the file"}`,
  );
  if (checkout === here && !(whole && flat)) process.exitCode = 1;
}
