// Exports that have a folder a task: trunk and branch together, as if the task had been trained alone. One task that was
// asked for by name is the folder itself.

import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import type { OpenModelFile } from "../engines/model-file";
import { modelError } from "../errors/errors";
import type { MergedTask } from "../merge/folder/manifest";
import { staysBeside } from "../model/adapters/adapters";
import { scope } from "../model/parameters";
import type { HostTensors } from "../model/tensors";
import { checkExport, type ExportedModel } from "./check/check-export";
import type { CheckTools, ModelCheck } from "./check/model-check";
import type { ExportSource } from "./format";
import { jsonFile } from "./sidecars";
import { type Files, writeFiles } from "./target";

/** Which folder is whose task's. */
const LIST = "tasks.json";

/** The folder of a task within the export. */
export const taskFolder = ({ alone }: ExportSource, { name }: MergedTask): string => (alone ? "." : name);

/** Every tensor that the task needs, under Hugging Face's names: layers 0 to fork of the trunk, then its own. */
export async function taskTensors({ readTensors }: ExportSource, task: MergedTask): Promise<HostTensors> {
  const tensors = await readTensors([task]);
  const prefix = scope(task.name);
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]) => [
      name.startsWith(prefix) ? name.slice(prefix.length) : name,
      tensor,
    ]),
  );
}

/** Throws modelError (4) for tasks whose adapters stay beside their layers: transformers' classes, which read such folders, have none. */
export function requireClassTensors({ manifest }: ExportSource): void {
  const other = manifest.tasks.find(({ adapter }) => adapter && staysBeside(adapter.method));
  if (!other?.adapter) return;
  throw modelError(
    `${other.name} has adapters (${other.adapter.method}), which transformers' classes do not know: they would leave them out. ` +
      "Export onnx, saved-model or tfjs, or name other tasks with --task",
  );
}

/** The layers that the task runs. */
export const taskDepth = ({ fork, layers }: MergedTask): number => (fork ?? 0) + layers;

/** Whether a folder is one task's, or holds tasks' folders and nothing of another format. @param isOne of a task's folder */
export function areTaskFolders(folder: string, isOne: (folder: string) => boolean): boolean {
  if (isOne(folder)) return true;
  if (!existsSync(path.join(folder, LIST))) return false;
  const others = readdirSync(folder).filter((name) => name !== LIST);
  return others.length > 0 && others.every((name) => isOne(path.join(folder, name)));
}

/** Every task's folder, and where there are several, which is whose. */
export async function writeTaskFolders(
  folder: string,
  source: ExportSource,
  filesOf: (task: MergedTask) => Promise<Files>,
): Promise<void> {
  const places = source.manifest.tasks.map((task) => ({ task, folder: taskFolder(source, task) }));
  for (const place of places) await writeFiles(path.join(folder, place.folder), await filesOf(place.task));
  if (source.alone) return;
  const list = places.map(({ task, folder: own }) => ({ task: task.name, folder: own }));
  await writeFiles(folder, { [LIST]: jsonFile(list) });
}

/**
 * Every task's folder against the source.
 * @param file within a task's folder, what the runtime opens; "." for the folder
 */
export async function checkTaskFolders(
  source: ExportSource,
  places: ExportedModel,
  tools: CheckTools,
  openerOf: (task: MergedTask) => OpenModelFile,
): Promise<ModelCheck> {
  const checks: ModelCheck[] = [];
  for (const task of source.manifest.tasks) {
    const model = { ...places, file: path.join(taskFolder(source, task), places.file) };
    checks.push(await checkExport(source, model, [task], { ...tools, open: openerOf(task) }));
  }
  const [first] = checks as [ModelCheck];
  return {
    ...first,
    largestDifference: Math.max(...checks.map(({ largestDifference }) => largestDifference)),
    batches: checks.flatMap(({ batches }) => batches),
    tasks: checks.flatMap(({ tasks }) => tasks),
  };
}
