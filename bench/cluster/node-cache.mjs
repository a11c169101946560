// What trials of one node save that share trunk activations through its disk, and what that costs. First for each fork of a base
// over a task's train rows: seconds to compute it, to write it, to compare it with its checksum, and to read it once as training
// reads it, from memory and from the file. Then an experiment's trials as processes one after another, without and with
// --node-cache: seconds, and whether weights and metrics are the same bytes.
//
//   npm run build && node bench/cluster/node-cache.mjs [--base sentence-transformers/all-MiniLM-L6-v2] [--task rte] [--rows 1000]
//     [--glue-data glue-data] [--k 1-3] [--seeds 3] [--epochs 1] [--threads 2] [--engine onnx] [--folder /tmp/flexbert-node-cache]
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { showUsage } from "../usage.mjs";

showUsage(import.meta.url);

const require = createRequire(import.meta.url);
const { sortedBatches } = require("../../dist/batches/batches.js");
const { openBase } = require("../../dist/checkpoints/bases/base.js");
const { openEngine } = require("../../dist/engines/open.js");
const { readTaskData } = require("../../dist/recipes/trial/task-data.js");
const { glueTasks } = require("../../dist/tasks/glue.js");
const { openNodeCache } = require("../../dist/training/trunk/node-cache.js");
const { openTrunk } = require("../../dist/training/trunk/trunk.js");

const { values } = parseArgs({
  options: {
    base: { type: "string", default: "sentence-transformers/all-MiniLM-L6-v2" },
    task: { type: "string", default: "rte" },
    rows: { type: "string", default: "1000" },
    "glue-data": { type: "string", default: "glue-data" },
    k: { type: "string", default: "1-3" },
    seeds: { type: "string", default: "3" },
    epochs: { type: "string", default: "1" },
    threads: { type: "string", default: "2" },
    engine: { type: "string", default: "onnx" },
    folder: { type: "string", default: "/tmp/flexbert-node-cache" },
  },
});
const folder = path.resolve(values.folder);
const glueData = path.resolve(values["glue-data"]);
const bin = fileURLToPath(new URL("../../bin/flexbert.js", import.meta.url));
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });

const seconds = async (work) => {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
};

const { engine } = await openEngine(values.engine, { threads: Number(values.threads) });
const base = await openBase(values.base);
const data = await readTaskData(glueTasks[values.task], base, 128, {
  glueData,
  skipBrokenRows: false,
  maxTrainSamples: Number(values.rows),
});
const rows = data.train;
const quiet = {
  log: () => {},
  warn: (line) => process.stderr.write(`${line}\n`),
  progress: () => ({ advance() {}, end() {} }),
};
const context = { engine, reporter: quiet, signal: new AbortController().signal };
const nodeCache = await openNodeCache(path.join(folder, "node"), context);
const options = { folder: path.join(folder, "scratch"), label: values.task, budget: 8e9 };
const batches = sortedBatches(rows.lengths, 32);
const readAll = async (activations) => {
  for (const batch of batches) await activations.read(batch, 32);
};

const gigabytes = (rows.tokens * base.config.hiddenSize * 4) / 1e9;
process.stdout.write(
  `${engine.summary}; ${base.name}, ${values.task}: ${rows.ids.length} rows, ${rows.tokens} tokens, ${gigabytes.toFixed(3)} GB\n` +
    "fork  compute s  write s  check s  one reading from memory s  from the file s\n",
);
for (let fork = 1; fork < base.config.numHiddenLayers; fork++) {
  const own = await openTrunk(base, rows, options, context);
  const compute = await seconds(() => own.at(fork));
  const fromMemory = await seconds(async () => readAll(await own.at(fork)));
  await own.dispose();
  const writing = await openTrunk(base, rows, { ...options, nodeCache }, context);
  const shared = await seconds(() => writing.at(fork));
  await writing.dispose();
  const name = readdirSync(nodeCache).find((one) => one.endsWith(`-${fork}.trunk`));
  const wrote = name
    ? JSON.parse(readFileSync(path.join(nodeCache, name)).subarray(0, 1024).toString()).writing
    : Number.NaN;
  const reading = await openTrunk(base, rows, { ...options, nodeCache }, context);
  const check = await seconds(() => reading.at(fork));
  const fromFile = await seconds(async () => readAll(await reading.at(fork)));
  await reading.dispose();
  const cells = [compute, wrote, check, fromMemory, fromFile].map((cell) => cell.toFixed(3));
  process.stdout.write(
    `${String(fork).padEnd(6)}${cells[0].padEnd(11)}${cells[1].padEnd(9)}${cells[2].padEnd(9)}${cells[3].padEnd(27)}${cells[4]}\n`,
  );
  if (fork > 1) process.stdout.write(`      on from the fork below: ${shared.toFixed(3)} s\n`);
}
engine.dispose();

const file = path.join(folder, "shared.yaml");
writeFileSync(
  file,
  `base: ${values.base}\ntasks: ${values.task}\nmax_train_samples: ${values.rows}\nepochs: ${values.epochs}\nseeds: ${values.seeds}\nfinetune: { k: "${values.k}" }\n`,
);
const hash = (one) => createHash("sha256").update(readFileSync(one)).digest("hex");
const kept = (out) =>
  Object.fromEntries(
    readdirSync(path.join(folder, out), { recursive: true })
      .filter((name) => /(model\.safetensors|metrics\.jsonl)$/.test(name))
      .map((name) => [name, hash(path.join(folder, out, name))]),
  );
const flexbert = (...words) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...words], {
    cwd: folder,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`${words.join(" ")}: ${status}: ${stderr.slice(-2000)}`);
  return stdout;
};
const common = ["--glue-data", glueData, "--engine", values.engine, "--threads", values.threads, "--quiet"];
const { trials } = JSON.parse(flexbert("plan", file, "--glue-data", glueData, "--out", "alone", "--json"));
const totals = {};
for (const [out, more] of Object.entries({ alone: [], near: ["--node-cache", path.join(folder, "near-cache")] })) {
  const each = [];
  for (const { index } of trials) {
    each.push(await seconds(() => flexbert("run", file, "--out", out, "--trial", String(index), ...common, ...more)));
  }
  totals[out] = each.reduce((sum, one) => sum + one, 0);
  process.stdout.write(
    `${out}: ${trials.length} trials in ${totals[out].toFixed(1)} s (${each.map((one) => one.toFixed(1)).join(" ")})\n`,
  );
}
const [alone, near] = [kept("alone"), kept("near")].map((one) => JSON.stringify(one));
const [cache = ""] = readdirSync(path.join(folder, "near-cache"));
const files = readdirSync(path.join(folder, "near-cache", cache)).map((name) =>
  path.join(folder, "near-cache", cache, name),
);
const bytes = files.reduce((sum, one) => sum + statSync(one).size, 0);
process.stdout.write(
  `weights and metrics ${alone === near ? "the same bytes" : "DIFFER"}; ${files.length} files of ${(bytes / 1e9).toFixed(3)} GB on the node's disk\n`,
);
rmSync(folder, { recursive: true, force: true });
process.exitCode = alone === near ? 0 : 1;
