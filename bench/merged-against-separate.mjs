// Every dev row of every task: logits of the merged model against those of the run that it was made from.
//
//   node bench/merged-against-separate.mjs MERGED_FOLDER CHECKPOINTS GLUE_FOLDER [ENGINE]
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { showUsage } from "./usage.mjs";

const require = createRequire(import.meta.url);
const { readManifest } = require("../dist/merge/folder/version.js");

showUsage(import.meta.url);

const [merged, checkpoints, glue, engine = "auto"] = process.argv.slice(2);
const bin = path.join(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), "../bin/flexbert.js");
const scratch = mkdtempSync(path.join(os.tmpdir(), "flexbert-bench-"));
const manifest = await readManifest(merged);

function evaluate(model, task) {
  const file = path.join(scratch, "predictions.jsonl");
  const args = [bin, "eval", "--model", model, "--task", task, "--glue-data", glue, "--engine", engine, "--quiet"];
  const [{ score }] = JSON.parse(
    execFileSync(process.execPath, [...args, "--predictions", file, "--json"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }),
  );
  const rows = readFileSync(file, "utf8").trim().split("\n");
  return { score, logits: rows.flatMap((row) => JSON.parse(row).logits) };
}

for (const { name, run } of manifest.tasks) {
  const [method, id] = run.split(" ");
  const folder = path.join(
    checkpoints,
    manifest.base.name.replaceAll("/", "--"),
    name,
    method === "distill" ? "distill" : "finetune",
    id,
  );
  const [a, b] = [evaluate(merged, name), evaluate(folder, name)];
  const largest = a.logits.reduce((most, logit, i) => Math.max(most, Math.abs(logit - b.logits[i])), 0);
  console.log(
    `${name}: merged ${(100 * a.score).toFixed(4)}, separate ${(100 * b.score).toFixed(4)}, largest difference of ${a.logits.length} logits ${largest.toExponential(2)}`,
  );
  if (!(largest <= 1e-5)) process.exitCode = 5;
}
rmSync(scratch, { recursive: true });
