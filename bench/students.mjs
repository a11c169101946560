// Small and good: how much of full fine-tuning's average the cheapest mix of students keeps, on five GLUE tasks with MiniLM.
// Full fine-tuning, teachers and students get the same grid of rates and epochs; the means of teaching are compared on two
// tasks at three places; the best two then at every place of every task; the chosen mixes and full fine-tuning are trained
// again with fresh seeds, and those scores are the ones that count.
//
// Stopped and called again it goes on: runs that are finished stay. Rows are written into students.csv after each command,
// and what each command cost into OUT/commands.jsonl. About 8 hours of 2 cores (Xeon with AMX), SST-2's first 10,000 rows.
//
//   npm run build && flexbert pull sentence-transformers/all-MiniLM-L6-v2
//   node bench/students.mjs --out DIR [--stage teachers|means|places|seeds] [--glue ../shared/data/glue] [--threads 2] [--dry-run]
import { spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { parse } from "yaml";
import { showUsage } from "./usage.mjs";

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    out: { type: "string", default: "bench-out/students" },
    stage: { type: "string" },
    glue: { type: "string", default: "../shared/data/glue" },
    threads: { type: "string", default: String(os.availableParallelism()) },
    "dry-run": { type: "boolean", default: false },
  },
});
const BASE = "sentence-transformers/all-MiniLM-L6-v2";
const folder = path.dirname(new URL(import.meta.url).pathname);
const checkpoints = path.join(values.out, "checkpoints");
const TABLE = path.join(folder, "students.csv");

const TASKS = ["stsb", "mrpc", "cola", "rte", "sst2"];
const COMPARED = ["stsb", "mrpc"];
const RATES = ["1e-4", "2e-4"];
const EPOCHS = ["4", "8"];
/** Fork 1: students of it begin as its layers wherever they stand. */
const TEACHER_K = "5";
const PLACES = [
  ["1", "3,4"],
  ["2", "3"],
];
const ALL_PLACES = [
  ["1", "2-5"],
  ["2", "1-4"],
];
const PLAIN = ["--learning-rate", "2e-4", "--epochs", "8"];
/** A change each from PLAIN. */
const MEANS = {
  plain: PLAIN,
  "rate 1e-4": ["--learning-rate", "1e-4", "--epochs", "8"],
  "rate 4e-4": ["--learning-rate", "4e-4", "--epochs", "8"],
  "epochs 4": ["--learning-rate", "2e-4", "--epochs", "4"],
  "alpha 0.9": [...PLAIN, "--alpha", "0.9"],
  "match pooled": [...PLAIN, "--match", "pooled"],
  "match cls": [...PLAIN, "--match", "cls"],
  "match tokens": [...PLAIN, "--match", "tokens"],
  "transfer all": [...PLAIN, "--transfer", "all"],
  "match tokens, transfer all": [...PLAIN, "--match", "tokens", "--transfer", "all"],
  "layers top": [...PLAIN, "--init-layers", "top"],
};

/** Runs flexbert, and what it used of the processors goes into commands.jsonl. */
async function flexbert(stage, args) {
  const command = args.join(" ");
  console.log(`${new Date().toTimeString().slice(0, 8)} ${stage}: flexbert ${command}`);
  if (values["dry-run"]) return;
  const started = Date.now();
  const all = [path.join(folder, "../bin/flexbert.js"), ...args, "--base", BASE, "--glue-data", values.glue];
  all.push("--checkpoints", checkpoints, "--threads", values.threads, "--quiet");
  // The shell's own `time` says what the command used, into the output's last line.
  const timed = `TIMEFORMAT='%U %S'; { time "$@"; } 2>&1`;
  const run = spawn("bash", ["-c", timed, "bash", process.execPath, ...all]);
  let output = "";
  run.stdout.on("data", (data) => {
    output += data;
  });
  run.stderr.pipe(process.stderr);
  const code = await new Promise((resolve) => run.once("close", resolve));
  if (code !== 0) throw new Error(`flexbert ${command} ended with ${code}: ${output.slice(-1500)}`);
  const [user, system] = output.trim().split("\n").at(-1).split(" ").map(Number);
  const cost = {
    stage,
    command,
    seconds: (Date.now() - started) / 1000,
    cpuSeconds: Number((user + system).toFixed(1)),
  };
  appendFileSync(path.join(values.out, "commands.jsonl"), `${JSON.stringify(cost)}\n`);
  writeTable();
}

/** Every run under the folder: record and options. */
function runs() {
  const root = path.join(checkpoints, BASE.replace("/", "--"));
  if (!existsSync(root)) return [];
  return readdirSync(root, { recursive: true })
    .filter((file) => path.basename(file) === "run.json")
    .map((file) => ({
      record: JSON.parse(readFileSync(path.join(root, file), "utf8")),
      config: parse(readFileSync(path.join(root, path.dirname(file), "config.yaml"), "utf8")),
    }))
    .filter(({ record }) => record.state === "finished");
}

