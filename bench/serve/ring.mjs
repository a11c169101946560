// Versions of a merged folder that follow each other in a ring, each unlike the one before in one task: what updates of a running server go
// through. Made once, in a copy of the folder: a second branch of each task, trained on few rows with another seed, then the first again.
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { bin } from "./server.mjs";

const { readServed } = createRequire(import.meta.url)("../../dist/serve/model/served.js");

const flexbert = (...args) => {
  const told = execFileSync(process.execPath, [bin, ...args, "--json", "--quiet"], { maxBuffer: 2 ** 26 });
  return JSON.parse(told);
};

/**
 * @param checkpoints the folder of runs that `merged` was made of
 * @returns the copy, and its versions in turn: which task each changes, and the versions of all tasks in it. In int8 the first may
 *   change another too, where the ring closes: a branch that comes back is quantised anew
 */
export async function ringOf(merged, { checkpoints, glue, out, weights }) {
  const [folder, file] = [path.join(out, "ring"), path.join(out, "ring.json")];
  if (!existsSync(file)) await makeRing(merged, { checkpoints, glue, out, weights }, folder, file);
  const ring = [];
  for (const { version, task } of JSON.parse(readFileSync(file, "utf8"))) {
    const served = await readServed(folder, { version, weights });
    ring.push({ version, task, versions: Object.fromEntries(served.tasks.map((one) => [one.name, one.version])) });
  }
  return { folder, ring };
}

async function makeRing(merged, { checkpoints, glue, out, weights }, folder, file) {
  const { tasks, base } = await readServed(merged, { weights });
  const others = path.join(out, "ring-checkpoints");
  cpSync(merged, folder, { recursive: true });
  for (const { name, layers } of tasks) {
    const few = ["--k", String(layers), "--epochs", "1", "--max-train-samples", "256", "--seed", "2"];
    flexbert("finetune", "--task", name, ...few, "--base", base.name, "--glue-data", glue, "--checkpoints", others);
    console.log(`${name}: a second branch is trained`);
  }
  const ring = [];
  for (const runs of [others, checkpoints]) {
    for (const { name } of tasks) {
      const update = ["--merged", folder, "--task", name, "--checkpoints", runs, "--glue-data", glue];
      const { version } = flexbert("update", ...update);
      ring.push({ version, task: name });
      console.log(`${name}: version ${version}`);
    }
  }
  writeFileSync(file, JSON.stringify(ring));
}
