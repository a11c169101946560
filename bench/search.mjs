// The price of the search: whole sweeps of k (and students) on MiniLM against one conventional full fine-tuning of
// each task, both for four epochs. One epoch of each is timed, on both sides in turn; the trunk counts once, the epochs
// four times. With --share only that part of the train rows is run, and the train part of an epoch is scaled up.
//
//   npm run build && flexbert pull sentence-transformers/all-MiniLM-L6-v2
//   node bench/search.mjs [--glue ../shared/data/glue] [--share 1] [--rounds 2] [--scores CHECKPOINTS] [--out FILE.json]
//
// --scores names the checkpoints of whole sweeps (all epochs): what halving would have stopped there is counted from
// their scores. A task whose sweep is not there counts with the most that the rule can leave.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { writeRows } from "./peers/rows.mjs";
import { showUsage } from "./usage.mjs";

const require = createRequire(import.meta.url);
const { cachedFolder } = require("../dist/files/cache.js");
const { readSplit } = require("../dist/data/read-split.js");
const { knownTasks, resolveTasks } = require("../dist/tasks/registry.js");
const { halvedWork, replayHalving } = require("../dist/recipes/halving/rule.js");

showUsage(import.meta.url);

const EPOCHS = 4;
const BASE = "sentence-transformers/all-MiniLM-L6-v2";
const limits = { sst2: 10_000 };
const ks = [1, 2, 3, 4, 5, 6];

const { values } = parseArgs({
  options: {
    glue: { type: "string", default: "../shared/data/glue" },
    tasks: { type: "string", default: "rte,mrpc,stsb,cola,sst2" },
    share: { type: "string", default: "1" },
    rounds: { type: "string", default: "2" },
    engine: { type: "string", default: "onnx" },
    threads: { type: "string", default: String(os.availableParallelism()) },
    venv: { type: "string", default: "bench-out/venv" },
    scores: { type: "string" },
    out: { type: "string" },
  },
});
const folder = path.dirname(new URL(import.meta.url).pathname);
const work = mkdtempSync(path.join(os.tmpdir(), "flexbert-search-"));
process.on("exit", () => rmSync(work, { recursive: true, force: true }));
execFileSync(path.join(folder, "peers/setup.sh"), [values.venv], { stdio: "inherit" });

const seconds = (ms) => ms / 1000;
function timed(command, args) {
  const started = performance.now();
  const output = execFileSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], maxBuffer: 1e9 });
  return { wall: seconds(performance.now() - started), output };
}
const flexbert = (args) => timed(process.execPath, [path.join(folder, "../bin/flexbert.js"), ...args]);
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

/** Every run.json below a folder. */
const records = (checkpoints) =>
  readdirSync(checkpoints, { recursive: true })
    .filter((file) => path.basename(file) === "run.json")
    .map((file) => ({
      ...JSON.parse(readFileSync(path.join(checkpoints, file), "utf8")),
      folder: path.join(checkpoints, path.dirname(file)),
    }));

/** Whole cost of four epochs of one trial, from a run of one epoch on a share of the rows. */
function trialSeconds({ seconds: all, compiled, cost }, scale) {
  const compile = compiled?.seconds ?? 0;
  // A train token costs three forward passes of a dev token: forward, and the gradients of operands and weights.
  const [train, dev] = [3 * cost.trainTokens.bucketed, cost.devTokens];
  return { compile, epoch: ((all - compile) * (train * scale + dev)) / (train + dev) };
}

/** One round of a task: our sweep and students, then the peer's full fine-tuning. */
async function round(name, rows, all) {
  const scale = all / rows;
  const checkpoints = path.join(work, "checkpoints");
  const common = ["--task", name, "--base", BASE, "--glue-data", values.glue, "--checkpoints", checkpoints, "--json"];
  const options = ["--epochs", "1", "--learning-rate", "1e-4", "--max-train-samples", String(rows), "--quiet"];
  const engine = ["--engine", values.engine, "--threads", values.threads];
  const measured = (args) => {
    const before = new Set(existing(checkpoints).map((record) => record.folder));
    const { wall } = flexbert([...args, ...common, ...options, ...engine]);
    const made = existing(checkpoints).filter((record) => !before.has(record.folder));
    const trials = made.map((record) => ({ layers: record.layers, ...trialSeconds(record, scale), record }));
    const trunk = sum(made.map(({ cost }) => cost.trunk?.seconds ?? 0));
    const { trainTokens, devTokens } = made[0].cost;
    const trunkScale = (trainTokens.own * scale + devTokens) / (trainTokens.own + devTokens);
    const other = wall - trunk - sum(made.map((record) => record.seconds));
    return { wall, other, trunk: trunk * trunkScale, trials, tokens: trainTokens };
  };
  const sweep = measured(["finetune", "--k", ks.join(",")]);
  // Students of the largest teacher, which costs most to ask; a sweep of one epoch on a share of the rows chooses any.
  for (const { layers, folder: run } of existing(checkpoints)) {
    if (layers !== Math.max(...ks)) rmSync(run, { recursive: true });
  }
  const students = measured(["distill", "--student-layers", "1,2"]);
  rmSync(checkpoints, { recursive: true });
  const file = path.join(work, "rows.jsonl");
  const { output } = timed(path.join(values.venv, "bin/python"), [
    path.join(folder, "peers/full_finetune.py"),
    cachedFolder(BASE),
    file,
    values.threads,
  ]);
  const peer = JSON.parse(output.trim().split("\n").at(-1));
  return { sweep, students, peer: { epoch: peer.train * scale + peer.eval } };
}
const existing = (checkpoints) => {
  try {
    return records(checkpoints);
  } catch {
    return [];
  }
};

