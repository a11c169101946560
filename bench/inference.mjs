// Inference of one encoder: flexbert's compiled graph against the same model exported from Python, both run by
// onnxruntime-node in this process, in turn; the best of the rounds counts. Outputs are compared first (1e-4).
//
//   npm run build && node bench/inference.mjs [--rounds 5] [--venv bench-out/venv] [--out bench-out/inference] [minilm] [base]
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { showUsage } from "./usage.mjs";

const require = createRequire(import.meta.url);
const runtime = require("onnxruntime-node");
const { openBase } = require("../dist/checkpoints/bases/base.js");
const { cachedFolder } = require("../dist/files/cache.js");
const { openEngine } = require("../dist/engines/open.js");
const { branchAxes } = require("../dist/model/branch.js");
const { embeddingTensors, layerTensors } = require("../dist/model/parameters.js");
const { int32 } = require("../dist/model/tensors.js");
const { trunkEntry } = require("../dist/model/trunk.js");

showUsage(import.meta.url);

const MINILM = "sentence-transformers/all-MiniLM-L6-v2";
/** Sizes for a random base; MiniLM is exported with its own weights. */
const models = { minilm: [], base: [768, 3072, 12, 12] };
const shapes = [
  [1, 32],
  [1, 128],
  [32, 32],
  [32, 128],
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    threads: { type: "string", default: String(os.availableParallelism()) },
    venv: { type: "string", default: "bench-out/venv" },
    out: { type: "string", default: "bench-out/inference" },
  },
});
const folder = path.dirname(new URL(import.meta.url).pathname);
const threads = Number(values.threads);

/** A function that runs the exported model on token ids and returns last_hidden_state. */
async function openExported(file) {
  const session = await runtime.InferenceSession.create(file, { intraOpNumThreads: threads, logSeverityLevel: 3 });
  return async (ids, mask, [batch, length]) => {
    const wide = (list) => new runtime.Tensor("int64", BigInt64Array.from(list, BigInt), [batch, length]);
    const feeds = {
      input_ids: wide(ids),
      attention_mask: wide(mask),
      token_type_ids: wide(new Int32Array(batch * length)),
    };
    const started = performance.now();
    const { last_hidden_state: hidden } = await session.run(feeds);
    return { ms: performance.now() - started, hidden: hidden.data };
  };
}

/** The same through flexbert's tracer, passes and lowering. */
async function openOurs({ config, tensors }) {
  const { engine } = await openEngine("onnx", { threads });
  const program = await engine.load(
    { ...embeddingTensors(tensors), ...layerTensors(tensors, 0, config.numHiddenLayers) },
    { forward: trunkEntry(config, config.numHiddenLayers) },
    { forward: branchAxes },
  );
  return async (ids, mask, size) => {
    const inputs = {
      input_ids: int32(size, ids),
      attention_mask: int32(size, mask),
      token_type_ids: int32(size, new Int32Array(ids.length)),
    };
    const started = performance.now();
    const { hidden } = await program.run("forward", inputs);
    return { ms: performance.now() - started, hidden: hidden.data };
  };
}

/** Ids and a mask that leaves the last tokens of every other row out. */
function batchOf([batch, length]) {
  const ids = Int32Array.from({ length: batch * length }, (_, i) => 1000 + ((i * 7919) % 28000));
  const padded = (i) => Math.floor(i / length) % 2 === 1 && i % length >= length - 3;
  return { ids, mask: ids.map((_, i) => (padded(i) ? 0 : 1)) };
}

execFileSync(path.join(folder, "peers/setup.sh"), [values.venv], { stdio: "inherit" });
console.log(`${os.cpus()[0]?.model}, ${threads} threads, Node ${process.version}, load ${os.loadavg()[0]?.toFixed(1)}`);
for (const name of positionals.length > 0 ? positionals : Object.keys(models)) {
  const out = path.join(values.out, name);
  if (!existsSync(path.join(out, "model.onnx"))) {
    const args = [path.join(folder, "peers/export.py"), cachedFolder(MINILM), out, ...models[name].map(String)];
    execFileSync(path.join(values.venv, "bin/python"), args, { stdio: ["ignore", "ignore", "inherit"] });
  }
  const ours = await openOurs(await openBase(models[name].length > 0 ? path.join(out, "base") : MINILM));
  const exported = await openExported(path.join(out, "model.onnx"));
  for (const size of shapes) {
    const { ids, mask } = batchOf(size);
    const [a, b] = [await ours(ids, mask, size), await exported(ids, mask, size)];
    // Padded positions are compared too: both sides compute them.
    const apart = a.hidden.reduce((most, value, i) => Math.max(most, Math.abs(value - b.hidden[i])), 0);
    if (!(apart <= 1e-4)) throw new Error(`${name} at ${size}: outputs differ by ${apart}`);
    const times = { ours: [], exported: [] };
    const calls = size[0] === 1 ? 20 : 3; // a round's calls, of which the best counts
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const [side, run] of Object.entries({ ours, exported })) {
        // A session's threads spin for a while after a call, and would take the cores from the other session's.
        await setTimeout(200);
        for (let call = 0; call < calls; call++) times[side].push((await run(ids, mask, size)).ms);
      }
    }
    const best = (list) => Math.min(...list);
    console.log(
      `${name} ${size.join(" x ")}: flexbert ${best(times.ours).toFixed(2)} ms, exported ${best(times.exported).toFixed(2)} ms, ` +
        `ratio ${(best(times.ours) / best(times.exported)).toFixed(2)}; outputs within ${apart.toExponential(1)}`,
    );
  }
}
process.exit(0);
