// Small and good: how much of full fine-tuning's average the cheapest mix of students keeps, on five GLUE tasks with MiniLM.
// Full fine-tuning, teachers and students get the same grid of rates and epochs; the means of teaching are compared on two
// tasks at three places; the best two then at every place of every task; the chosen mixes and full fine-tuning are trained
// again with fresh seeds, and those scores are the ones that count.
//
// Stopped and called again it goes on, on another machine too: rows are written into students.csv after each command, what each
// command cost into students-cost.csv, and what has its row there is not trained again. Only a task's best teacher is, where its
// weights are not in DIR. About 8 hours of 2 cores (Xeon with AMX), SST-2's first 10,000 rows.
//
//   npm run build && flexbert pull sentence-transformers/all-MiniLM-L6-v2
//   node bench/students.mjs --out DIR [--stage teachers|means|places|seeds] [--glue ../shared/data/glue] [--threads 2] [--dry-run]
//       [--tasks stsb,mrpc,cola,rte,sst2] [--flags="--device cuda --precision tf32"] [--samples N]
//
// --tasks does of a stage what is these tasks'; several such commands may run beside each other over one DIR, on a GPU say, and one
// after them writes the whole table. The stages means and seeds end with what needs every task. --samples trains on the first N rows,
// with tables of its own in DIR: a trial.
import { execFileSync, spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import papaparse from "papaparse";
import { parse } from "yaml";
import { showUsage } from "./usage.mjs";

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    out: { type: "string", default: "bench-out/students" },
    stage: { type: "string" },
    glue: { type: "string", default: "../shared/data/glue" },
    threads: { type: "string", default: String(os.availableParallelism()) },
    tasks: { type: "string" },
    samples: { type: "string" },
    flags: { type: "string", default: "" },
    "dry-run": { type: "boolean", default: false },
  },
});
const BASE = "sentence-transformers/all-MiniLM-L6-v2";
const folder = path.dirname(new URL(import.meta.url).pathname);
const checkpoints = path.join(values.out, "checkpoints");
const tables = values.samples === undefined ? folder : values.out;
const TABLE = path.join(tables, "students.csv");
const COST = path.join(tables, "students-cost.csv");
const MACHINE = `${values.threads} threads, ${os.cpus()[0]?.model} ${values.flags}`.trim();

