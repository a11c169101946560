// One trunk with many tasks of one layer: what each costs in memory, and how long opening the folder, one task and all tasks
// take. A process for each number of tasks; memory is what the process holds when the model is open and has answered, and
// peak its most. Random weights, a trunk of all layers but one.
//
//   npm run build && node bench/many-tasks.mjs [--size minilm|tiny|base] [--counts 1,5,21,50,200] [--shape 1x32] [--rounds 5] [--out bench-out/many-tasks]
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import { parseArgs } from "node:util";
import { makeMerged, segmentLogits, tokenRowsOf } from "./peers/random-merged.mjs";
import { showUsage } from "./usage.mjs";

const require = createRequire(import.meta.url);
const { openEngine } = require("../dist/engines/open.js");
const { openModel } = require("../dist/predict/model.js");

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    size: { type: "string", default: "minilm" },
    counts: { type: "string", default: "1,5,21,50,200" },
    shape: { type: "string", default: "1x32" },
    rounds: { type: "string", default: "5" },
    out: { type: "string", default: "bench-out/many-tasks" },
    open: { type: "string" },
  },
});
const layers = { base: 12, minilm: 6, tiny: 12 }[values.size];

/** Megabytes of a line of /proc/self/status; onnxruntime's memory is not Node's own. */
function memory(line) {
  const found = new RegExp(`${line}:\\s+(\\d+) kB`).exec(readFileSync("/proc/self/status", "utf8"));
  return Number(found?.[1]) / 1024;
}

/** In a process of its own: opens the folder and asks it. */
async function measure(folder) {
  const before = memory("VmRSS");
  const started = performance.now();
  const { engine } = await openEngine("onnx", {});
  const model = await openModel(folder, engine, { taskOf: () => undefined });
  const load = performance.now() - started;
  const [batch, length] = values.shape.split("x").map(Number);
  const rows = tokenRowsOf(Array(batch).fill(length), model.config.vocabSize);
  const names = model.tasks.map(({ name }) => name);
  const times = {};
  for (const [side, tasks] of Object.entries({ one: names.slice(0, 1), all: names })) {
    await segmentLogits(model, rows, tasks);
    times[side] = Number.POSITIVE_INFINITY;
    for (let round = 0; round < Number(values.rounds); round++) {
      const begun = performance.now();
      await segmentLogits(model, rows, tasks);
      times[side] = Math.min(times[side], performance.now() - begun);
    }
  }
  console.log(JSON.stringify({ load, ...times, held: memory("VmRSS") - before, peak: memory("VmHWM") }));
  process.exit(0);
}

if (values.open) await measure(values.open);
console.log(
  `${os.cpus()[0]?.model}, Node ${process.version}, load ${os.loadavg()[0]?.toFixed(1)}, ${values.size}, ${values.shape}`,
);
let first;
for (const count of values.counts.split(",").map(Number)) {
  const tasks = Array.from({ length: count }, (_, i) => ({
    name: `task${String(i).padStart(3, "0")}`,
    fork: layers - 1,
    layers: 1,
  }));
  const { model } = await makeMerged(values.out, values.size, tasks, false);
  const args = [new URL(import.meta.url).pathname, "--open", model, "--shape", values.shape, "--rounds", values.rounds];
  const lines = execFileSync(process.execPath, args, { encoding: "utf8" }).trim().split("\n");
  const { load, one, all, held, peak } = JSON.parse(lines.at(-1));
  first ??= { count, held };
  const each =
    count > first.count ? `${((held - first.held) / (count - first.count)).toFixed(1)} MB a task more, ` : "";
  console.log(
    `${count} tasks: open ${load.toFixed(0)} ms, one task ${one.toFixed(1)} ms, all ${all.toFixed(1)} ms; ` +
      `${held.toFixed(0)} MB held, ${each}peak ${peak.toFixed(0)} MB`,
  );
}
