// The weights of a merged folder: files under blobs/, named by their content, and what is read of them.

import { existsSync } from "node:fs";
import { type FileHandle, readFile } from "node:fs/promises";
import path from "node:path";
import { readBaseTokenizer } from "../../checkpoints/bases/base-tokenizer";
import { parameterShapes } from "../../checkpoints/bases/parameter-shapes";
import { requireFinite } from "../../checkpoints/formats/finite";
import {
  type HashedWeights,
  readHashedSafetensors,
  readHashedWeights,
  safetensorsChunks,
} from "../../checkpoints/formats/safetensors";
import { modelError, oneLine } from "../../errors/errors";
import { printable } from "../../errors/printable";
import { requireFreeSpace, writeFileAtomic } from "../../files/atomic";
import { type Pace, sha256File, sha256Hex } from "../../files/hash";
import { parseJson } from "../../files/json";
import { readRange } from "../../files/positioned-read";
import type { EncoderConfig } from "../../model/config";
import { parseConfig } from "../../model/families/config-file";
import { familyOf, inLayerName, isEmbedding, layerOf } from "../../model/families/families";
import { isOfBottleneck } from "../../model/families/small-names";
import { isOfHead, scoped, withoutScope } from "../../model/parameters";
import { ownLayers, type Place } from "../../model/place";
import { isRamp } from "../../model/ramp-names";
import type { HostTensor, HostTensors, Int8Tensor } from "../../model/tensors";
import type { TokenizerSettings } from "../../tokenizer/tokenizer";
import type { Blob, Manifest, MergedTask } from "./manifest";

export const BLOBS = "blobs";

type Shared = Pick<Manifest, "embeddings" | "trunk">;
/** A task, as far as it decides which blobs it needs. */
export type Sharing = Blob & Place & { readonly name: string };

/** Called with the path of each file that was not there before. */
export type OnCreated = (file: string) => void;

/** Named by its content: a blob that lies there already, whole, is not written again. */
export async function writeBlob(
  out: string,
  name: string,
  tensors: Readonly<Record<string, HostTensor | Int8Tensor>>,
  metadata: Record<string, string>,
  onCreated: OnCreated,
): Promise<Blob> {
  return writeNamed(out, name, "safetensors", [...safetensorsChunks(tensors, metadata)], onCreated);
}

/** Bytes under blobs/, named by their content like all that lies there. */
export async function writeNamed(
  out: string,
  name: string,
  suffix: "safetensors" | "onnx",
  chunks: readonly Uint8Array[],
  onCreated: OnCreated,
): Promise<Blob> {
  const sha256 = sha256Hex(...chunks);
  const file = `${BLOBS}/${name}-${sha256.slice(0, 8)}.${suffix}`;
  const target = path.join(out, file);
  const exists = existsSync(target);
  if (!exists || (await sha256File(target)) !== sha256) {
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
    await requireFreeSpace(path.dirname(target), bytes, target);
    await writeFileAtomic(target, chunks);
    if (!exists) onCreated(target);
  }
  return { file, sha256 };
}

/** Where a blob lies, after its hash was compared. Throws modelError (4) where it is missing or has other bytes. */
export async function checkBlob(folder: string, blob: Blob, pace?: Pace): Promise<string> {
  const target = path.join(folder, blob.file);
  if (!existsSync(target)) throw missingBlob(folder, blob.file);
  requireHash(target, await sha256File(target, pace), blob.sha256);
  return target;
}

export const missingBlob = (folder: string, file: string) =>
  modelError(`${path.join(folder, file)} is missing, which the folder's manifest names. Merge again`);

/** Throws modelError (4) for bytes that are not the blob's. */
export const checkHash = (target: string, bytes: Uint8Array, { sha256 }: Blob): void =>
  requireHash(target, sha256Hex(bytes), sha256);

/** Throws modelError (4) for a file of another hash than its manifest has. */
export function requireHash(target: string, found: string, named: string): void {
  if (found === named) return;
  throw modelError(
    `${target} has sha256 ${found.slice(0, 8)}, the manifest says ${named.slice(0, 8)}. Remove it and merge again`,
  );
}

