// Experiments on a real Slurm against one plain run each: while jobs run one trial is killed, one queued again, one cancelled and
// the node's daemon restarted; what is left is submitted again. Then scores, weights, metrics, choices, selection, blobs
// and trials.csv are compared byte for byte. As root, with Debian's slurm-wlm and munge, and MiniLM in the cache.
//
//   npm run build && node bench/cluster/compare.mjs [--only smoke|minilm] [--folder /tmp/flexbert-compare]
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { showUsage } from "../usage.mjs";

showUsage(import.meta.url);

const { values } = parseArgs({
  options: { only: { type: "string" }, folder: { type: "string", default: "/tmp/flexbert-compare" } },
});
const root = fileURLToPath(new URL("../..", import.meta.url));
const folder = path.resolve(values.folder);
const slurm = path.join(folder, "slurm");
const script = path.join(root, "bench/cluster/slurm.sh");
const say = (text) => process.stdout.write(`${text}\n`);

// One job a trial, so that there is something to kill, queue and cancel; both share trunks through the node's disk.
const jobs = `jobs: { cpus: 1, memory: 1500MB, engine: onnx, pack: 1, save_every: 2, node_cache: ${folder}/node, slurm: { time: 30m } }\n`;
const sample = path.join(root, "glue-data/sample/tasks.yaml");
const smoke = readFileSync(path.join(root, "experiments/smoke.yaml"), "utf8").replace(
  "../glue-data/sample/tasks.yaml",
  sample,
);
const minilm = `base: sentence-transformers/all-MiniLM-L6-v2
tasks_file: ${sample}
tasks: [sample-sentiment, sample-similarity, sample-intent]
max_train_samples: 64
max_eval_samples: 64
max_length: 64
batch_size: 16
seeds: 2
finetune: { k: 1-3, learning_rate: 3e-4, epochs: 2 }
distill: { student_layers: 1, learning_rate: 1e-3, epochs: 2 }
select: { threshold: 1.0 }
merge: true
report: true
`;

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
execFileSync(script, ["up", slurm, String(process.pid)], { stdio: ["ignore", "ignore", "inherit"] });
const env = { ...process.env, SLURM_CONF: path.join(slurm, "slurm.conf") };
const ask = (program, ...args) => execFileSync(program, args, { env, encoding: "utf8" });
const queue = () =>
  ask("squeue", "--array", "--noheader", "--format=%F|%K|%T|%i")
    .split("\n")
    .filter(Boolean)
    .map((line) => line.split("|"));

const flexbert = (words, codes = [0]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(root, "bin/flexbert.js"), ...words], {
    ...{ cwd: folder, env, encoding: "utf8", maxBuffer: 2 ** 28 },
  });
  if (!codes.includes(status)) throw new Error(`flexbert ${words.join(" ")}: ${status}\n${stderr}`);
  return stdout;
};
const until = async (what, condition) => {
  for (const began = Date.now(); !condition(); await sleep(100)) {
    if (Date.now() - began > 1_800_000) throw new Error(`half an hour without: ${what}`);
  }
};

/** Everything that a run leaves and that says nothing of times, processes and machines. */
function kept(out) {
  const files = readdirSync(path.join(folder, out), { recursive: true }).filter((name) =>
    /(model\.safetensors|metrics\.jsonl|trials\.csv|scores\.csv|selection\.json|manifests\/\w+\.json|blobs\/[^/]+)$/.test(
      name,
    ),
  );
  const hash = (name) =>
    createHash("sha256")
      .update(readFileSync(path.join(folder, out, name)))
      .digest("hex");
  return new Map(files.sort().map((name) => [name, hash(name)]));
}

/** Locks of trials that a process has now: its id, and which it is. */
function running(out) {
  const tasks = path.join(folder, out, "checkpoints");
  const files = existsSync(tasks) ? readdirSync(tasks, { recursive: true }) : [];
  return files
    .filter((name) => /-seed\d+-\w+\/\.flexbert\.lock$/.test(name))
    .flatMap((name) => {
      try {
        const { pid, purpose } = JSON.parse(readFileSync(path.join(tasks, name), "utf8"));
        return [{ pid, trial: Number(/trial (\d+)/.exec(purpose)?.[1]) }];
      } catch {
        return []; // it has just been unlocked
      }
    });
}

async function compare(name, text) {
  const file = `${name}.yaml`;
  writeFileSync(path.join(folder, file), text + jobs);
  const began = performance.now();
  flexbert(["run", file, "--out", `${name}-plain`, "--engine", "onnx", "--threads", "1", "--quiet"]);
  const plain = performance.now();
  const out = `${name}-slurm`;
  const { stages, trials } = JSON.parse(flexbert(["jobs", "submit", file, "--on", "slurm", "--out", out, "--json"]));
  const [{ id }] = stages;
  await until("two trials at once", () => running(out).length === 2);
  const [first, second] = running(out);
  process.kill(first.pid, "SIGKILL");
  const waiting = queue().filter(([array, , state]) => array === id && state === "PENDING");
  const cancelled = waiting.at(-1)?.[1];
  ask("scancel", `${id}_${cancelled}`);
  ask("scontrol", "requeue", `${id}_${second.trial}`);
  const again = () =>
    queue().some(([array, task, state]) => array === id && task === String(second.trial) && state === "PENDING");
  await until("the trial queued again", again);
  ask("scontrol", "release", `${id}_${second.trial}`);
  ask("scontrol", "update", `jobid=${id}_${second.trial}`, "starttime=now+3seconds");
  execFileSync(script, ["restart", slurm], { stdio: ["ignore", "ignore", "inherit"] });
  say(
    `${name}: ${trials} trials; ${first.trial} killed, ${second.trial} queued again, ${cancelled} cancelled, slurmd restarted`,
  );
  await until("an empty queue", () => queue().length === 0);
  const { missing } = JSON.parse(flexbert(["jobs", "collect", file, "--out", out, "--json"], [4]));
  say(`${name}: missing then: ${missing.map(({ index }) => index).join(", ")}`);
  const next = JSON.parse(flexbert(["jobs", "submit", file, "--on", "slurm", "--out", out, "--json"]));
  await until("an empty queue", () => queue().length === 0);
  flexbert(["jobs", "collect", file, "--out", out]);
  const ended = performance.now();
  const [here, there] = [kept(`${name}-plain`), kept(out)];
  const differ = [...new Set([...here.keys(), ...there.keys()])].filter((one) => here.get(one) !== there.get(one));
  const logs = readdirSync(path.join(folder, out, "jobs"), { recursive: true }).filter((one) => one.endsWith(".log"));
  const told = logs.map((one) => readFileSync(path.join(folder, out, "jobs", one), "utf8")).join("");
  say(
    `${name}: ${next.trials} trials submitted again; ${here.size} files compared, ${differ.length} differ${differ.map((one) => `\n  ${one}`).join("")}\n` +
      `${name}: plain run ${((plain - began) / 1000).toFixed(0)} s, Slurm ${((ended - plain) / 1000).toFixed(0)} s; trunks read from others ` +
      `${told.match(/are another process's/g)?.length ?? 0} times`,
  );
  return differ.length === 0;
}

let same = true;
try {
  for (const [name, text] of Object.entries({ smoke, minilm })) {
    if (values.only === undefined || values.only === name) same = (await compare(name, text)) && same;
  }
} finally {
  execFileSync(script, ["down", slurm], { stdio: ["ignore", "ignore", "inherit"] });
}
if (same) rmSync(folder, { recursive: true, force: true });
process.exitCode = same ? 0 : 1;
