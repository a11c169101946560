// The int8 blobs of a merged folder, written and read.

import { readFile } from "node:fs/promises";
import { readSafetensorsHeader } from "../../checkpoints/formats/safetensors-header";
import type { HeldInt8 } from "../../compile/onnx/packed";
import { fromStored, type StoredPart, toStored } from "../../compile/onnx/stored";
import { modelError, oneLine } from "../../errors/errors";
import { scoped } from "../../model/parameters";
import type { HostTensor } from "../../model/tensors";
import { checkBlob, type OnCreated, writeBlob } from "./blobs";
import type { Int8Parts, Int8Task } from "./int8";
import type { Blob } from "./manifest";

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

/** Of a folder's int8 weights those of some tasks, or of some layers of the trunk. */
export interface Int8Wanted {
  /** Whether embeddings, or what layers share that lies with them. */
  readonly embeddings: boolean;
  /** Of the trunk, from and to. */
  readonly layers: readonly [from: number, to: number];
  /** Names of tasks. */
  readonly branches: readonly string[];
}

/** Shared weights under their own names, branches scoped by task. */
export async function readInt8Parts(
  folder: string,
  { embeddings, trunk, tasks }: Int8Parts,
  wanted: Int8Wanted,
): Promise<PackedWeights> {
  const weights: PackedWeights = {};
  for (const blob of [...(wanted.embeddings ? [embeddings] : []), ...trunk.slice(...wanted.layers)]) {
    Object.assign(weights, await readInt8Blob(folder, blob));
  }
  for (const name of wanted.branches) {
    Object.assign(weights, scoped(name, await readInt8Blob(folder, tasks[name] as Int8Task)));
  }
  return weights;
}

/** The weights that some tasks need. */
export const readInt8 = (
  folder: string,
  int8: Int8Parts,
  tasks: readonly { readonly name: string; readonly fork: number | null }[],
): Promise<PackedWeights> =>
  readInt8Parts(folder, int8, {
    embeddings: tasks.some(({ fork }) => fork !== null),
    layers: [0, Math.max(0, ...tasks.map(({ fork }) => fork ?? 0))],
    branches: tasks.map(({ name }) => name),
  });
