// model.onnx and README.md of a merged folder: copies of what the current version has beside its manifest, under the names
// that people know. Both follow the commit; a process killed between leaves those of the version before, which work (what
// model.onnx names is named by content), until the next change.

import { existsSync } from "node:fs";
import { copyFile, link, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import { failure } from "../errors/errors";
import { isFolder, ONNX, removeOnnx } from "../export/onnx/onnx";
import { syncFolder, temporaryPath } from "../files/atomic";
import { sha256File } from "../files/hash";
import { storageFailure } from "../files/storage-failure";
import { CARD, modelCard, writeCard } from "./card";
import type { OnCreated } from "./folder/blobs";
import type { Manifest } from "./folder/manifest";
import { type FoundVersion, versionFile } from "./folder/version";

/** Makes a graph the version's own, where it is the one that its manifest names. */
export async function keepGraph(
  out: string,
  { id, manifest }: FoundVersion,
  graph: string,
  onCreated: OnCreated,
): Promise<void> {
  const { onnx } = manifest;
  const target = versionFile(out, id, ".onnx");
  if (!onnx || (await hasHash(target, onnx.sha256)) || !(await hasHash(graph, onnx.sha256))) return;
  const isNew = !existsSync(target);
  // A link where there can be one: in a folder of format 1 the graph has all weights in it.
  await replacedBy(target, async (temporary) => link(graph, temporary).catch(() => copyFile(graph, temporary)));
  if (isNew) onCreated(target);
}

/** Puts the version's graph and card where people look for them, and takes away a graph that it does not have. */
export async function settle(out: string, { id, manifest }: FoundVersion): Promise<void> {
  const { onnx } = manifest;
  const graph = path.join(out, ONNX);
  const kept = versionFile(out, id, ".onnx");
  if (onnx === null) await removeOnnx(out);
  else if (!(await hasHash(graph, onnx.sha256))) {
    if (await hasHash(kept, onnx.sha256)) await replacedBy(graph, (temporary) => copyFile(kept, temporary));
    else await removeOnnx(out); // better none than one of other tasks
  }
  await writeCard(out, await readFile(versionFile(out, id, ".md"), "utf8").catch(() => modelCard(manifest)));
}

/** Throws failure (1) where something that is no file stands where the version's graph or card goes. */
export async function requirePlaces(out: string, { onnx }: Pick<Manifest, "onnx">): Promise<void> {
  for (const name of [...(onnx ? [ONNX] : []), CARD]) {
    const target = path.join(out, name);
    if (await isFolder(target)) throw failure(`${target} is a folder, and a file is to stand there. Move it away`);
  }
}

/** Whether the version's graph is there, at its own place. */
export async function hasGraph(out: string, { id, manifest }: FoundVersion): Promise<boolean> {
  const { onnx } = manifest;
  return onnx !== null && hasHash(versionFile(out, id, ".onnx"), onnx.sha256);
}

const hasHash = async (file: string, sha256: string): Promise<boolean> =>
  existsSync(file) && !(await isFolder(file)) && (await sha256File(file)) === sha256;

async function replacedBy(target: string, make: (temporary: string) => Promise<unknown>): Promise<void> {
  const temporary = temporaryPath(target);
  try {
    await make(temporary);
    await rename(temporary, target);
    await syncFolder(path.dirname(target));
  } catch (error) {
    await rm(temporary, { force: true });
    throw storageFailure(error, target);
  }
}