const COLUMNS = {
  task: ({ record }) => record.task,
  method: ({ record }) => record.method,
  k: ({ record }) => (record.full ? "full" : record.layers),
  fork: ({ record }) => record.fork ?? 0,
  rate: ({ config }) => config.learning_rate,
  epochs: ({ config }) => config.epochs,
  alpha: ({ config }) => config.alpha ?? "",
  match: ({ config }) => (config.match === "none" ? "" : (config.match ?? "")),
  transfer: ({ config }) => [config.transfer ?? ""].flat().join(" "),
  init_layers: ({ config }) => config.init_layers ?? "",
  seed: ({ record }) => record.seed,
  metric: ({ record }) => record.metric,
  score: ({ record }) => (100 * record.score).toFixed(2),
  best_epoch: ({ record }) => record.bestEpoch,
  train_rows: ({ record }) => record.trainData.rows,
  id: ({ record }) => record.id,
};

function writeTable() {
  const rows = runs().map((run) => Object.values(COLUMNS).map((cell) => String(cell(run))));
  rows.sort((a, b) => (a.join() < b.join() ? -1 : 1));
  writeFileSync(TABLE, `${[Object.keys(COLUMNS), ...rows].map((row) => row.join(",")).join("\n")}\n`);
}

const rowsOf = (task) => (task === "sst2" ? ["--max-train-samples", "10000"] : []);

const STAGES = {
  async teachers() {
    for (const task of TASKS) {
      for (const k of [TEACHER_K, "full"]) {
        for (const rate of RATES) {
          for (const epochs of EPOCHS) {
            const args = ["--task", task, "--k", k, "--learning-rate", rate, "--epochs", epochs, ...rowsOf(task)];
            await flexbert("teachers", ["finetune", ...args]);
          }
        }
      }
    }
  },
  async means() {
    for (const [name, means] of Object.entries(MEANS)) {
      for (const task of COMPARED) await students(`means (${name})`, task, PLACES, means);
    }
  },
  async places() {
    const best = bestMeans();
    console.log(`the best two: ${best.join("; ")}`);
    for (const name of best) {
      for (const task of TASKS) await students(`places (${name})`, task, ALL_PLACES, MEANS[name]);
    }
  },
};

async function students(stage, task, places, means) {
  for (const [layers, forks] of places) {
    const place = ["--student-layers", layers, "--student-forks", forks];
    await flexbert(stage, ["distill", "--task", task, ...place, ...means, ...rowsOf(task)]);
  }
}

/** By the sum of scores over the places of the comparison; "plain" is what the others are measured against. */
function bestMeans() {
  const all = runs();
  const sums = Object.keys(MEANS).map((name) => {
    const found = all.filter(
      (run) => run.record.method === "distill" && run.record.seed === 1 && isOf(run, MEANS[name]),
    );
    const compared = found.filter(({ record }) => {
      return (
        COMPARED.includes(record.task) &&
        PLACES.some(([l, forks]) => {
          return Number(l) === record.layers && forks.split(",").map(Number).includes(record.fork);
        })
      );
    });
    if (compared.length !== 6) throw new Error(`${name} has ${compared.length} of 6 runs: run the stage means first`);
    return { name, mean: compared.reduce((sum, { record }) => sum + record.score, 0) / 6 };
  });
  sums.sort((a, b) => b.mean - a.mean);
  for (const { name, mean } of sums) console.log(`${(100 * mean).toFixed(2)} ${name}`);
  return sums.slice(0, 2).map(({ name }) => name);
}

/** Whether a run was made with such flags: each as given, the rest as by default. */
function isOf({ config }, flags) {
  const given = {};
  for (let i = 0; i < flags.length; i += 2) given[flags[i].slice(2).replaceAll("-", "_")] = flags[i + 1];
  const wanted = { alpha: "0.5", match: "none", transfer: "", init_layers: "depth", ...given };
  const own = { alpha: 0.5, match: "none", transfer: "", init_layers: "depth", ...config };
  return Object.entries(wanted).every(([key, value]) => {
    const has = [own[key] ?? ""].flat().join(" ");
    return has === value || (has !== "" && Number(has) === Number(value));
  });
}

mkdirSync(values.out, { recursive: true });
const wanted = values.stage ? [values.stage] : Object.keys(STAGES);
for (const stage of wanted) {
  if (!STAGES[stage]) throw new Error(`no stage ${stage}: ${Object.keys(STAGES).join(", ")}`);
  await STAGES[stage]();
}
if (!values["dry-run"]) writeTable();
