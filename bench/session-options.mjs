// onnxruntime's session options on a train step of the onnx engine: one process each, stepping in turn; the best counts.
//
//   npm run build && node bench/session-options.mjs [--rounds 7]
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { openStepper } from "./peers/stepper.mjs";
import { showUsage } from "./usage.mjs";

showUsage(import.meta.url);

/** hidden, intermediate, heads, layers, trained layers, batch, length */
const cases = {
  "minilm-k6-64": [384, 1536, 12, 6, 6, 32, 64],
  "minilm-k6-16": [384, 1536, 12, 6, 6, 32, 16],
  "minilm-k2-16": [384, 1536, 12, 6, 2, 32, 16],
};
const spinning = (options) => ({ extra: { session: options } });
const variants = {
  "as shipped": {},
  "threads never spin": spinning({ intra_op: { allow_spinning: "0" } }),
  "threads spin between runs too": spinning({ force_spinning_stop: "0" }),
  "extended optimisation": { graphOptimizationLevel: "extended" },
  "basic optimisation": { graphOptimizationLevel: "basic" },
  "parallel execution": { executionMode: "parallel", interOpNumThreads: 2 },
  "memory pattern": { enableMemPattern: true },
  "no arena": { enableCpuMemArena: false },
  "one thread": { intraOpNumThreads: 1 },
};
const { values } = parseArgs({ options: { rounds: { type: "string", default: "7" } } });
const folder = path.dirname(new URL(import.meta.url).pathname);
const threads = os.availableParallelism();
console.log(`${os.cpus()[0]?.model}, ${threads} threads, Node ${process.version}, load ${os.loadavg()[0]?.toFixed(1)}`);
for (const [name, sizes] of Object.entries(cases)) {
  const steppers = [];
  for (const [variant, options] of Object.entries(variants)) {
    const args = [path.join(folder, "peers/flexbert-step.mjs"), ...[...sizes, threads].map(String), "onnx"];
    const stepper = await openStepper(process.execPath, args, { SESSION_OPTIONS: JSON.stringify(options) });
    await stepper.step();
    steppers.push({ variant, stepper, times: [], peak: 0 });
  }
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const one of steppers) {
      await one.stepper.step(); // caches and threads belonged to another process
      const { ms, peak } = await one.stepper.step();
      one.times.push(ms);
      one.peak = peak;
    }
  }
  for (const { variant, stepper, times, peak } of steppers) {
    console.log(`${name} ${variant}: ${Math.min(...times).toFixed(0)} ms, peak ${(peak / 2 ** 20).toFixed(0)} MiB`);
    await stepper.close();
  }
}