/** A blob's tensors, after its hash was compared, from one reading of it. */
async function readBlob(folder: string, blob: Blob): Promise<HostTensors> {
  const target = path.join(folder, blob.file);
  try {
    return checked(target, await readHashedSafetensors(target), blob);
  } catch (error) {
    await checkBlob(folder, blob); // other bytes are the first thing to say of a file that is no weight file
    throw error;
  }
}

/** The same from an open file, whose name may be gone. */
export async function readBlobFrom(handle: FileHandle, target: string, blob: Blob): Promise<HostTensors> {
  try {
    return checked(target, await readHashedWeights(handle, target), blob);
  } catch (error) {
    checkHash(target, await readRange(handle, 0, (await handle.stat()).size), blob);
    throw error;
  }
}

function checked(target: string, { tensors, sha256 }: HashedWeights, blob: Blob): HostTensors {
  requireHash(target, sha256, blob.sha256);
  requireFinite(tensors, target);
  return tensors;
}

/** The blobs that some of a folder's tasks need: those they share first, then each task's own. */
export function blobsOf(
  { embeddings, trunk }: Shared,
  tasks: readonly Sharing[],
): { readonly shared: readonly Blob[]; readonly own: readonly Sharing[] } {
  const depth = Math.max(0, ...tasks.map(({ fork }) => fork ?? 0));
  const sharing = tasks.some(({ fork }) => fork !== null);
  return { shared: sharing ? [embeddings, ...trunk.slice(0, depth)] : [], own: tasks };
}

/**
 * The tensors that some of a folder's tasks need: shared ones under their own names, branches scoped by task. Throws
 * modelError (4) where the manifest names a blob in the place of another.
 */
export async function tensorsFrom(
  read: (blob: Blob) => Promise<HostTensors>,
  manifest: Shared,
  tasks: readonly Sharing[],
): Promise<HostTensors> {
  const { shared, own } = blobsOf(manifest, tasks);
  const tensors: HostTensors = {};
  for (const [i, blob] of shared.entries()) {
    const found = await read(blob);
    const fits = (name: string) => (i === 0 ? isEmbedding(name) : layerOf(name) === i - 1);
    requirePlace(blob, found, fits, i === 0 ? "the embeddings" : `layer ${i - 1}`);
    Object.assign(tensors, found);
  }
  for (const task of own) {
    const found = await read(task);
    const [from, to] = ownLayers(task);
    const fits = (name: string) => !(layerOf(name) < from || layerOf(name) >= to);
    const names = Object.keys(found);
    const whole = (from === to || names.some((name) => layerOf(name) === to - 1)) && names.some(isOfHead);
    requirePlace(task, whole ? found : {}, fits, `the branch of ${task.name}`);
    Object.assign(tensors, scoped(task.name, found));
  }
  return tensors;
}

/** A task's ramps, scoped as its branch is. Throws modelError (4) for a blob that is none. */
export async function rampsFrom(
  read: (blob: Blob) => Promise<HostTensors>,
  ramps: Blob,
  task: string,
): Promise<HostTensors> {
  const found = await read(ramps);
  requirePlace(ramps, found, isRamp, `the ramps of ${task}`);
  return scoped(task, found);
}

function requirePlace(blob: Blob, tensors: HostTensors, fits: (name: string) => boolean, place: string): void {
  const names = Object.keys(tensors);
  const other = names.find((name) => !fits(name));
  if (names.length > 0 && other === undefined) return;
  const holds = other === undefined ? "holds no part of it" : `holds ${printable(other)}`;
  throw modelError(
    `${blob.file} ${holds}, where the manifest has it as ${place}: it is damaged. Merge again into a new folder`,
  );
}

/** The same of a folder. */
export const readTensors = (folder: string, manifest: Shared, tasks: readonly Sharing[]): Promise<HostTensors> =>
  tensorsFrom((blob) => readBlob(folder, blob), manifest, tasks);

