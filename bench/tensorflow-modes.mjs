// A train step in each mode of the tensorflow engine (FLEXBERT_TENSORFLOW_MODE) and precision, in PyTorch, and in plain
// TensorFlow.js on the same library: all processes live side by side and step in turn, so that a machine whose speed
// varies is unfair to none.
//
//   npm run build && node bench/tensorflow-modes.mjs [--rounds 8] [--threads 2] [--venv bench-out/venv] [--only NAMES] [SIZES ...]
//   SIZES: hidden,intermediate,heads,layers,trained,batch,length
//   NAMES: a comma list of the names below; op by op at 32 x 128 a process takes 6 GiB, so not all fit at once
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { openStepper } from "./peers/stepper.mjs";
import { showUsage } from "./usage.mjs";

showUsage(import.meta.url);

const flexbert = (mode, environment = {}) => ({
  program: process.execPath,
  script: "flexbert-step.mjs",
  after: ["tensorflow"],
  environment: { FLEXBERT_TENSORFLOW_MODE: mode, TF_CPP_MIN_LOG_LEVEL: "3", ...environment },
});
const pytorch = (...after) => ({ script: "train_step.py", after });
// "whole" computes all positions of the topmost layer, as PyTorch and plain tfjs do.
const contenders = {
  pytorch: pytorch(),
  "pytorch-bf16": pytorch("cpu", "bf16"),
  "tfjs-node": { program: process.execPath, script: "tfjs-step.mjs", environment: { TF_CPP_MIN_LOG_LEVEL: "3" } },
  "eager-whole": flexbert("eager", { WHOLE_TOP: "1" }),
  "loops-whole": flexbert("loops", { WHOLE_TOP: "1" }),
  eager: flexbert("eager"),
  graph: flexbert("graph"),
  clustered: flexbert("graph", { TF_XLA_FLAGS: "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit" }),
  loops: flexbert("loops"),
  xla: flexbert("xla"),
  bf16: flexbert("loops", { PRECISION: "bf16" }),
  float16: flexbert("loops", { PRECISION: "float16" }),
};
const usual = ["pytorch", "tfjs-node", "eager-whole", "loops-whole", "eager", "graph", "loops", "xla"];
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "8" },
    threads: { type: "string", default: String(os.availableParallelism()) },
    venv: { type: "string", default: "bench-out/venv" },
    only: { type: "string", default: usual.join(",") },
  },
});
const peers = path.join(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), "peers");

for (const sizes of positionals.length > 0 ? positionals : ["768,3072,12,12,3,32,128", "384,1536,12,6,6,32,16"]) {
  const options = [...sizes.split(","), values.threads];
  const all = [];
  for (const name of values.only.split(",")) {
    if (!(name in contenders)) throw new Error(`--only ${name}: one of ${Object.keys(contenders).join(", ")}`);
    const { program = path.join(values.venv, "bin/python"), script, after = [], environment = {} } = contenders[name];
    const stepper = await openStepper(program, [path.join(peers, script), ...options, ...after], environment);
    all.push({ name, stepper });
  }
  for (const one of all) one.first = (await one.stepper.step()).ms;
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const one of all) {
      const { ms, frozen, peak } = await one.stepper.step();
      one.best = Math.min(one.best ?? Number.POSITIVE_INFINITY, ms);
      one.frozen = Math.min(one.frozen ?? Number.POSITIVE_INFINITY, frozen ?? Number.NaN);
      one.peak = peak / 2 ** 30;
    }
  }
  await Promise.all(all.map(({ stepper }) => stepper.close()));
  console.log(sizes);
  const unit = all.find(({ name }) => name === "pytorch") ?? all[0];
  for (const { name, best, frozen, first, peak } of all) {
    console.log(
      `  ${name.padEnd(12)} ${best.toFixed(0)} ms (frozen layers ${frozen.toFixed(0)}), first step ${first.toFixed(0)} ms, ` +
        `peak ${peak.toFixed(2)} GiB, ${(best / unit.best).toFixed(2)} of ${unit.name}'s time`,
    );
  }
}
