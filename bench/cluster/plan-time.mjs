// Seconds and memory of `plan`, `jobs collect` and `jobs submit --dry-run` by the number of trials: run folders with records as training
// leaves them, and without weights, are written first; what is submitted has none.
//
//   npm run build && node bench/cluster/plan-time.mjs [--trials 1000,10000,100000] [--folder /tmp/plan-time]
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { showUsage } from "../usage.mjs";
import { tinyProject } from "./tiny-project.mjs";

showUsage(import.meta.url);

const require = createRequire(import.meta.url);
const { openExperiment } = require("../../dist/api/experiment/open.js");
const { callOf } = require("../../dist/api/caller.js");

const { values } = parseArgs({
  options: {
    trials: { type: "string", default: "1000,10000,100000" },
    folder: { type: "string", default: "/tmp/flexbert-plan-time" },
  },
});
const bin = fileURLToPath(new URL("../../bin/flexbert.js", import.meta.url));

/** Records of all trials as if they were finished. */
async function pretend(file) {
  const none = { from: undefined, only: undefined, trial: undefined, shard: undefined, force: false, cacheBudget: 0 };
  const opened = await openExperiment(
    file,
    { ...none, glueData: "glue-data", out: "results/tiny" },
    callOf({}),
    null,
    false,
  );
  for (const spec of opened.resolver.trials) {
    const { trial } = await opened.resolver.resolve(spec);
    const score = ((spec.index * 7919) % 1000) / 1000;
    const now = new Date(0).toISOString();
    const done = {
      state: "finished",
      score,
      metrics: { accuracy: score },
      bestEpoch: 0,
      steps: 2,
      sha256: "0".repeat(64),
    };
    const record = { ...trial.record, ...done, engine: "none", threads: 1, startedAt: now, finishedAt: now };
    mkdirSync(trial.folder, { recursive: true });
    writeFileSync(path.join(trial.folder, "run.json"), JSON.stringify(record, null, 2));
  }
}

function timed(words) {
  const script = `
    process.on("exit", () => process.stderr.write("RSS " + process.resourceUsage().maxRSS + "\\n"));
    require(${JSON.stringify(bin)});`;
  const began = performance.now();
  const { status, stderr } = spawnSync(process.execPath, ["-e", script, "flexbert", ...words], {
    encoding: "utf8",
    stdio: ["ignore", "ignore", "pipe"],
    maxBuffer: 2 ** 28,
  });
  const seconds = (performance.now() - began) / 1000;
  const megabytes = Number(/RSS (\d+)/.exec(stderr)?.[1]) / 1000;
  if (status !== 0) throw new Error(`${words.join(" ")}: ${status}: ${stderr.slice(-2000)}`);
  return `${seconds.toFixed(1)} s ${megabytes.toFixed(0)} MB`;
}

process.stdout.write("trials   plan            plan --json     jobs collect    jobs submit --dry-run\n");
for (const trials of values.trials.split(",").map(Number)) {
  rmSync(values.folder, { recursive: true, force: true });
  mkdirSync(values.folder, { recursive: true });
  process.chdir(values.folder);
  await tinyProject(values.folder, trials);
  await pretend("tiny.yaml");
  const cells = [
    ["plan", "tiny.yaml"],
    ["plan", "tiny.yaml", "--json"],
    ["jobs", "collect", "tiny.yaml"],
    ["jobs", "submit", "tiny.yaml", "--on", "slurm", "--dry-run", "--out", "none"],
  ].map(timed);
  process.stdout.write(`${String(trials).padEnd(9)}${cells.map((cell) => cell.padEnd(16)).join("")}\n`);
}
process.chdir("/");
rmSync(values.folder, { recursive: true, force: true });
