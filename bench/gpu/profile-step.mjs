// Where a train step's time goes on a device: onnxruntime's profile of it, with CUDA's starts made to wait (CUDA_LAUNCH_BLOCKING), so that
// each node's time is its own. Prints the operators by their time a step, and those on the CPU.
//
//   node bench/gpu/profile-step.mjs [--device cuda] [--precision float32] [--dropout 0] [CASE]
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { stepCases } from "../peers/step-cases.mjs";
import { showUsage } from "../usage.mjs";

showUsage(import.meta.url);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    device: { type: "string", default: "cuda" },
    precision: { type: "string", default: "float32" },
    dropout: { type: "string", default: "0" },
  },
});
const STEPS = 4;
const name = positionals[0] ?? "base-k3-128";
const folder = mkdtempSync(path.join(os.tmpdir(), "flexbert-profile-"));
const script = path.join(import.meta.dirname, "../peers/flexbert-step.mjs");
const said = execFileSync(
  process.execPath,
  [script, ...stepCases[name].map(String), "8", "onnx", path.join(folder, "profile")],
  {
    input: "step\n".repeat(STEPS),
    encoding: "utf8",
    env: {
      ...process.env,
      DEVICE: values.device,
      PRECISION: values.precision,
      DROPOUT: values.dropout,
      CUDA_LAUNCH_BLOCKING: "1",
    },
  },
);
console.log(said.trim().split("\n").at(-1));
for (const file of readdirSync(folder)) {
  const events = JSON.parse(readFileSync(path.join(folder, file), "utf8"));
  const runs = events.filter((event) => event.name === "model_run").sort((a, b) => a.ts - b.ts);
  const last = runs.at(-1);
  if (!last) continue;
  const counts = new Map();
  for (const { cat, name: event, ts, dur, args } of events) {
    if (cat !== "Node" || !event.endsWith("_kernel_time") || ts < last.ts) continue;
    const shapes = dur > 3000 ? ` ${JSON.stringify(args.input_type_shape).slice(0, 160)}` : "";
    const key = `${args.provider.replace("ExecutionProvider", "")} ${args.op_name}${shapes}`;
    const { count = 0, us = 0 } = counts.get(key) ?? {};
    counts.set(key, { count: count + 1, us: us + dur });
  }
  const sorted = [...counts].sort((a, b) => b[1].us - a[1].us);
  const sum = (list) => list.reduce((total, [, { us }]) => total + us, 0) / 1000;
  const onCpu = sorted.filter(([key]) => key.startsWith("CPU") || key.includes("Memcpy"));
  console.log(
    `last run ${(last.dur / 1000).toFixed(2)} ms, nodes ${sum(sorted).toFixed(2)} ms, on the CPU ${sum(onCpu).toFixed(2)} ms`,
  );
  for (const [key, { count, us }] of sorted.slice(0, 22))
    console.log(`  ${(us / 1000).toFixed(2)} ms  ${count} x ${key}`);
  console.log(`  on the CPU: ${onCpu.map(([key, { count }]) => `${count} x ${key}`).join(", ")}`);
}
rmSync(folder, { recursive: true, force: true });
