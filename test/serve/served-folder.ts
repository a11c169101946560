// A tiny merged folder as a server finds it, and the ways in which it changes under one.

import path from "node:path";
import { openEngine } from "../../src/engines/open";
import { readState } from "../../src/merge/folder/pointer";
import { merge, type Selection } from "../../src/merge/merge";
import type { Reporter } from "../../src/messages/reporter";
import { placeOf } from "../../src/model/place";
import type { Task } from "../../src/tasks/task";
import { readJson, storeManifest } from "../merged";
import { finetune } from "../sweeps";
import { quietContext, tinyBase, tinyRun, tinyTasks, tinyTraining } from "../tiny";
import { trainTinyTasks } from "../trained";

export const base = tinyBase("tiny-served", { hidden: 32 });
export const taskOf = (name: string) => tinyTasks.find((task) => task.name === name) as Task;

export interface ServedFolder {
  readonly merged: string;
  /** Of sst2, stsb and rte, which fork at the layers 1, 2 and 3. */
  readonly first: string;
  /** The same with another branch of rte, at the same fork. */
  readonly second: string;
}

/** Trains and merges it; the cache is the folder's own from then on. */
export async function makeServedFolder(folder: string): Promise<ServedFolder> {
  const selections = await trainTinyTasks(folder, base);
  const merged = path.join(folder, "merged");
  const into = async (chosen: readonly Selection[]) => {
    await merge({ out: merged, base, selections: [...chosen], allowUnshared: false, onnx: null });
    return (await readState(merged)).pointer.current;
  };
  const first = await into(selections);
  const { engine } = await openEngine("wasm", {});
  const training = { ...tinyTraining, epochs: 1 };
  const places = [placeOf(base.config.numHiddenLayers, 1)];
  const request = { task: taskOf("rte"), base, places, seeds: [2], training, run: tinyRun(folder) };
  const [run] = await finetune(request, quietContext(engine).context);
  const second = await into([{ task: taskOf("rte"), run: run as Selection["run"] }]);
  return { merged, first, second };
}

/** A version of the same bytes under another id, as many as are asked for. */
export function storeTwin(merged: string, version: string, note: number): string {
  const manifest = readJson(path.join(merged, "manifests", `${version}.json`));
  return storeManifest(merged, { ...manifest, twin: note });
}

export const storedVersion = (merged: string, version: string) =>
  readJson(path.join(merged, "manifests", `${version}.json`));

/** A reporter that keeps what it hears. */
export function hearing(): { readonly reporter: Reporter; readonly lines: string[] } {
  const lines: string[] = [];
  const reporter: Reporter = {
    log: (line) => void lines.push(line),
    warn: (line) => void lines.push(`warning: ${line}`),
    progress: () => ({ advance: () => undefined, end: () => undefined }),
  };
  return { reporter, lines };
}
