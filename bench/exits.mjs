// What early exits save in time: score against wall time and against layers as the threshold moves, batch 1 and 32, beside
// shallow students of the same teacher. A teacher is fine-tuned, its ramps are trained and decided on (flexbert exits), and its
// dev rows are then run in their own order, each batch through every setting in turn, so that a slow moment of the machine falls
// on all alike; a setting runs each batch twice, of which the second counts: its own weights are what the caches hold, as where it runs
// alone. Times are sums over the batches of the least of the rounds. A row's tokens are made before the clock starts. A threshold is
// taken as predict takes it: below what pays no ramp is asked.
//
//   npm run build && flexbert pull sentence-transformers/all-MiniLM-L6-v2
//   node bench/exits.mjs --out DIR [--base sentence-transformers/all-MiniLM-L6-v2] [--k 6] [--tasks sst2,mrpc]
//       [--max-train-samples 10000] [--max-eval-samples N] [--epochs 4] [--rate 1e-4] [--keep 99] [--batches 1,32] [--rounds 5]
//       [--students 1,2,3] [--points 8] [--glue ../shared/data/glue] [--threads 2]
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { showUsage } from "./usage.mjs";

showUsage(import.meta.url);

const require = createRequire(import.meta.url);
const { tokenRows } = require("../dist/batches/rows.js");
const { rowLogits } = require("../dist/batches/row-logits.js");
const { targetsOf } = require("../dist/batches/rows.js");
const { readSplit } = require("../dist/data/read-split.js");
const { openEngine } = require("../dist/engines/open.js");
const { callExits, exitRules } = require("../dist/predict/exits.js");
const { openModel } = require("../dist/predict/model.js");
const { glueTasks } = require("../dist/tasks/glue.js");
const { scoreLogits } = require("../dist/training/loop/branch-source.js");

const { values } = parseArgs({
  options: {
    out: { type: "string", default: "bench-out/exits" },
    base: { type: "string", default: "sentence-transformers/all-MiniLM-L6-v2" },
    k: { type: "string", default: "6" },
    tasks: { type: "string", default: "sst2,mrpc" },
    "max-train-samples": { type: "string", default: "10000" },
    "max-eval-samples": { type: "string" },
    epochs: { type: "string", default: "4" },
    rate: { type: "string", default: "1e-4" },
    keep: { type: "string", default: "99" },
    batches: { type: "string", default: "1,32" },
    rounds: { type: "string", default: "5" },
    students: { type: "string", default: "1,2,3" },
    points: { type: "string", default: "8" },
    glue: { type: "string", default: "../shared/data/glue" },
    threads: { type: "string", default: String(os.availableParallelism()) },
  },
});
const bin = path.join(path.dirname(new URL(import.meta.url).pathname), "../bin/flexbert.js");
const checkpoints = path.join(values.out, "checkpoints");
mkdirSync(values.out, { recursive: true });

function flexbert(...args) {
  console.log(`flexbert ${args.join(" ")}`);
  const options = { encoding: "utf8", maxBuffer: 2 ** 28, stdio: ["ignore", "pipe", "inherit"] };
  return JSON.parse(execFileSync(process.execPath, [bin, ...args, "--json", "--quiet"], options));
}

const where = ["--base", values.base, "--checkpoints", checkpoints, "--glue-data", values.glue];
const machine = ["--engine", "onnx", "--threads", values.threads];
const limits = [
  ...(values["max-train-samples"] ? ["--max-train-samples", values["max-train-samples"]] : []),
  ...(values["max-eval-samples"] ? ["--max-eval-samples", values["max-eval-samples"]] : []),
];
const training = [...limits, "--epochs", values.epochs, "--learning-rate", values.rate];

const { engine } = await openEngine("onnx", { threads: Number(values.threads) });
console.log(`${os.cpus()[0]?.model}, ${engine.summary}, Node ${process.version}, load ${os.loadavg()[0]?.toFixed(1)}`);
const results = {};
for (const name of values.tasks.split(",")) results[name] = await measureTask(name);
writeFileSync(path.join(values.out, "exits.json"), `${JSON.stringify(results, null, 1)}\n`);
engine.dispose();

