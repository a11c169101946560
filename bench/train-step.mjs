// A train step of the top layers on flexbert's engines against PyTorch: the same sizes, float32, AdamW, clipping, no
// dropout, the frozen layers' forward pass included on both sides. Both processes live side by side and step in turn;
// the best of the rounds counts. Peak memory is each process's own.
//
//   npm run build && node bench/train-step.mjs [--engine onnx] [--rounds 5] [--profile] [--venv bench-out/venv] [CASE ...]
//   node bench/train-step.mjs --engine tensorflow --device gpu --precision bf16     on a GPU, both sides in one precision
//   node bench/train-step.mjs --before CHECKOUT     against flexbert itself as it is built there, in PyTorch's place
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { stepCases } from "./peers/step-cases.mjs";
import { openStepper } from "./peers/stepper.mjs";
import { againstBare, summarise } from "./profile.mjs";
import { showUsage } from "./usage.mjs";

const require = createRequire(import.meta.url);
const runtime = require("onnxruntime-node");
const { encodeModel, ElementType } = require("../dist/compile/onnx/proto.js");

showUsage(import.meta.url);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    engine: { type: "string", default: "onnx" },
    rounds: { type: "string", default: "5" },
    threads: { type: "string", default: String(os.availableParallelism()) },
    venv: { type: "string", default: "bench-out/venv" },
    before: { type: "string" },
    profile: { type: "boolean", default: false },
    device: { type: "string", default: "cpu" },
    precision: { type: "string", default: "float32" },
  },
});
const folder = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
if (!values.before) execFileSync(path.join(folder, "peers/setup.sh"), [values.venv], { stdio: "inherit" });

const tools = { encodeModel, ElementType, runtime, threads: Number(values.threads), rounds: 15 };

console.log(
  `${os.cpus()[0]?.model}, ${values.threads} threads, Node ${process.version}, load ${os.loadavg()[0]?.toFixed(1)}`,
);
function openPeer(sizes) {
  const environment = { DEVICE: values.device, PRECISION: values.precision };
  if (values.before) {
    const script = path.join(path.resolve(values.before), "bench/peers/flexbert-step.mjs");
    return openStepper(process.execPath, [script, ...sizes, values.engine], environment);
  }
  const device = values.device === "gpu" ? "cuda" : "cpu";
  const script = path.join(folder, "peers/train_step.py");
  return openStepper(path.join(values.venv, "bin/python"), [script, ...sizes, device, values.precision]);
}

for (const name of positionals.length > 0 ? positionals : Object.keys(stepCases)) {
  const sizes = [...stepCases[name], Number(values.threads)].map(String);
  const prefix = path.join(os.tmpdir(), `flexbert-profile-${process.pid}-`);
  const ours = await openStepper(
    process.execPath,
    [path.join(folder, "peers/flexbert-step.mjs"), ...sizes, values.engine, ...(values.profile ? [prefix] : [])],
    { DEVICE: values.device, PRECISION: values.precision },
  );
  const peer = await openPeer(sizes);
  const rounds = { ours: [], peer: [] };
  const first = await ours.step();
  await peer.step();
  for (let round = 0; round < 1 + Number(values.rounds); round++) {
    const [a, b] = [await ours.step(), await peer.step()];
    if (round === 0) continue; // both have allocated and compiled by now
    rounds.ours.push(a);
    rounds.peer.push(b);
  }
  await Promise.all([ours.close(), peer.close()]);
  const best = (steps) => Math.min(...steps.map(({ ms }) => ms));
  const peak = (steps) => Math.max(...steps.map((step) => step.peak)) / 2 ** 30;
  console.log(
    `${name}: ${ours.ready} ${best(rounds.ours).toFixed(0)} ms, ${peer.ready} ${best(rounds.peer).toFixed(0)} ms, ` +
      `ratio ${(best(rounds.ours) / best(rounds.peer)).toFixed(2)}; peak ${peak(rounds.ours).toFixed(2)} GiB against ` +
      `${peak(rounds.peer).toFixed(2)} GiB, ratio ${(peak(rounds.ours) / peak(rounds.peer)).toFixed(2)}; train step ` +
      `compiled in ${first.compiled?.seconds.toFixed(2) ?? "-"} s`,
  );
  if (!values.profile) continue;
  for (const file of readdirSync(os.tmpdir()).filter((entry) => path.join(os.tmpdir(), entry).startsWith(prefix))) {
    const events = JSON.parse(readFileSync(path.join(os.tmpdir(), file), "utf8"));
    console.log(`${summarise(events)}\n${await againstBare(events, tools)}`);
    rmSync(path.join(os.tmpdir(), file));
  }
}
