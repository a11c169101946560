// Exports that have a folder a task: trunk and branch together, as if the task had been trained alone. One task that was
// asked for by name is the folder itself.

import path from "node:path";
import type { OpenModelFile } from "../engines/model-file";
import type { MergedTask } from "../merge/folder/manifest";
import { scope } from "../model/parameters";
import type { HostTensors } from "../model/tensors";
import { type CheckTools, checkModel, type ModelCheck } from "./check/model-check";
import type { ExportSource } from "./format";

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

/** The layers that the task runs. */
export const taskDepth = ({ fork, layers }: MergedTask): number => (fork ?? 0) + layers;

/**
 * Every task's folder against the source.
 * @param file within a task's folder, what the runtime opens; "." for the folder
 */
export async function checkTaskFolders(
  source: ExportSource,
  places: { readonly folder: string; readonly out: string; readonly file: string; readonly runtime: string },
  tools: CheckTools,
  openerOf: (task: MergedTask) => OpenModelFile,
): Promise<ModelCheck> {
  const { manifest, config, tokenizer } = source;
  const checks: ModelCheck[] = [];
  for (const task of manifest.tasks) {
    const own = path.join(taskFolder(source, task), places.file);
    const checked = {
      path: path.join(places.folder, own),
      name: path.join(places.out, own),
      runtime: places.runtime,
      advice: "Nothing was left there. Please report it",
      tasks: [task],
      config,
      tokenizer,
      tensorsOf: (wanted: MergedTask) => source.readTensors([wanted]),
    };
    checks.push(await checkModel(checked, { ...tools, open: openerOf(task) }));
  }
  const [first] = checks as [ModelCheck];
  return {
    ...first,
    largestDifference: Math.max(...checks.map(({ largestDifference }) => largestDifference)),
    batches: checks.flatMap(({ batches }) => batches),
    tasks: checks.flatMap(({ tasks }) => tasks),
  };
}
