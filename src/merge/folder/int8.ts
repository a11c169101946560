// What a merged folder's manifest says of its int8 weights: blobs beside those of float32, one for each of them. An int8 blob
// holds all that its part needs, so that who runs int8 reads no float32.

import type { DecidedExits } from "../../exits/exits";
import { scope } from "../../model/parameters";

/** A file under the folder, and the hash of its bytes. */
interface Int8File {
  readonly file: string;
  readonly sha256: string;
}

/** What int8 cost a task, as it was measured when it was made. */
export interface Int8Cost {
  /** The rows: a dev file, a file that was given, "sample texts". */
  readonly source: string;
  readonly rows: number;
  /** Scores, as fractions; null where none was measured. */
  readonly before: number | null;
  readonly after: number | null;
  /** Largest difference of a logit; for values beyond 1, in parts of the value. */
  readonly largest: number;
}

/** What was found of a task's early exits in int8. */
export interface Int8Exits {
  /** Decided on what int8 says of dev rows; null where no threshold holds there what was asked: `why` says it. */
  readonly rule: DecidedExits | null;
  readonly why?: string;
  /** Largest difference of a ramp's logit from float32's, as {@link Int8Cost} counts it. */
  readonly largest: number;
}

export interface Int8Task extends Int8File {
  readonly cost: Int8Cost;
  /** Absent where its texts do not leave early in float32 either. */
  readonly exits?: Int8Exits;
}

/** What a manifest says of its int8 weights. */
export interface Int8Parts {
  readonly embeddings: Int8File;
  readonly trunk: readonly Int8File[];
  readonly tasks: Readonly<Record<string, Int8Task>>;
  /** Weights that are float32 there too, by their names in the model: int8 would have cost a task too much. */
  readonly float32: readonly string[];
  /** Products into whose matrices outliers of their rows were moved. */
  readonly moved: readonly string[];
}

/** The blobs that some of the tasks need: those they share first. */
export function int8BlobsOf(
  { embeddings, trunk, tasks: branches }: Int8Parts,
  tasks: readonly { readonly name: string; readonly fork: number | null }[],
): Int8File[] {
  const depth = Math.max(0, ...tasks.map(({ fork }) => fork ?? 0));
  const shared = tasks.some(({ fork }) => fork !== null) ? [embeddings, ...trunk.slice(0, depth)] : [];
  return [...shared, ...tasks.map(({ name }) => branches[name] as Int8Task)];
}

export const int8Files = ({ embeddings, trunk, tasks }: Int8Parts): Int8File[] => [
  embeddings,
  ...trunk,
  ...Object.values(tasks),
];

/** What a folder holds after a change, as far as it decides which weights there are. */
interface Remaining {
  readonly trunk: readonly Int8File[];
  readonly tasks: readonly { readonly name: string }[];
}

/** The int8 parts of what is left in a folder. */
export function remainingInt8(int8: Int8Parts, contents: Remaining): Int8Parts {
  const kept = (list: readonly string[]) => list.filter((weight) => !weightIsGone(weight, contents));
  return {
    ...int8,
    trunk: int8.trunk.slice(0, contents.trunk.length),
    tasks: Object.fromEntries(contents.tasks.map(({ name }) => [name, int8.tasks[name] as Int8Task])),
    float32: kept(int8.float32),
    moved: kept(int8.moved),
  };
}

/** Whether a weight is of one of these tasks. */
export const weightIsOf = (weight: string, tasks: readonly { readonly name: string }[]): boolean =>
  tasks.some(({ name }) => weight.startsWith(scope(name)));

/** Whether a weight is of no task that is there, and of no layer. */
export function weightIsGone(weight: string, { trunk, tasks }: Remaining): boolean {
  if (weight.startsWith("task/")) return !weightIsOf(weight, tasks);
  const layer = /^bert\.encoder\.layer\.(\d+)\./.exec(weight)?.[1];
  return layer !== undefined && Number(layer) >= trunk.length;
}
