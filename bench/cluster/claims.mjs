// Two processes that share tiny trials on one folder and are killed at random, again and again: each result exactly once.
// A finished record never changes again, no trial has two folders, and the table and weights are those of one process.
//
//   npm run build && node bench/cluster/claims.mjs [--trials 1000] [--folder /tmp/claims] [--seed 1] [--life 8]
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { showUsage } from "../usage.mjs";
import { tinyProject } from "./tiny-project.mjs";

showUsage(import.meta.url);

const { values } = parseArgs({
  options: {
    trials: { type: "string", default: "1000" },
    folder: { type: "string", default: "/tmp/flexbert-claims" },
    seed: { type: "string", default: "1" },
    life: { type: "string", default: "8" },
  },
});
const { folder } = values;
const bin = fileURLToPath(new URL("../../bin/flexbert.js", import.meta.url));
mkdirSync(folder, { recursive: true });
await tinyProject(folder, Number(values.trials));

/** Numbers between 0 and 1 that a seed decides. */
let state = Number(values.seed);
const drawn = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};

const args = (out) => [bin, "run", "tiny.yaml", "--out", out, "--engine", "wasm", "--threads", "1", "--quiet"];
const hash = (file) => createHash("sha256").update(readFileSync(file)).digest("hex");
const runs = (out) => {
  const root = path.join(folder, out, "checkpoints/tiny/sst2/finetune");
  return existsSync(root) ? readdirSync(root).map((name) => path.join(root, name)) : [];
};
const finished = (out) => {
  const records = runs(out).map((run) => path.join(run, "run.json"));
  return records.filter((file) => existsSync(file) && JSON.parse(readFileSync(file, "utf8")).state === "finished");
};

const first = new Map();
let [kills, starts, changed] = [0, 0, 0];
async function keepGoing() {
  for (;;) {
    const child = spawn(process.execPath, args("killed"), { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
    starts++;
    const ended = new Promise((resolve) => child.once("close", (code) => resolve(code)));
    const life = Number(values.life) * (0.3 + drawn());
    const code = await Promise.race([ended, sleep(life * 1000, "alive")]);
    if (code === 0) return;
    if (code !== "alive") throw new Error(`a process ended with ${code}`);
    if (child.kill("SIGKILL")) kills++;
    await ended;
    for (const file of finished("killed")) {
      const now = hash(file);
      if ((first.get(file) ?? now) !== now) changed++;
      first.set(file, now);
    }
  }
}

const began = performance.now();
await Promise.all([keepGoing(), keepGoing()]);
const seconds = (performance.now() - began) / 1000;
for (const [file, before] of first) if (hash(file) !== before) changed++;
const alone = spawnSync(process.execPath, args("alone"), { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
if (alone.status !== 0) throw new Error(`one process ended with ${alone.status}`);
const same = (name) =>
  runs("alone").filter((run) => {
    const other = path.join(folder, "killed", path.relative(path.join(folder, "alone"), run), name);
    return existsSync(other) && hash(other) === hash(path.join(run, name));
  }).length;
process.stdout.write(
  `${finished("killed").length} of ${values.trials} trials finished in ${runs("killed").length} folders, ${seconds.toFixed(0)} s\n` +
    `${starts} processes, ${kills} of them killed; finished records that changed: ${changed}\n` +
    `as one process has them: ${same("model.safetensors")} weights, ${same("metrics.jsonl")} metrics; ` +
    `trials.csv ${hash(path.join(folder, "killed/trials.csv")) === hash(path.join(folder, "alone/trials.csv")) ? "the same" : "DIFFERS"}\n`,
);