const cost = ({ other, trunk, trials }, epochsOf = () => EPOCHS) =>
  other + trunk + sum(trials.map(({ layers, compile, epoch }) => compile + epochsOf(layers) * epoch));

/** Epochs of each k under halving, by the scores of a whole sweep; the most that the rule can leave without one. */
function halvedSeconds({ name, metric }, sweep) {
  const runs = values.scores
    ? existing(values.scores).filter(({ task, method }) => task === name && method === "finetune")
    : [];
  const arms = runs.map((run) => ({ layers: run.layers, scores: [devScores(run, metric)] }));
  const least = cost(sweep, () => 0);
  if (arms.length < ks.length) {
    return {
      seconds:
        least +
        halvedWork(
          sweep.trials.map(({ epoch }) => epoch),
          EPOCHS,
        ).most,
      stops: null,
    };
  }
  const { chosen, stops } = replayHalving(arms, EPOCHS, "max");
  // A k that goes on is compiled again at each rung.
  const again = sum(
    sweep.trials.map(({ layers, compile }) => compile * [1, 2].filter((e) => e < (stops.get(layers) ?? EPOCHS)).length),
  );
  return { seconds: cost(sweep, (k) => stops.get(k) ?? EPOCHS) + again, stops: [...stops], chosen };
}

function devScores({ folder: run }, metric) {
  return readFileSync(path.join(run, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
    .filter(({ dev }) => dev !== undefined)
    .map(({ dev }) => dev[metric]);
}

console.log(
  `${os.cpus()[0]?.model}, ${values.threads} threads, Node ${process.version}, load ${os.loadavg()[0]?.toFixed(1)}`,
);
const names = values.tasks.split(",");
const tasks = resolveTasks(values.tasks, knownTasks([]));
const best = new Map();
for (let turn = 0; turn < Number(values.rounds); turn++) {
  for (const name of names) {
    const task = tasks.find((one) => one.name === name);
    const { examples } = await readSplit(task, "train", { glueData: values.glue, skipBroken: true });
    const all = Math.min(examples.length, limits[name] ?? Number.POSITIVE_INFINITY);
    const rows = Math.max(32, Math.round((all * Number(values.share)) / 32) * 32);
    await writeRows(path.join(work, "rows.jsonl"), task, { glueData: values.glue, maxTrainRows: Math.min(all, rows) });
    const result = await round(name, Math.min(all, rows), all);
    const ours = cost(result.sweep);
    const both = ours + cost(result.students);
    const halved = halvedSeconds(task, result.sweep);
    const peer = EPOCHS * result.peer.epoch;
    console.log(
      `${name} (round ${turn + 1}, ${rows} of ${all} rows): sweep ${ours.toFixed(0)} s (trunk ${result.sweep.trunk.toFixed(0)} s, ` +
        `compiling ${sum(result.sweep.trials.map(({ compile }) => compile)).toFixed(1)} s), halved ${halved.seconds.toFixed(0)} s, ` +
        `with students ${both.toFixed(0)} s; PyTorch ${peer.toFixed(0)} s; ratio ${(ours / peer).toFixed(2)}`,
    );
    const known = best.get(name);
    const entry = {
      ours,
      both,
      halved: halved.seconds,
      peer,
      trunk: result.sweep.trunk,
      stops: halved.stops,
      chosen: halved.chosen,
      tokens: result.sweep.tokens,
    };
    if (!known) best.set(name, entry);
    else for (const key of ["ours", "both", "halved", "peer", "trunk"]) known[key] = Math.min(known[key], entry[key]);
  }
}
const total = (key) => sum([...best.values()].map((entry) => entry[key]));
const ratio = (key) => (total(key) / total("peer")).toFixed(3);
const padded =
  sum([...best.values()].map(({ tokens }) => tokens.maxLength)) /
  sum([...best.values()].map(({ tokens }) => tokens.bucketed));
// Without the cache every trial runs the layers under it in every epoch; with it all layers run once.
const passes = (EPOCHS * sum(ks.map((k) => Math.max(...ks) - k))) / Math.max(...ks);
const uncached = (passes - 1) * total("trunk");
console.log(
  `best of ${values.rounds}: PyTorch ${total("peer").toFixed(0)} s; sweeps ${total("ours").toFixed(0)} s, ratio ${ratio("ours")}; ` +
    `with halving ${total("halved").toFixed(0)} s, ratio ${ratio("halved")}; with students l = 1, 2 ${total("both").toFixed(0)} s, ` +
    `ratio ${ratio("both")}. Padding to 128 would be ${padded.toFixed(2)} times the tokens; without the cache the frozen layers would take ${uncached.toFixed(0)} s more.`,
);
if (values.out)
  writeFileSync(values.out, `${JSON.stringify({ share: values.share, tasks: Object.fromEntries(best) }, null, 2)}\n`);
