// A short real sweep on a device: flexbert finetune of GLUE's RTE over a base of random weights of BERT-base's sizes, an epoch for
// each k. Prints a line of JSON: seconds in all, and by k those of the run and its tokens a second.
//
//   npm run build && node bench/gpu/sweep.mjs [--glue FOLDER] [--device cuda] [--precision float32] [--k 3,6] [--size base] [--rows N]
//
// --glue has RTE/train.tsv and dev.tsv (glue-data by default); without them it says so and is skipped. --rows takes so many train rows.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { showUsage } from "../usage.mjs";

showUsage(import.meta.url);

const root = path.resolve(import.meta.dirname, "../..");
const { values } = parseArgs({
  options: {
    glue: { type: "string", default: path.join(root, "glue-data") },
    device: { type: "string", default: "cuda" },
    precision: { type: "string", default: "float32" },
    k: { type: "string", default: "3,6" },
    size: { type: "string", default: "base" },
    rows: { type: "string" },
  },
});
const missing = ["train.tsv", "dev.tsv"].filter((file) => !existsSync(path.join(values.glue, "RTE", file)));
if (missing.length > 0) {
  const { device } = values;
  const skipped = `no RTE/${missing.join(", RTE/")} in ${values.glue}: give --glue FOLDER`;
  console.log(JSON.stringify({ sweep: "rte", device, skipped }));
  process.exit(0);
}
const work = mkdtempSync(path.join(os.tmpdir(), "flexbert-sweep-"));
try {
  console.log(JSON.stringify(sweep()));
} finally {
  rmSync(work, { recursive: true, force: true });
}

function sweep() {
  const base = path.join(work, "base");
  execFileSync(process.execPath, [path.join(import.meta.dirname, "random-base.mjs"), base, "--size", values.size]);
  const { device, precision, size } = values;
  const command = [
    ...[path.join(root, "bin/flexbert.js"), "finetune", "--task", "rte", "--glue-data", path.resolve(values.glue)],
    ...["--base", base, "--k", values.k, "--epochs", "1", "--device", device, "--precision", precision],
    ...["--checkpoints", path.join(work, "checkpoints"), "--offline", "--json"],
    ...(values.rows ? ["--max-train-samples", values.rows, "--max-eval-samples", values.rows] : []),
  ];
  const started = performance.now();
  const { status, signal, stdout } = spawnSync(process.execPath, command, {
    cwd: work,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  const seconds = (performance.now() - started) / 1000;
  if (status !== 0) throw new Error(`flexbert finetune ended with ${signal ?? status} after ${seconds.toFixed(1)} s`);
  const { engine, tasks } = JSON.parse(stdout);
  const runs = tasks[0].runs.map((run) => ({
    k: run.layers,
    steps: run.steps,
    seconds: run.seconds,
    tokensPerSecond: run.tokensPerSecond,
  }));
  return { sweep: "rte", size, device, precision, engine, seconds, runs };
}
