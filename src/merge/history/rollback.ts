// Going to another version of a merged folder, and naming versions. Both change flexbert.json alone: a version's files are
// there already.

import { existsSync } from "node:fs";
import path from "node:path";
import { modelError, usageError } from "../../errors/errors";
import { didYouMean } from "../../messages/nearest";
import type { Kinds } from "../../tasks/kinds/kind";
import { type Change, changeFolder, commitPointer, entryOf } from "../change";
import { missingBlob } from "../folder/blobs";
import { filesOf } from "../folder/manifest";
import {
  advanced,
  type FolderState,
  isMergedFolder,
  type LogEntry,
  type Pointer,
  ROLLBACK,
  readState,
  tagsOf,
} from "../folder/pointer";
import { requireTag, resolveVersion, versionsIn } from "../folder/resolve";
import { type FoundVersion, readManifestFile, readVersion } from "../folder/version";
import { hasGraph, requirePlaces, settle } from "../settle";

export interface RolledBack extends FoundVersion {
  readonly from: string;
  /** false where the folder was at that version. */
  readonly moved: boolean;
  /** Whether the folder was of format 1 until now. */
  readonly converted: boolean;
  /** Whether the version has a model.onnx that is no longer there. */
  readonly graphIsMissing: boolean;
}

/**
 * The version that was the current one before the change which made the current one: a rollback is no such change, so that
 * a second one goes further back. null where there was none.
 */
export function versionBefore({ current, log }: Pointer): string | null {
  const at = log.findLastIndex(({ version, command }) => version === current && command !== ROLLBACK);
  return log.slice(0, Math.max(0, at)).findLast(({ version }) => version !== current)?.version ?? null;
}

/** Throws modelError (4) where the version, or a file of it, is not there. Whatever it throws, the folder is as it was. */
export async function rollBack(
  out: string,
  wanted: string | undefined,
  { note = null, kinds }: { readonly note?: string | null | undefined; readonly kinds?: Kinds | undefined } = {},
): Promise<RolledBack> {
  return inFolder(out, "rolling back", kinds, async (change, state, from) => {
    const target = wanted ?? versionBefore(state.pointer);
    if (target === null)
      throw modelError(`${out} has no version before ${from}. Run: flexbert history --merged ${out}`);
    const found = await readVersion(out, { version: target, kinds });
    if (found.id === from) {
      return { ...found, from, moved: false, converted: false, graphIsMissing: false };
    }
    for (const file of filesOf(found.manifest)) if (!existsSync(path.join(out, file))) throw missingBlob(out, file);
    await requirePlaces(out, found.manifest);
    const entry = entryOf(found.id, { command: ROLLBACK, note });
    const converted = await commitPointer(change, advanced(state.pointer, entry));
    const graphIsMissing = found.manifest.onnx !== null && !(await hasGraph(out, found));
    await settle(out, found);
    return { ...found, from, moved: true, converted, graphIsMissing };
  });
}

export interface Tagged {
  readonly tag: string;
  /** null where it was taken away. */
  readonly version: string | null;
  /** What had the tag before. */
  readonly before: string | null;
  readonly converted: boolean;
}

/** Gives a version the tag, whichever had it before. @param version the current one by default; null takes the tag away */
export async function tagVersion(out: string, tag: string, version?: string | null): Promise<Tagged> {
  requireTag(tag);
  return inFolder(out, "tagging", undefined, async (change, state) => {
    const { [tag]: before = null, ...others } = state.pointer.tags;
    if (version === null && before === null) {
      const known = Object.keys(others);
      throw usageError(
        `${out} has no tag ${tag}${didYouMean(tag, known)}. It has ${known.sort().join(", ") || "none"}`,
      );
    }
    const id = version === null ? null : await resolveVersion(out, state, version);
    if (id !== null && !(await versionsIn(out, state)).includes(id)) await readVersion(out, { version: id });
    if (id === before) return { tag, version: id, before, converted: false };
    const tags = Object.fromEntries(Object.entries(id === null ? others : { ...others, [tag]: id }).sort());
    const converted = await commitPointer(change, { ...state.pointer, tags });
    return { tag, version: id, before, converted };
  });
}

/** Changes a folder that must be there. */
export function inFolder<T>(
  out: string,
  purpose: string,
  kinds: Kinds | undefined,
  work: (change: Change, state: FolderState, current: string) => Promise<T>,
): Promise<T> {
  if (!isMergedFolder(out)) throw modelError(`${out} is no merged model. Run: flexbert merge --out ${out}`);
  return changeFolder(out, purpose, kinds, async (change) => {
    const { state, old } = change;
    if (!state || !old) throw modelError(`${out} is no merged model. Run: flexbert merge --out ${out}`);
    return work(change, state, old.id);
  });
}

export interface HistoryEntry extends LogEntry {
  readonly tags: readonly string[];
  readonly isCurrent: boolean;
  /** false where gc removed it. */
  readonly isThere: boolean;
  /** Names of its tasks; null where it is not there, or cannot be read. */
  readonly tasks: readonly string[] | null;
}

/** The log, oldest first. */
export async function historyOf(folder: string, kinds?: Kinds): Promise<HistoryEntry[]> {
  const state = await readState(folder, kinds);
  const { pointer, single } = state;
  const there = await versionsIn(folder, state);
  const tasks = new Map<string, readonly string[]>();
  for (const id of there) {
    const manifest = single ?? (await readManifestFile(folder, id, kinds).catch(() => null));
    if (manifest)
      tasks.set(
        id,
        manifest.tasks.map(({ name }) => name),
      );
  }
  return pointer.log.map((entry, i) => ({
    ...entry,
    tags: tagsOf(pointer, entry.version),
    isCurrent: entry.version === pointer.current && i === pointer.log.length - 1,
    isThere: there.includes(entry.version),
    tasks: tasks.get(entry.version) ?? null,
  }));
}
