// config.yaml of a run folder: keys as --config takes them, so that the file makes this one run again.

import type { BaseOutline } from "../checkpoints/bases/base";
import { cachedFolder } from "../files/cache";
import type { DataOptions } from "../settings/tasks";
import type { Task } from "../tasks/task";

/** @param own what the run's method adds, by the names of its options; null and undefined are left out */
export function configFile(
  task: Task,
  base: BaseOutline,
  rows: Omit<DataOptions, "glueData">,
  own: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const values = {
    task: task.name,
    tasks: task.definedIn,
    // A base outside the cache is found again by its folder alone.
    base: base.folder === cachedFolder(base.name) ? base.name : base.folder || base.name,
    lowerCase: base.lowerCase,
    ...(task.labelsFrom ? { labels: task.labels } : {}),
    ...own,
    ...(rows.maxTrainSamples === undefined ? {} : { maxTrainSamples: rows.maxTrainSamples }),
    ...(rows.maxEvalSamples === undefined ? {} : { maxEvalSamples: rows.maxEvalSamples }),
    ...(rows.skipBrokenRows ? { skipBrokenRows: true } : {}),
    ...(rows.maxBrokenRows === undefined ? {} : { maxBrokenRows: rows.maxBrokenRows }),
  };
  const snakeCase = (key: string) => key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  const given = Object.entries(values).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(given.map(([key, value]) => [snakeCase(key), value]));
}
