// All of a GPU's measurements in one go, without a network: what was found, the reference values, train steps against PyTorch, a short
// sweep, the serving shape at rising load, and where a step's time goes. Every part is a process with a time limit of its own; what fails
// is said and the rest goes on. Rows go to OUT/rows.jsonl as they come, the table to OUT/table.md and to the terminal at the end.
//
//   node bench/gpu/run.mjs --out OUT [--parts found,reference,steps,sweep,serving,profile] [--devices cuda,webgpu] [--minutes 9]
//       [--glue FOLDER] [--python PYTHON] [--cases CASE,...] [--rates N,...] [--dry-run]
//
// bench/gpu/README.md says how to come from nothing to the table. The part found installs the CUDA provider where a package has it (cuda/).
// --dry-run takes small sizes, the CPU in CUDA's place, and no PyTorch unless --python names one: it tries the script, not a machine.
import { spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { showUsage } from "../usage.mjs";
import { tableOf } from "./table.mjs";
import { vulkanEnvironment } from "./vulkan.mjs";

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    out: { type: "string" },
    parts: { type: "string", default: "found,reference,steps,sweep,serving,profile" },
    devices: { type: "string", default: "cuda,webgpu" },
    minutes: { type: "string", default: "9" },
    python: { type: "string" },
    cases: { type: "string" },
    glue: { type: "string" },
    rates: { type: "string", default: "500,1000,2000,3000,4000,5000,6000,8000" },
    "dry-run": { type: "boolean", default: false },
  },
});
if (!values.out) throw new Error("--out names the folder for the rows");
mkdirSync(values.out, { recursive: true });
const dry = values["dry-run"];
const folder = import.meta.dirname;
const root = path.resolve(folder, "../..");
const environment = {
  ...process.env,
  ...vulkanEnvironment(path.join(root, "vulkan"), path.join(values.out, "vulkan")),
};
const deadline = Date.now() + 60_000 * Number(values.minutes);
const devices = values.devices.split(",").map((device) => (dry && device === "cuda" ? "cpu" : device));
const python = values.python ?? (dry ? null : "python3");
const rows = [];

function record(row) {
  rows.push(row);
  appendFileSync(path.join(values.out, "rows.jsonl"), `${JSON.stringify(row)}\n`);
}

let running = null;

function endRunning() {
  if (!running?.pid) return;
  try {
    process.kill(-running.pid, "SIGKILL");
  } catch {} // it has just ended
}

for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    endRunning();
    writeTable();
    process.exit(1);
  });
}

/** Runs a command; its lines of JSON are rows of a part, its others are said. */
async function part(name, command, args, seconds) {
  const left = Math.min(seconds, (deadline - Date.now()) / 1000);
  if (left < 5) {
    record({ part: name, skipped: "no time is left" });
    return;
  }
  const started = Date.now();
  console.log(`== ${name}: ${path.basename(command)} ${args.map((arg) => path.basename(arg)).join(" ")}`);
  // A group of its own: what it has started ends with it, or would go on and hold the pipes open.
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], env: environment, detached: true });
  running = child;
  const errors = [];
  createInterface({ input: child.stderr }).on("line", (line) => errors.push(line));
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => {
    console.log(line.slice(0, 400));
    if (line.startsWith("{")) record({ part: name, ...JSON.parse(line) });
    else record({ part: name, said: line });
  });
  const timer = setTimeout(endRunning, 1000 * left);
  const code = await new Promise((resolve) => {
    child.on("error", (error) => resolve(error.message));
    child.on("close", (status, signal) => resolve(signal ?? status));
  });
  clearTimeout(timer);
  running = null;
  const took = (Date.now() - started) / 1000;
  if (code !== 0) {
    record({ part: name, failed: code, seconds: took, errors: errors.slice(-15).map((line) => line.slice(0, 500)) });
    console.log(`-- ${name} ended with ${code} after ${took.toFixed(0)} s\n${errors.slice(-15).join("\n")}`);
  } else record({ part: name, seconds: took });
}

const node = (script, args, name, seconds) =>
  part(name, process.execPath, [path.join(folder, script), ...args], seconds);