async function measureTask(name) {
  const task = glueTasks[name];
  const [{ teacher }] = flexbert("finetune", "--task", name, "--k", values.k, ...where, ...machine, ...training).tasks;
  const shallow =
    values.students === ""
      ? []
      : flexbert(
          "distill",
          "--task",
          name,
          "--student-forks",
          "0",
          "--student-layers",
          values.students,
          ...where,
          ...machine,
          ...training,
        ).tasks[0].runs;
  const asked = ["--keep", values.keep, ...where, ...machine, ...limits];
  const [decided] = flexbert("exits", "--run", teacher, "--task", name, ...asked).tasks;
  console.log(`${name}: ${JSON.stringify(decided.exits ?? decided.why)}`);
  const maxRows = values["max-eval-samples"] ? { maxRows: Number(values["max-eval-samples"]) } : {};
  const { examples } = await readSplit(task, "dev", { glueData: values.glue, ...maxRows });
  const labels = targetsOf(task, examples);
  const model = await openModel(teacher, engine, { taskOf: () => task });
  const settings = [{ label: "off", model, exits: {} }];
  const curve = decided.curve.map(({ threshold }) => threshold).filter((threshold) => threshold > 0);
  const every = Math.max(1, Math.ceil(curve.length / Number(values.points)));
  const thresholds = curve.filter((_, i) => (curve.length - 1 - i) % every === 0);
  if (decided.exits) settings.push({ label: `keep ${values.keep}`, model, exits: { [name]: decided.exits } });
  for (const threshold of thresholds) {
    const exits = exitRules(model.tasks, threshold, { folder: teacher, named: true });
    settings.push({ label: `at most ${threshold.toPrecision(3)}`, model, exits });
  }
  for (const { layers, folder } of shallow) {
    const student = await openModel(folder, engine, { taskOf: () => task });
    settings.push({ label: `student of ${layers}`, model: student, exits: {} });
  }
  const table = [];
  for (const batch of values.batches.split(",").map(Number)) {
    table.push(...(await race({ task, examples, labels, batch, settings })));
  }
  for (const one of new Set(settings.map((setting) => setting.model))) one.dispose();
  for (const row of table) {
    console.log(
      `${name} batch ${String(row.batch).padStart(2)} ${row.label.padEnd(16)} score ${(100 * row.score).toFixed(2)} ` +
        `layers ${row.layers.toFixed(2)} ${row.ms.toFixed(3)} ms a row, ${(100 * row.share).toFixed(1)} % of off`,
    );
  }
  return { teacher, decided, table };
}

/** Milliseconds a row of each setting, batches in the rows' own order. */
async function race({ task, examples, labels, batch, settings }) {
  const own = settings.map(({ model, exits }) => {
    const served = model.tasks.filter(({ name }) => name === task.name);
    return { leaving: callExits(served, exits), top: (served[0].fork ?? 0) + served[0].layers };
  });
  const width = task.kind.outputs(task).length;
  const logits = settings.map(() => new Float32Array(examples.length * width));
  const [layers, sums] = [settings.map(() => 0), settings.map(() => 0)];
  for (let from = 0; from < examples.length; from += batch) {
    const some = examples.slice(from, from + batch);
    const best = settings.map(() => Number.POSITIVE_INFINITY);
    const given = settings.map(({ model }) =>
      tokenRows(
        some.map(({ text, pair }) => model.tokenizer.encode(text, pair, model.tasks[0].maxLength)),
        model.tokenizer.padId,
      ),
    );
    const wants = some.map(() => [task.name]);
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const [i, { model }] of settings.entries()) {
        for await (const _ of model.run(given[i], wants, undefined, own[i].leaving));
        const started = performance.now();
        let took = 0;
        for await (const part of model.run(given[i], wants, undefined, own[i].leaving)) {
          took += part.rows.length * (part.layer ?? own[i].top);
          for (const [j, row] of part.rows.entries()) {
            logits[i].set(part.logits.data.subarray(j * width, (j + 1) * width), (from + row) * width);
          }
        }
        best[i] = Math.min(best[i], performance.now() - started);
        if (round === 0) layers[i] += took;
      }
    }
    for (const [i, ms] of best.entries()) sums[i] += ms;
  }
  return settings.map(({ label }, i) => ({
    ...{ label, batch, ms: sums[i] / examples.length, share: sums[i] / sums[0], layers: layers[i] / examples.length },
    score: scoreLogits(task, rowLogits(logits[i], width), labels).score,
  }));
}
