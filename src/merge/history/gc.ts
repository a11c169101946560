// What a merged folder keeps of its versions: the current one, tagged ones, the last few and young ones. Of the others the
// manifests go first, then what no manifest names any more: killed in between, the next gc finishes it. Readers are not
// asked: what one has open it keeps, and one that comes too late reads the current version (folder/version.ts).

import { existsSync } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import path from "node:path";
import type { Kinds } from "../../tasks/kinds/kind";
import { BLOBS } from "../folder/blobs";
import { filesOf, MANIFESTS, type Manifest } from "../folder/manifest";
import { type FolderState, type Pointer, readState } from "../folder/pointer";
import { versionsIn } from "../folder/resolve";
import { readVersion, versionFile } from "../folder/version";
import { settle } from "../settle";
import { inFolder } from "./rollback";

export interface GcRules {
  /** How many versions are kept that were current last. */
  readonly keep: number;
  /** Versions that were current within so many ms are kept. */
  readonly olderThan: number;
}

export interface Collected {
  readonly kept: readonly string[];
  readonly removed: readonly string[];
  /** Names under the folder. */
  readonly files: readonly string[];
  readonly bytes: number;
}

/** What gc would remove; nothing is changed. Throws modelError (4) where a kept version's manifest is damaged. */
export async function planGc(out: string, rules: GcRules, kinds?: Kinds): Promise<Collected> {
  return plan(out, await readState(out, kinds), rules, kinds);
}

/** Removes it. */
export async function collectGarbage(out: string, rules: GcRules, kinds?: Kinds): Promise<Collected> {
  return inFolder(out, "collecting garbage", kinds, async ({ old }, state) => {
    // model.onnx may be of a version that goes, where a process was killed after its commit.
    if (old && !state.single) await settle(out, old);
    const collected = await plan(out, state, rules, kinds);
    const isManifest = (file: string) => file.endsWith(".json");
    for (const file of collected.files.filter(isManifest)) await rm(path.join(out, file), { force: true });
    for (const file of collected.files) await rm(path.join(out, file), { force: true });
    return collected;
  });
}

async function plan(out: string, state: FolderState, rules: GcRules, kinds: Kinds | undefined): Promise<Collected> {
  const { pointer, single } = state;
  const there = await versionsIn(out, state);
  const wanted = wantedVersions(pointer, rules, Date.now());
  const kept: string[] = [];
  const removed: string[] = [];
  for (const id of there) (wanted.has(id) || (await isUncommittedYoung(id)) ? kept : removed).push(id);
  const manifests: Manifest[] = single ? [single] : [];
  for (const id of single ? [] : kept) manifests.push((await readVersion(out, { version: id, kinds })).manifest);
  const named = new Set(manifests.flatMap(filesOf));
  const files = [...(await ownFiles(out, kept)), ...(await blobsBut(out, named))].sort();
  let bytes = 0;
  for (const file of files) bytes += (await stat(path.join(out, file)).catch(() => null))?.size ?? 0;
  return { kept, removed, files, bytes };

  /** A manifest that a killed change left, by the age of its file: the log has none. */
  async function isUncommittedYoung(id: string): Promise<boolean> {
    if (pointer.log.some(({ version }) => version === id)) return false;
    const { mtimeMs } = await stat(versionFile(out, id, ".json"));
    return Date.now() - mtimeMs < rules.olderThan;
  }
}

/** Those that the rules keep, there or not. */
export function wantedVersions(
  { current, tags, log }: Pointer,
  { keep, olderThan }: GcRules,
  now: number,
): Set<string> {
  const wanted = new Set([current, ...Object.values(tags)]);
  const lately = new Set([...log].reverse().map(({ version }) => version));
  for (const version of [...lately].slice(0, keep)) wanted.add(version);
  // It was current until the next entry.
  for (const [i, { version }] of log.entries()) {
    const until = Date.parse(log[i + 1]?.time ?? "") || now;
    if (now - until < olderThan) wanted.add(version);
  }
  return wanted;
}

/** Files in manifests/ that belong to no version that is kept. */
async function ownFiles(out: string, kept: readonly string[]): Promise<string[]> {
  const folder = path.join(out, MANIFESTS);
  const names = existsSync(folder) ? await readdir(folder) : [];
  const ours = names.filter((name) => /^[0-9a-f]{8}\.(json|onnx|md)$/.test(name));
  return ours.filter((name) => !kept.includes(name.slice(0, 8))).map((name) => `${MANIFESTS}/${name}`);
}

/** Blobs that nobody names. What is not named as a blob is somebody's own. */
async function blobsBut(out: string, named: ReadonlySet<string>): Promise<string[]> {
  const entries = await readdir(path.join(out, BLOBS), { withFileTypes: true });
  const ours = entries.filter((entry) => entry.isFile() && /-[0-9a-f]{8}\.[a-z0-9]+$/.test(entry.name));
  return ours.map(({ name }) => `${BLOBS}/${name}`).filter((file) => !named.has(file));
}
