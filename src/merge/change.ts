// A change of a merged folder, from its lock to its commit. New files are written beside what is there and named by their
// content; renaming flexbert.json is the commit; model.onnx and README.md, which are copies of the version's own, follow.
// Killed at any point, the folder has the version from before or the new one, and the next change puts the copies right.

import { existsSync } from "node:fs";
import { readdir, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import { ONNX, type StagedOnnx } from "../export/onnx/onnx";
import { isTemporaryName, writeFileAtomic } from "../files/atomic";
import { makeFolder } from "../files/folder";
import { stamped } from "../files/format";
import { canonicalJson } from "../files/hash";
import { lockFolder, removeLockLeftovers } from "../files/lock";
import type { Kinds } from "../tasks/kinds/kind";
import { CARD, modelCard } from "./card";
import { BLOBS, type OnCreated } from "./folder/blobs";
import {
  type Contents,
  encodeManifest,
  MANIFEST_FORMAT,
  MANIFESTS,
  type Manifest,
  sameContent,
} from "./folder/manifest";
import {
  advanced,
  type FolderState,
  isMergedFolder,
  POINTER,
  type Pointer,
  readState,
  writePointer,
} from "./folder/pointer";
import { type FoundVersion, readVersion, versionFile } from "./folder/version";
import { keepGraph, requirePlaces, settle } from "./settle";

/** What the log says of a change. */
export interface Logged {
  readonly command: string;
  readonly note?: string | null;
}

/** A folder whose lock is held. */
export interface Change {
  readonly out: string;
  /** null in a folder that is not there yet. */
  readonly state: FolderState | null;
  /** Its current version. */
  readonly old: FoundVersion | null;
  readonly onCreated: OnCreated;
}

/** What a change left in the folder. */
export interface Committed extends FoundVersion {
  /** Whether there is a new version: nothing new makes none. */
  readonly isNew: boolean;
  /** Whether the folder was of format 1 until now. */
  readonly converted: boolean;
}

/** Runs `change` under the folder's lock. Where it fails before the commit, the files and folders that it made are removed. */
export async function changeFolder<T>(
  out: string,
  purpose: string,
  kinds: Kinds | undefined,
  change: (change: Change) => Promise<T>,
): Promise<T> {
  const folders = [path.join(out, BLOBS), path.join(out, MANIFESTS)];
  const made = [...folders, out].filter((folder) => !existsSync(folder));
  const created: string[] = [];
  let before: FolderState | null = null;
  let done = false;
  for (const folder of folders) await makeFolder(folder);
  const unlock = await lockFolder(out, purpose);
  try {
    await removeLeftovers(out);
    before = isMergedFolder(out) ? await readState(out, kinds) : null;
    const old = before && (await readVersion(out, { kinds }));
    const result = await change({ out, state: before, old, onCreated: (file) => created.push(file) });
    done = true;
    return result;
  } finally {
    if (!done && !(await hasCommitted(out, before))) for (const file of created) await rm(file, { force: true });
    await unlock();
    if (!done) for (const folder of made) await rmdir(folder).catch(() => {}); // somebody else may use it by now
  }
}

/** Whether a change that failed had committed before. In doubt it had: what nobody needs, gc removes. */
async function hasCommitted(out: string, before: FolderState | null): Promise<boolean> {
  if (!isMergedFolder(out)) return false;
  const now = await readState(out).catch(() => null);
  return !now || canonicalJson(now.pointer) !== canonicalJson(before?.pointer ?? null);
}

/** What a killed process had begun to write. The lock is held, so no other process writes here. */
async function removeLeftovers(out: string): Promise<void> {
  await removeLockLeftovers(out);
  const begun = (names: readonly string[], of: readonly string[]) =>
    names.filter((name) => isTemporaryName(name) && of.some((target) => name.startsWith(`.${target}`)));
  for (const name of begun(await readdir(out), [ONNX, POINTER, CARD])) await rm(path.join(out, name), { force: true });
  for (const folder of [BLOBS, MANIFESTS]) {
    for (const name of begun(await readdir(path.join(out, folder)), [""])) {
      await rm(path.join(out, folder, name), { force: true });
    }
  }
}

/** Makes a version of contents whose blobs are written, and commits it; none where it says what the current one says. */
export async function commitVersion(
  change: Change,
  contents: Contents,
  graph: StagedOnnx | null,
  logged: Logged,
): Promise<Committed> {
  const { out, state, old, onCreated } = change;
  const onnx = graph && { file: ONNX, sha256: graph.report.sha256 };
  const made: Manifest = { ...contents, format: MANIFEST_FORMAT, onnx };
  const manifest: Manifest = stamped(made);
  if (old && sameContent(old.manifest, manifest)) {
    if (graph) await keepGraph(out, old, graph.path, onCreated); // where somebody took it away
    await settle(out, old);
    return { ...old, isNew: false, converted: false };
  }
  await requirePlaces(out, manifest);
  const { id, text } = encodeManifest(manifest);
  if (state?.single) await writeConverted(change, state.single);
  const version = { id, manifest };
  if (graph) await keepGraph(out, version, graph.path, onCreated);
  await writeVersion(out, version, text, onCreated);
  await writePointer(out, advanced(state?.pointer ?? null, entryOf(id, logged)));
  await settle(out, version);
  return { ...version, isNew: true, converted: Boolean(state?.single) };
}

export const entryOf = (version: string, { command, note = null }: Logged) => ({
  version,
  time: new Date().toISOString(),
  command,
  note,
});

/** The manifest is written last: a version whose manifest is there is whole. */
async function writeVersion(
  out: string,
  { id, manifest }: FoundVersion,
  text: string,
  onCreated: OnCreated,
): Promise<void> {
  for (const [suffix, content] of [
    [".md", modelCard(manifest)],
    [".json", text],
  ] as const) {
    const file = versionFile(out, id, suffix);
    const isNew = !existsSync(file);
    await writeFileAtomic(file, content);
    if (isNew) onCreated(file);
  }
}

/** Of a folder of format 1, the files that its one version has in format 2. Its model.onnx, weights and all, is the version's. */
async function writeConverted({ out, onCreated }: Change, manifest: Manifest): Promise<void> {
  const { id, text } = encodeManifest(manifest);
  await keepGraph(out, { id, manifest }, path.join(out, ONNX), onCreated);
  await writeVersion(out, { id, manifest }, text, onCreated);
}

/** Commits a pointer that names versions which are there; a folder of format 1 becomes one of format 2. Returns whether it did. */
export async function commitPointer(change: Change, pointer: Pointer): Promise<boolean> {
  const { out, state } = change;
  if (state?.single) await writeConverted(change, state.single);
  await writePointer(out, pointer);
  return Boolean(state?.single);
}