/** The ramps of a task of the folder that has some, scoped. */
export const readRamps = (folder: string, { name, exits }: MergedTask): Promise<HostTensors> => {
  if (!exits) throw new Error(`${name} has no ramps`);
  return rampsFrom((blob) => readBlob(folder, blob), exits.ramps, name);
};

/** Of a folder's tasks, what a check compares with: each with its own tensors alone, and the shared ones under it. */
export const folderWeights = (folder: string, manifest: Shared) => ({
  tensorsOf: (task: MergedTask) => readTensors(folder, manifest, [task]),
  rampsOf: (task: MergedTask) => readRamps(folder, task),
});

/**
 * Those tensors, where the folder's config gives them the shapes that they have. Throws modelError (4) naming the first that it
 * does not; what a kind has of its own in a head is its own affair.
 */
export function requireShapes(folder: string, tensors: HostTensors, config: EncoderConfig): HostTensors {
  const shapes = parameterShapes(config);
  for (const [scopedName, { shape }] of Object.entries(tensors)) {
    const name = withoutScope(scopedName);
    const expected = shapes.get(name);
    if (expected ? String(shape) === String(expected) : isOfHead(name) || standsBeside(name, shape, config)) continue;
    throw modelError(
      `${folder}: ${printable(scopedName)} has the shape [${shape}], config.json gives ${expected ? `[${expected}]` : "no such tensor"}. ` +
        "Config and weights belong to different models: put the folder's own config.json back, or merge again into a new folder",
    );
  }
  return tensors;
}

/** Whether it may stand beside a layer's own tensors: of a branch with adapters. */
const standsBeside = (name: string, shape: readonly number[], config: EncoderConfig): boolean =>
  familyOf(config).adapts !== undefined && isOfBottleneck(inLayerName(name), shape, config.hiddenSize);

/** Embeddings and the lowest layers of the trunk. */
export async function readTrunk(folder: string, { embeddings, trunk }: Shared, depth: number): Promise<HostTensors> {
  const tensors: HostTensors = {};
  for (const blob of [embeddings, ...trunk.slice(0, depth)]) Object.assign(tensors, await readBlob(folder, blob));
  return tensors;
}

/**
 * Config and tokenizer of a merged folder. Throws modelError (4) naming a file that is damaged or is not what was merged: another
 * number of heads or another word would change every answer.
 */
export async function readShared(
  folder: string,
  { base }: Pick<Manifest, "base">,
): Promise<{ config: EncoderConfig; tokenizer: TokenizerSettings }> {
  for (const name of Object.keys(base.files ?? {})) if (name !== CONFIG) await requireUnchanged(folder, name, base);
  const config = await readConfig(folder, { base });
  const { settings: tokenizer } = await readBaseTokenizer(folder, base.name, config);
  return { config, tokenizer };
}

const CONFIG = "config.json";

/** The config alone, for who has ids and no texts. Throws as {@link readShared} does. */
export async function readConfig(folder: string, { base }: Pick<Manifest, "base">): Promise<EncoderConfig> {
  await requireUnchanged(folder, CONFIG, base);
  const file = path.join(folder, CONFIG);
  return parseConfig(await readJson(file), file);
}

/** An earlier flexbert wrote no hash of these. */
async function requireUnchanged(folder: string, name: string, { files }: Manifest["base"]): Promise<void> {
  const [file, sha256] = [path.join(folder, name), files?.[name]];
  if (sha256 === undefined) return;
  if (!existsSync(file)) throw modelError(`${file} is missing. Put it back, or merge again into a new folder`);
  const found = await sha256File(file);
  if (found === sha256) return;
  throw modelError(
    `${file} has changed since the merge: its sha256 is ${found.slice(0, 8)}, it was ${sha256.slice(0, 8)}. Put it back, or merge again into a new folder`,
  );
}

async function readJson(file: string): Promise<unknown> {
  try {
    return parseJson(await readFile(file, "utf8"));
  } catch (error) {
    throw modelError(`${file} is missing or damaged (${oneLine(error)}). Merge again into a new folder`, error);
  }
}
