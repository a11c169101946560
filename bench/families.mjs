// Every family of encoders on one of flexbert's engines against transformers in PyTorch: a train step of the top k layers, the
// frozen ones' forward pass included on both sides, and inference to the logits. Sizes are those of each family's published
// base model, weights are random, float32, no dropout, no padding. Both processes live side by side and run in turn; the best
// of the rounds counts. BERT's row says what the others are to be measured by.
//
//   npm run build && node bench/families.mjs [--engine onnx] [--rounds 5] [--k 3] [--batch 32] [--length 128] [--threads 2] [FAMILY ...]
//   node bench/families.mjs --layers 4 --rounds 2 mpnet     a small try
//   --venv bench-out/venv   the peers' environment (bench/peers/setup.sh makes it where there is none)
//   --json FILE             rows as JSON too
import { execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { parseArgs } from "node:util";
import { configOf, familyConfigs } from "./peers/family-cases.mjs";
import { openStepper } from "./peers/stepper.mjs";
import { showUsage } from "./usage.mjs";

const { families } = createRequire(import.meta.url)("../dist/model/families/families.js");

showUsage(import.meta.url);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    engine: { type: "string", default: "onnx" },
    rounds: { type: "string", default: "5" },
    k: { type: "string", default: "3" },
    batch: { type: "string", default: "32" },
    length: { type: "string", default: "128" },
    layers: { type: "string" },
    threads: { type: "string", default: String(os.availableParallelism()) },
    venv: { type: "string", default: "bench-out/venv" },
    json: { type: "string" },
  },
});
/** Rows and tokens of the forward passes. */
const SHAPES = ["1 32", "1 128", "32 128"];
/** Threads of either side go on looking for work for a while after a call, and would take the other's cores. */
const PAUSE_MS = 200;

const folder = path.dirname(new URL(import.meta.url).pathname);
const python = path.join(values.venv, "bin/python");
if (!existsSync(python)) execFileSync(path.join(folder, "peers/setup.sh"), [values.venv], { stdio: "inherit" });

const unknown = positionals.filter((name) => !(name in familyConfigs));
if (unknown.length > 0)
  throw new Error(`no family ${unknown.join(", ")}: there are ${Object.keys(familyConfigs).join(", ")}`);
const asked = positionals.length > 0 ? positionals : Object.keys(familyConfigs);
const measured = asked.filter((name) => name in families);
for (const name of asked) if (!measured.includes(name)) console.log(`${name}: skipped, flexbert does not read it`);

/** Milliseconds of one kind of work on both sides, the best of the rounds and of a round's calls. */
async function timed(sides, line) {
  const best = Object.fromEntries(Object.keys(sides).map((side) => [side, Number.POSITIVE_INFINITY]));
  const calls = line.startsWith("infer 1 ") ? 20 : 1;
  for (let round = 0; round < 1 + Number(values.rounds); round++) {
    for (const [side, stepper] of Object.entries(sides)) {
      await setTimeout(PAUSE_MS);
      for (let call = 0; call < calls; call++) {
        const { ms, value } = await stepper.step(line);
        if (value !== undefined && !Number.isFinite(value)) throw new Error(`${side}: ${line} gave ${value}`);
        if (round > 0) best[side] = Math.min(best[side], ms); // both have allocated and compiled by now
      }
    }
  }
  return best;
}

console.log(
  `${os.cpus()[0]?.model}, ${values.threads} threads, Node ${process.version}, load ${os.loadavg()[0]?.toFixed(1)}; ` +
    `train: top ${values.k}, ${values.batch} x ${values.length}`,
);
const rows = [];
for (const family of measured) {
  const config = JSON.stringify(configOf(family, values.layers === undefined ? undefined : Number(values.layers)));
  const sizes = [config, values.k, values.batch, values.length, values.threads];
  const ours = await openStepper(process.execPath, [
    path.join(folder, "peers/flexbert-family.mjs"),
    ...sizes,
    values.engine,
  ]);
  const peer = await openStepper(python, [path.join(folder, "peers/family.py"), ...sizes]);
  const lines = ["train", ...SHAPES.map((shape) => `infer ${shape}`)];
  console.log(`${family}: ${ours.ready} against ${peer.ready}`);
  for (const line of lines) {
    const { ours: a, peer: b } = await timed({ ours, peer }, line);
    rows.push({ family, work: line, ours: a, peer: b, ratio: a / b });
    console.log(
      `  ${line.padEnd(12)} ${a.toFixed(1).padStart(8)} ms against ${b.toFixed(1).padStart(8)} ms, ratio ${(a / b).toFixed(2)}`,
    );
  }
  await Promise.all([ours.close(), peer.close()]);
}
if (values.json) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
