// A train step in each mode of the tensorflow engine (FLEXBERT_TENSORFLOW_MODE) and in PyTorch, as bench/train-step.mjs
// has it: all processes live side by side and step in turn, so that a machine whose speed varies is unfair to none.
//
//   npm run build && node bench/tensorflow-modes.mjs [--rounds 8] [--threads 2] [--venv bench-out/venv] [SIZES ...]
//   SIZES: hidden,intermediate,heads,layers,trained,batch,length
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { openStepper } from "./peers/stepper.mjs";

/** FLEXBERT_TENSORFLOW_MODE, and whether the topmost layer computes all positions, as PyTorch's does. */
const modes = [
  { name: "eager, whole", mode: "eager", whole: true },
  { name: "loops, whole", mode: "loops", whole: true },
  ...["eager", "graph", "loops", "xla"].map((mode) => ({ name: mode, mode, whole: false })),
];
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "8" },
    threads: { type: "string", default: String(os.availableParallelism()) },
    venv: { type: "string", default: "bench-out/venv" },
  },
});
const peers = path.join(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), "peers");

for (const sizes of positionals.length > 0 ? positionals : ["768,3072,12,12,3,32,128", "384,1536,12,6,6,32,16"]) {
  const options = [...sizes.split(","), values.threads];
  const python = path.join(values.venv, "bin/python");
  const all = [
    { name: "PyTorch", stepper: await openStepper(python, [path.join(peers, "train_step.py"), ...options]) },
  ];
  for (const { name, mode, whole } of modes) {
    const script = [path.join(peers, "flexbert-step.mjs"), ...options, "tensorflow"];
    all.push({
      name,
      stepper: await openStepper(process.execPath, script, {
        FLEXBERT_TENSORFLOW_MODE: mode,
        ...(whole ? { WHOLE_TOP: "1" } : {}),
        TF_CPP_MIN_LOG_LEVEL: "3",
      }),
    });
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
  for (const { name, best, frozen, first, peak } of all) {
    console.log(
      `  ${name.padEnd(12)} ${best.toFixed(0)} ms (frozen layers ${frozen.toFixed(0)}), first step ${first.toFixed(0)} ms, ` +
        `peak ${peak.toFixed(2)} GiB, ${(best / all[0].best).toFixed(2)} of PyTorch's time`,
    );
  }
}