const parts = {
  async found() {
    record({
      part: "found",
      node: process.version,
      cores: os.availableParallelism(),
      cpu: os.cpus()[0]?.model,
      memory: os.totalmem(),
    });
    const query = [
      "--query-gpu=name,memory.total,driver_version,clocks.sm,pcie.link.gen.current",
      "--format=csv,noheader",
    ];
    await part("found", "nvidia-smi", query, 20);
    const flexbert = path.join(root, "bin/flexbert.js");
    const provider = path.join(root, "cuda");
    if (devices.includes("cuda") && existsSync(provider)) {
      await part("found", process.execPath, [flexbert, "engine", "install", "onnx-cuda", "--from", provider], 90);
    }
    await part("found", process.execPath, [flexbert, "doctor"], 60);
  },
  async reference() {
    for (const device of devices) {
      const prefix = path.join(values.out, `profile-${device}`);
      await node("reference.mjs", ["--device", device, "--profile", prefix], `reference ${device}`, 90);
      const files = readdirSync(values.out).filter((file) => file.startsWith(`profile-${device}`));
      const largest = files
        .map((file) => path.join(values.out, file))
        .sort((a, b) => statSync(b).size - statSync(a).size)[0];
      if (largest) await node("placement.mjs", [largest], `placement ${device}`, 20);
      for (const file of files) rmSync(path.join(values.out, file));
    }
    if (!devices.includes("cuda")) return;
    for (const precision of ["tf32", "bf16", "float16"]) {
      await node("reference.mjs", ["--device", "cuda", "--precision", precision], `reference cuda ${precision}`, 45);
    }
  },
  async steps() {
    const peer = python ? ["--python", python] : ["--no-peer"];
    const chosen = {
      cuda: [
        "base-k3-128:float32",
        "base-k3-128:tf32",
        "base-k3-128:bf16",
        "base-k3-128:float32:0.1",
        "base-k3-128:bf16:0.1",
        "base-k9-128:float32",
        "base-k9-128:tf32",
        "base-k9-128:bf16",
        "minilm-k6-64:float32",
        "minilm-k2-16:float32",
      ],
      webgpu: ["base-k3-128:float32", "minilm-k6-64:float32", "minilm-k2-16:float32"],
      cpu: ["minilm-k2-16:float32", "minilm-k2-16:float32:0.1"],
    };
    for (const device of devices) {
      const cases = values.cases?.split(",") ?? (dry ? ["minilm-k2-16:float32:0.1"] : chosen[device]);
      const rounds = dry ? "2" : device === "webgpu" ? "10" : "20";
      const own = device === "webgpu" ? ["--no-peer"] : peer;
      await node("steps.mjs", ["--device", device, "--rounds", rounds, ...own, ...cases], `steps ${device}`, 280);
    }
    if (!dry)
      await node(
        "steps.mjs",
        ["--device", "cpu", "--no-peer", "--rounds", "3", "base-k3-128:float32"],
        "steps cpu",
        60,
      );
  },
  async sweep() {
    const glue = values.glue ? ["--glue", values.glue] : [];
    const size = dry ? ["--size", "tiny", "--rows", "8", "--k", "1"] : [];
    for (const device of devices) {
      const precision = device === "cuda" ? "tf32" : "float32";
      const args = ["--device", device, "--precision", precision, ...glue, ...size];
      await node("sweep.mjs", args, `sweep ${device}`, dry ? 240 : 120);
    }
  },
  async serving() {
    const small = [
      "--size",
      "minilm",
      "--rates",
      "5",
      "--seconds",
      "1",
      "--tasks",
      "3",
      "--shared",
      "1",
      "--layers",
      "5",
    ];
    for (const device of devices) {
      const precisions = device === "cuda" ? ["bf16", "tf32", "float32"] : ["float32"];
      for (const precision of precisions) {
        const args = ["--device", device, "--precision", precision];
        await node(
          "serving.mjs",
          [...args, ...(dry ? small : ["--rates", values.rates])],
          `serving ${device} ${precision}`,
          100,
        );
      }
    }
  },
  async profile() {
    for (const device of devices) {
      const precisions = device === "cuda" ? ["float32", "tf32", "bf16"] : ["float32"];
      for (const precision of device === "cpu" ? [] : precisions) {
        const args = ["--device", device, "--precision", precision, ...(dry ? ["minilm-k2-16"] : [])];
        await node("profile-step.mjs", args, `profile ${device} ${precision}`, dry ? 240 : 60);
      }
    }
  },
};

for (const name of values.parts.split(",")) await parts[name]();
writeTable();

function writeTable() {
  const table = tableOf(rows);
  writeFileSync(path.join(values.out, "table.md"), table);
  console.log(table);
}
