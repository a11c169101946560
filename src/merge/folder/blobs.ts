// The weights of a merged folder: files under blobs/, named by their content, and what is read of them.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { readBaseTokenizer } from "../../checkpoints/bases/base-tokenizer";
import { requireFinite } from "../../checkpoints/formats/finite";
import { readHashedSafetensors, safetensorsChunks } from "../../checkpoints/formats/safetensors";
import { modelError, oneLine } from "../../errors/errors";
import { requireFreeSpace, writeFileAtomic } from "../../files/atomic";
import { sha256File, sha256Hex } from "../../files/hash";
import { type BertConfig, parseBertConfig } from "../../model/config";
import { scoped } from "../../model/parameters";
import type { HostTensors } from "../../model/tensors";
import type { TokenizerSettings } from "../../tokenizer/tokenizer";
import { type Blob, MANIFEST, type Manifest } from "./manifest";

export const BLOBS = "blobs";

type Shared = Pick<Manifest, "embeddings" | "trunk">;
type Sharing = Blob & { readonly name: string; readonly fork: number | null };

/** Called with the path of each file that was not there before. */
export type OnCreated = (file: string) => void;

/** Named by its content: a blob that lies there already, whole, is not written again. */
export async function writeBlob(
  out: string,
  name: string,
  tensors: HostTensors,
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
export async function checkBlob(folder: string, { file, sha256 }: Blob): Promise<string> {
  const target = path.join(folder, file);
  if (!existsSync(target)) throw modelError(`${target} is missing, which ${MANIFEST} names. Merge again`);
  requireHash(target, await sha256File(target), sha256);
  return target;
}

function requireHash(target: string, found: string, named: string): void {
  if (found === named) return;
  throw modelError(`${target} has sha256 ${found.slice(0, 8)}, ${MANIFEST} says ${named.slice(0, 8)}. Merge again`);
}

/** A blob's tensors, after its hash was compared, from one reading of it. */
async function readBlob(folder: string, blob: Blob): Promise<HostTensors> {
  const target = path.join(folder, blob.file);
  try {
    const { tensors, sha256 } = await readHashedSafetensors(target);
    requireHash(target, sha256, blob.sha256);
    requireFinite(tensors, target);
    return tensors;
  } catch (error) {
    await checkBlob(folder, blob); // other bytes are the first thing to say of a file that is no weight file
    throw error;
  }
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

/** The tensors that some of a folder's tasks need: shared ones under their own names, branches scoped by task. */
export async function readTensors(folder: string, manifest: Shared, tasks: readonly Sharing[]): Promise<HostTensors> {
  const { shared, own } = blobsOf(manifest, tasks);
  const tensors: HostTensors = {};
  for (const blob of shared) Object.assign(tensors, await readBlob(folder, blob));
  for (const task of own) Object.assign(tensors, scoped(task.name, await readBlob(folder, task)));
  return tensors;
}

/** Config and tokenizer of a merged folder. */
export async function readShared(
  folder: string,
  { base }: Pick<Manifest, "base">,
): Promise<{ config: BertConfig; tokenizer: TokenizerSettings }> {
  const file = path.join(folder, "config.json");
  const config = parseBertConfig(await readJson(file), file);
  const { settings: tokenizer } = await readBaseTokenizer(folder, base.name, config);
  return { config, tokenizer };
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw modelError(`${file} is missing or damaged (${oneLine(error)}). Merge again into a new folder`, error);
  }
}
