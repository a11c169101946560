// The merged model in pieces, as flexbert runs it, against the same folder's model.onnx as one graph, and against one full
// model a task, exported from transformers by torch.onnx.export: all tasks on the same rows, all by onnxruntime-node, in
// turn, the best of the rounds counts. The paper's eight tasks and forks, random weights; answers are compared first (1e-4).
// Then the same rows for one task alone, mixed lengths in one batch against padding, and whether a row's answer is bit-equal
// alone and in a batch of its length.
//
//   npm run build && node bench/segments.mjs [--size base|minilm|tiny] [--rounds 5] [--threads 2] [--shapes 1x16,1x64,8x32,32x32,32x64]
//       [--separate --venv bench-out/venv] [--out bench-out/segments]
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { apart, makeMerged, paddedFeeds, paperTasks, segmentLogits, tokenRowsOf } from "./peers/random-merged.mjs";
import { showUsage } from "./usage.mjs";

const require = createRequire(import.meta.url);
const runtime = require("onnxruntime-node");
const { openEngine } = require("../dist/engines/open.js");
const { cachedFolder } = require("../dist/files/cache.js");
const { openModel } = require("../dist/predict/model.js");

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    size: { type: "string", default: "base" },
    rounds: { type: "string", default: "5" },
    threads: { type: "string", default: String(os.availableParallelism()) },
    shapes: { type: "string", default: "1x16,1x64,8x32,32x32,32x64" },
    separate: { type: "boolean", default: false },
    venv: { type: "string", default: "bench-out/venv" },
    out: { type: "string", default: "bench-out/segments" },
  },
});
const folder = path.dirname(new URL(import.meta.url).pathname);
const threads = Number(values.threads);
const names = paperTasks.map(({ name }) => name);
// A base of six layers has half of each fork and of each branch.
const half = values.size === "minilm";
const tasks = paperTasks.map(({ name, fork, layers }) =>
  half ? { name, fork: Math.floor(fork / 2), layers: Math.ceil(layers / 2) } : { name, fork, layers },
);

console.log(`${os.cpus()[0]?.model}, ${threads} threads, Node ${process.version}, load ${os.loadavg()[0]?.toFixed(1)}`);
const { model: merged, config } = await makeMerged(values.out, values.size, tasks, true);
const { engine } = await openEngine("onnx", { threads });
const model = await openModel(merged, engine, { taskOf: () => undefined });
const options = { intraOpNumThreads: threads, logSeverityLevel: 3 };
const graph = await runtime.InferenceSession.create(path.join(merged, "model.onnx"), options);
const separate = values.separate ? await openSeparate() : [];

/** A session a task, of one exported file: each has its own weights in memory. */
async function openSeparate() {
  const out = path.join(values.out, "exported");
  const sizes = { base: [768, 3072, 12, 12], minilm: [384, 1536, 12, 6] }[values.size];
  if (!existsSync(path.join(out, "model.onnx"))) {
    execFileSync(path.join(folder, "peers/setup.sh"), [values.venv], { stdio: "inherit" });
    const minilm = cachedFolder("sentence-transformers/all-MiniLM-L6-v2");
    const args = [path.join(folder, "peers/export.py"), minilm, out, ...sizes.map(String)];
    execFileSync(path.join(values.venv, "bin/python"), args, { stdio: ["ignore", "ignore", "inherit"] });
  }
  const sessions = [];
  for (const _ of names) sessions.push(await runtime.InferenceSession.create(path.join(out, "model.onnx"), options));
  return sessions;
}

const runGraph = async (feeds) => {
  const outputs = await graph.run(feeds);
  return Object.fromEntries(names.map((name) => [name, outputs[name].data]));
};

/** Best milliseconds of each side, in turn. */
async function race(sides, calls) {
  const best = Object.fromEntries(Object.keys(sides).map((side) => [side, Number.POSITIVE_INFINITY]));
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [side, run] of Object.entries(sides)) {
      await setTimeout(100); // threads of the other side's sessions spin for a while after a call
      for (let call = 0; call < calls; call++) {
        const started = performance.now();
        await run();
        best[side] = Math.min(best[side], performance.now() - started);
      }
    }
  }
  return best;
}

const ms = (time) => (time < 100 ? time.toFixed(1) : time.toFixed(0));

for (const shape of values.shapes.split(",")) {
  const [batch, length] = shape.split("x").map(Number);
  const rows = tokenRowsOf(Array(batch).fill(length), config.vocabSize);
  const feeds = paddedFeeds(runtime, rows);
  const difference = apart(await runGraph(feeds), await segmentLogits(model, rows, names));
  if (!(difference <= 1e-4)) throw new Error(`${shape}: answers differ by ${difference}`);
  const sides = {
    graph: () => runGraph(feeds),
    pieces: () => segmentLogits(model, rows, names),
    one: () => segmentLogits(model, rows, ["stsb"]),
    ...(separate.length > 0 && {
      separate: () => separate.reduce((all, one) => all.then(() => one.run(feeds)), Promise.resolve()),
    }),
  };
  for (const run of Object.values(sides)) await run();
  const best = await race(sides, batch * length < 256 ? 5 : 2);
  const others =
    "separate" in best
      ? `, ${names.length} models ${ms(best.separate)} ms, of which pieces ${((100 * best.pieces) / best.separate).toFixed(1)} %`
      : "";
  console.log(
    `${shape}: one graph ${ms(best.graph)} ms, pieces ${ms(best.pieces)} ms, ratio ${(best.pieces / best.graph).toFixed(3)}; ` +
      `one task (fork 4, 1 layer) ${ms(best.one)} ms${others}; answers within ${difference.toExponential(1)}`,
  );
}

// Lengths from 8 to 128 in one batch.
const mixed = Array.from({ length: 32 }, (_, i) => 8 + ((i * 47) % 121));
const rows = tokenRowsOf(mixed, config.vocabSize);
const feeds = paddedFeeds(runtime, rows);
const difference = apart(await runGraph(feeds), await segmentLogits(model, rows, names));
const best = await race({ graph: () => runGraph(feeds), pieces: () => segmentLogits(model, rows, names) }, 1);
const tokens = mixed.reduce((sum, length) => sum + length, 0);
console.log(
  `32 rows of 8 to 128 tokens (${tokens} tokens, ${32 * Math.max(...mixed)} with padding): one graph, padded, ` +
    `${ms(best.graph)} ms, pieces ${ms(best.pieces)} ms, throughput ${(best.graph / best.pieces).toFixed(2)} times; answers within ` +
    `${difference.toExponential(1)}`,
);

// Bit for bit: each row alone and among rows of its length.
for (const [batch, length] of [
  [2, 16],
  [7, 33],
  [16, 64],
]) {
  const rows = tokenRowsOf(Array(batch).fill(length), config.vocabSize);
  const together = await segmentLogits(model, rows, names);
  let most = 0;
  for (let row = 0; row < batch; row++) {
    const alone = await segmentLogits(
      model,
      { ...rows, ids: [rows.ids[row]], typeIds: [rows.typeIds[row]], lengths: Int32Array.of(length) },
      names,
    );
    most = Math.max(
      most,
      apart(alone, Object.fromEntries(names.map((name) => [name, together[name].subarray(2 * row, 2 * row + 2)]))),
    );
  }
  console.log(
    `${batch} rows of ${length} tokens, each alone and together: ${most === 0 ? "bit-equal" : `within ${most.toExponential(1)}`}`,
  );
}
process.exit(0);
