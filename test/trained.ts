// Three tiny tasks that are trained, each with a fork of its own: what tests of merging and of exports begin with.

import path from "node:path";
import type { Base } from "../src/checkpoints/bases/base";
import { writeBase } from "../src/checkpoints/bases/random-base";
import type { StoredRun } from "../src/checkpoints/runs/run-folder";
import { openEngine } from "../src/engines/open";
import { cachedFolder } from "../src/files/cache";
import type { Selection } from "../src/merge/merge";
import { placeOf } from "../src/model/place";
import type { K } from "../src/options/layers";
import type { Task } from "../src/tasks/task";
import { finetune } from "./sweeps";
import { quietContext, tinyRun, tinyTasks, tinyTraining, writeTinyGlue } from "./tiny";

/** Of a base with four layers: three shared, and three, one and two of the tasks' own. */
export const tinyForks: Readonly<Record<string, number>> = { sst2: 1, rte: 3, stsb: 2 };

/** One epoch on the eager engine. */
export async function trainTiny(
  folder: string,
  base: Base,
  task: Task,
  k: K = base.config.numHiddenLayers - (tinyForks[task.name] as number),
): Promise<StoredRun> {
  const { engine } = await openEngine("wasm", {});
  const training = { ...tinyTraining, epochs: 1 };
  const places = [placeOf(base.config.numHiddenLayers, k)];
  const request = { task, base, places, seeds: [1], training, run: tinyRun(folder) };
  return (await finetune(request, quietContext(engine).context))[0] as StoredRun;
}

/** Makes `folder`'s cache the process's, with the base in it, GLUE's data beside it, and a run of each task. */
export async function trainTinyTasks(folder: string, base: Base): Promise<Selection[]> {
  process.env["FLEXBERT_CACHE"] = path.join(folder, "cache");
  writeTinyGlue(path.join(folder, "glue"));
  await writeBase(base, cachedFolder(base.name));
  const selections: Selection[] = [];
  for (const task of tinyTasks) selections.push({ task, run: await trainTiny(folder, base, task) });
  return selections;
}

/** The three tasks, and rte a second time by another run. */
export async function trainTinyTwice(folder: string, base: Base) {
  const [sst2, rte, stsb] = (await trainTinyTasks(folder, base)) as [Selection, Selection, Selection];
  const other: Selection = { task: rte.task, run: await trainTiny(folder, base, rte.task, 2) };
  return { sst2, rte, stsb, other };
}
