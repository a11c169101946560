// The int8 weights of a merged folder: blobs beside those of float32, one for each of them that the onnx engine would read. An
// int8 blob holds all that its part needs, so that who runs int8 reads no float32.

import { readFile } from "node:fs/promises";
import { readSafetensorsHeader } from "../../checkpoints/formats/safetensors-header";
import type { HeldInt8 } from "../../compile/onnx/packed";
import { fromStored, type StoredPart, toStored } from "../../compile/onnx/stored";
import { modelError, oneLine } from "../../errors/errors";
import { scope, scoped } from "../../model/parameters";
import type { HostTensor } from "../../model/tensors";
import { checkBlob, type OnCreated, writeBlob } from "./blobs";
import type { Blob } from "./manifest";

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

export interface Int8Task extends Blob {
  readonly cost: Int8Cost;
}

/** What a manifest says of its int8 weights. */
export interface Int8Parts {
  readonly embeddings: Blob;
  readonly trunk: readonly Blob[];
  readonly tasks: Readonly<Record<string, Int8Task>>;
  /** Weights that are float32 there too, by their names in the model: int8 would have cost a task too much. */
  readonly float32: readonly string[];
  /** Products into whose matrices outliers of their rows were moved. */
  readonly moved: readonly string[];
}

/** A model's weights with int8 ones among them. */
export type PackedWeights = Record<string, HostTensor | HeldInt8>;

/** @param name of the float32 blob's part: "embeddings", "rte" */
export const writeInt8Blob = (out: string, name: string, weights: PackedWeights, onCreated: OnCreated): Promise<Blob> =>
  writeBlob(out, `${name}-int8`, toStored(weights), { form: "int8" }, onCreated);

/** The weights of a blob. Throws modelError (4) where it is missing or has other bytes. */
export async function readInt8Blob(folder: string, blob: Blob): Promise<PackedWeights> {
  const file = await checkBlob(folder, blob);
  const { tensors } = await readSafetensorsHeader(file);
  const bytes = await readFile(file);
  const parts = [...tensors].map(([name, { dtype, shape, position, bytes: size }]) => {
    const own = bytes.buffer.slice(bytes.byteOffset + position, bytes.byteOffset + position + size) as ArrayBuffer;
    if (dtype !== "F32" && dtype !== "I8") throw modelError(`${file}: ${name} has the dtype ${dtype}. Quantize again`);
    return [name, { shape, data: dtype === "I8" ? new Int8Array(own) : new Float32Array(own) }] as const;
  });
  try {
    return fromStored(new Map<string, StoredPart<Float32Array | Int8Array>>(parts));
  } catch (error) {
    throw modelError(`${file} is no blob of int8 weights (${oneLine(error)}). Quantize again`, error);
  }
}

/** The weights that some tasks need: shared ones under their own names, branches scoped by task. */
export async function readInt8(
  folder: string,
  { embeddings, trunk, tasks: branches }: Int8Parts,
  tasks: readonly { readonly name: string; readonly fork: number | null }[],
): Promise<PackedWeights> {
  const depth = Math.max(0, ...tasks.map(({ fork }) => fork ?? 0));
  const sharing = tasks.some(({ fork }) => fork !== null);
  const weights: PackedWeights = {};
  for (const blob of sharing ? [embeddings, ...trunk.slice(0, depth)] : []) {
    Object.assign(weights, await readInt8Blob(folder, blob));
  }
  for (const { name } of tasks) {
    Object.assign(weights, scoped(name, await readInt8Blob(folder, branches[name] as Int8Task)));
  }
  return weights;
}

export const int8Files = ({ embeddings, trunk, tasks }: Int8Parts): Blob[] => [
  embeddings,
  ...trunk,
  ...Object.values(tasks),
];

/** What a folder holds after a change, as far as it decides which weights there are. */
interface Remaining {
  readonly trunk: readonly Blob[];
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