const TASKS = ["stsb", "mrpc", "cola", "rte", "sst2"];
const COMPARED = ["stsb", "mrpc"];
const MINE = values.tasks?.split(",") ?? TASKS;
const unknown = MINE.find((task) => !TASKS.includes(task));
if (unknown !== undefined) throw new Error(`--tasks ${unknown}: these are ${TASKS.join(", ")}`);
const RATES = ["1e-4", "2e-4"];
const EPOCHS = ["4", "8"];
/** Fork 1: students of it begin as its layers wherever they stand. */
const TEACHER_K = "5";
const PLACES = [
  ["1", ["3", "4"]],
  ["2", ["3"]],
];
const ALL_PLACES = [
  ["1", ["2", "3", "4", "5"]],
  ["2", ["1", "2", "3", "4"]],
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

/** Runs flexbert, and what it used of the processors goes into students-cost.csv. */
async function flexbert(stage, args) {
  const command = args.join(" ");
  console.log(`${new Date().toTimeString().slice(0, 8)} ${stage}: flexbert ${command}`);
  if (values["dry-run"]) return;
  const started = Date.now();
  const all = [path.join(folder, "../bin/flexbert.js"), ...args, "--base", BASE, "--glue-data", values.glue];
  all.push("--checkpoints", checkpoints, "--threads", values.threads, "--quiet");
  all.push(...values.flags.split(" ").filter(Boolean));
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
  const cost = [stage, command, ((Date.now() - started) / 1000).toFixed(0), (user + system).toFixed(0), MACHINE];
  if (!existsSync(COST)) writeFileSync(COST, "stage,command,seconds,cpu_seconds,machine\n");
  appendFileSync(COST, `${papaparse.unparse([cost])}\n`);
  writeTable();
}

/** Every finished run under the folder, its record and options. */
function runsHere() {
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

/** Columns that are options of a command, and the flags of those that have another name. */
const OPTIONS = ["rate", "epochs", "alpha", "match", "transfer", "init_layers"];
const FLAGS = { rate: "learning-rate", init_layers: "init-layers" };

const rowOf = (run) => Object.fromEntries(Object.entries(COLUMNS).map(([name, cell]) => [name, String(cell(run))]));

/** Rows of what is finished, here and wherever the table was written before, by their runs' ids. */
function finished() {
  const kept = existsSync(TABLE) ? papaparse.parse(readFileSync(TABLE, "utf8").trim(), { header: true }).data : [];
  const rows = new Map([...kept, ...runsHere().map(rowOf)].map((row) => [`${row.task} ${row.id}`, row]));
  return [...rows.values()];
}

function writeTable() {
  const rows = finished().map((row) => Object.values(row));
  rows.sort((a, b) => (a.join() < b.join() ? -1 : 1));
  writeFileSync(TABLE, `${papaparse.unparse([Object.keys(COLUMNS), ...rows], { newline: "\n" })}\n`);
}

const isMine = (task) => MINE.includes(task);

const rowsOf = (task) => {
  const samples = values.samples ?? (task === "sst2" ? "10000" : undefined);
  return samples === undefined ? [] : ["--max-train-samples", samples];
};

const STAGES = {
  async teachers() {
    for (const task of MINE) {
      for (const k of [TEACHER_K, "full"]) {
        for (const rate of RATES) {
          for (const epochs of EPOCHS) {
            const flags = ["--learning-rate", rate, "--epochs", epochs];
            const isDone = finished().some((row) => row.task === task && row.k === k && isOf(row, "finetune", flags));
            if (!isDone) await flexbert("teachers", finetune(task, k, flags));
          }
        }
      }
    }
  },
  async means() {
    for (const [name, means] of Object.entries(MEANS)) {
      for (const task of COMPARED.filter(isMine)) await students(`means (${name})`, task, PLACES, means);
    }
  },
  async places() {
    const best = bestMeans();
    console.log(`the best two: ${best.join("; ")}`);
    for (const name of best) {
      for (const task of MINE) await students(`places (${name})`, task, ALL_PLACES, MEANS[name]);
    }
  },
  /** The choices and full fine-tuning again with fresh seeds: these scores count, the ones that chose do not. */
  async seeds() {
    const choices = SHARES.map((layers) => ({ layers, tasks: chosenWithin(layers) }));
    for (const task of MINE) {
      const full = bestOf(task, (row) => row.k === "full");
      for (const seed of FRESH) await again(full, seed);
      for (const { tasks } of choices) for (const seed of FRESH) await again(tasks[task], seed);
    }
    if (values["dry-run"] || !TASKS.every(isMine)) return;
    const fresh = (row) => FRESH.map((seed) => Number(sameBut(row, seed)?.score));
    const average = (rows) => mean(rows.flatMap(fresh));
    const full = average(TASKS.map((task) => bestOf(task, (row) => row.k === "full")));
    console.log(`full fine-tuning, seeds ${FRESH.join(", ")}: ${full.toFixed(2)}`);
    for (const { layers, tasks } of choices) {
      const rows = Object.values(tasks);
      const own = average(rows);
      const taken = Math.max(...rows.map(({ fork }) => Number(fork))) + rows.reduce((sum, { k }) => sum + Number(k), 0);
      const share = `${taken} layers of ${6 * TASKS.length}, at most ${layers}`;
      console.log(`${share}: ${own.toFixed(2)}, ${((100 * own) / full).toFixed(1)} % of full fine-tuning`);
      for (const row of rows) {
        const scores = fresh(row).map((score) => score.toFixed(2));
        console.log(`  ${row.task}: ${row.k} above ${row.fork}, chosen at ${row.score}, fresh ${scores.join(", ")}`);
      }
    }
  },
};

const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

/** Layers of the merged model: 30, 34, 37 and 40 % of the 30 of five models. */
const SHARES = [9, 10, 11, 12];
const FRESH = ["2", "3", "4"];

/** The best row of a task by the scores of seed 1. */
function bestOf(task, isWanted) {
  const rows = finished().filter((row) => row.task === task && row.seed === "1" && isWanted(row));
  const [best] = rows.sort((a, b) => Number(b.score) - Number(a.score));
  if (!best) throw new Error(`${task} lacks a row: run the stages before`);
  return best;
}

/** By flexbert's own rule over all tasks: the most points within so many layers. A row a task. */
function chosenWithin(layers) {
  const places = TASKS.flatMap((task) => {
    const all = finished().filter((row) => row.task === task && row.k !== "full");
    return [...new Set(all.map(({ fork, k }) => `${fork} ${k}`))].map((place) => {
      return bestOf(task, ({ fork, k }) => `${fork} ${k}` === place);
    });
  });
  const file = path.join(values.out, "candidates.csv");
  const rows = places.map(({ task, fork, k, score }) => [task, 6, fork, k, score]);
  writeFileSync(file, papaparse.unparse([["task", "base_layers", "fork", "layers", "score"], ...rows]));
  const args = ["select", "--scores", file, "--max-layers", String(layers), "--json", "--quiet"];
  const { tasks } = JSON.parse(execFileSync(process.execPath, [path.join(folder, "../bin/flexbert.js"), ...args]));
  return Object.fromEntries(
    tasks.map(({ task, fork, layers: k }) => {
      return [task, bestOf(task, (row) => row.k === String(k) && row.fork === String(fork))];
    }),
  );
}

const sameBut = (row, seed) =>
  finished().find((other) => {
    return (
      other.seed === seed && ["task", "method", "k", "fork", ...OPTIONS].every((name) => other[name] === row[name])
    );
  });

/** The same training with another seed. */
async function again(row, seed) {
  if (sameBut(row, seed)) return;
  const { task, method, k, fork } = row;
  const options = OPTIONS.filter((name) => row[name] !== "").flatMap((name) => [`--${FLAGS[name] ?? name}`, row[name]]);
  if (method === "finetune") return flexbert("seeds", [...finetune(task, k, options), "--seed", seed]);
  await teach("seeds", task);
  const place = ["--student-layers", k, "--student-forks", fork];
  await flexbert("seeds", ["distill", "--task", task, ...place, ...options, ...rowsOf(task), "--seed", seed]);
}

const finetune = (task, k, flags) => ["finetune", "--task", task, "--k", k, ...flags, ...rowsOf(task)];

/** Students of the places that have no row yet. */
async function students(stage, task, places, means) {
  for (const [layers, forks] of places) {
    const missing = forks.filter(
      (fork) => !finished().some((row) => row.task === task && isAt(row, layers, fork, means)),
    );
    if (missing.length === 0) continue;
    await teach(stage, task);
    const place = ["--student-layers", layers, "--student-forks", missing.join(",")];
    await flexbert(stage, ["distill", "--task", task, ...place, ...means, ...rowsOf(task)]);
  }
}

/** Students learn from the best teacher of the table: trained again, to the same bytes, where another machine had trained it. */
async function teach(stage, task) {
  if (values["dry-run"]) return;
  const best = bestOf(task, ({ method, k }) => method === "finetune" && k === TEACHER_K);
  if (runsHere().some(({ record }) => record.id === best.id)) return;
  const flags = ["--learning-rate", best.rate, "--epochs", best.epochs];
  await flexbert(`${stage}, its teacher again`, finetune(task, TEACHER_K, flags));
}

const isAt = (row, layers, fork, means) =>
  row.k === layers && row.fork === fork && row.seed === "1" && isOf(row, "distill", means);

/** By the mean of scores over the places of the comparison; "plain" is what the others are measured against. */
function bestMeans() {
  const all = finished().filter(({ task }) => COMPARED.includes(task));
  const places = PLACES.flatMap(([layers, forks]) => forks.map((fork) => [layers, fork]));
  const wanted = COMPARED.length * places.length;
  const means = Object.keys(MEANS).map((name) => {
    const compared = all.filter((row) => places.some(([layers, fork]) => isAt(row, layers, fork, MEANS[name])));
    if (compared.length !== wanted)
      throw new Error(`${name} has ${compared.length} of ${wanted} runs: run the stage means first`);
    return { name, mean: compared.reduce((sum, { score }) => sum + Number(score), 0) / wanted };
  });
  means.sort((a, b) => b.mean - a.mean);
  for (const { name, mean } of means) console.log(`${mean.toFixed(2)} ${name}`);
  return means.slice(0, 2).map(({ name }) => name);
}

/** Whether a row's run was made with such flags: each as given, the rest as by default. */
function isOf(row, method, flags) {
  const defaults = method === "distill" ? { alpha: "0.5", match: "", transfer: "", init_layers: "depth" } : {};
  const given = {};
  for (let i = 0; i < flags.length; i += 2) {
    const column = OPTIONS.find((name) => `--${FLAGS[name] ?? name}` === flags[i]);
    if (!column) throw new Error(`students.csv has no column for ${flags[i]}`);
    given[column] = flags[i + 1];
  }
  return (
    row.method === method &&
    Object.entries({ ...defaults, ...given }).every(([column, value]) => {
      return row[column] === value || (row[column] !== "" && Number(row[column]) === Number(value));
    })
  );
}

mkdirSync(values.out, { recursive: true });
const wanted = values.stage ? [values.stage] : Object.keys(STAGES);
for (const stage of wanted) {
  if (!STAGES[stage]) throw new Error(`no stage ${stage}: ${Object.keys(STAGES).join(", ")}`);
  await STAGES[stage]();
}
if (!values["dry-run"]) writeTable();
