// Which version a user means: a tag, a hash or the beginning of one.

import { readdir } from "node:fs/promises";
import path from "node:path";
import { modelError, usageError } from "../../errors/errors";
import { didYouMean } from "../../messages/nearest";
import { MANIFESTS } from "./manifest";
import type { FolderState } from "./pointer";

const FEWEST_DIGITS = 4;
const hash = new RegExp(`^[0-9a-f]{${FEWEST_DIGITS},64}$`);

/** Throws usageError (2) for a tag that could be taken for a hash or for a path. */
export function requireTag(tag: string): void {
  if (/^[A-Za-z0-9][\w.-]{0,99}$/.test(tag) && !hash.test(tag)) return;
  throw usageError(
    `a tag cannot be ${JSON.stringify(tag)}: it takes letters, digits, ".", "_" and "-", and must not look like a hash`,
  );
}

/** Ids of the versions whose manifests lie in the folder, sorted; of a folder of format 1 its one. */
export async function versionsIn(folder: string, { pointer, single }: FolderState): Promise<string[]> {
  if (single) return [pointer.current];
  const names = await readdir(path.join(folder, MANIFESTS)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names.flatMap((name) => /^([0-9a-f]{8})\.json$/.exec(name)?.[1] ?? []).sort();
}

/** Throws modelError (4) where the folder has no such version, usageError (2) where several begin so. */
export async function resolveVersion(folder: string, state: FolderState, wanted?: string): Promise<string> {
  const { pointer } = state;
  if (wanted === undefined) return pointer.current;
  if (Object.hasOwn(pointer.tags, wanted)) return pointer.tags[wanted] as string;
  const known = await versionsIn(folder, state);
  const given = wanted.toLowerCase();
  const found = hash.test(given) ? known.filter((id) => id.startsWith(given) || given.startsWith(id)) : [];
  if (found.length === 1) return found[0] as string;
  if (found.length > 1)
    throw usageError(`${wanted} begins ${found.length} versions: ${found.join(", ")}. Give more of it`);
  const removed = pointer.log.some(({ version }) => hash.test(given) && version.startsWith(given));
  throw modelError(
    removed
      ? `version ${wanted} of ${folder} was removed by gc. Run: flexbert history --merged ${folder}`
      : `${folder} has no version ${JSON.stringify(wanted)}${didYouMean(wanted, Object.keys(pointer.tags))}. ` +
          `Run: flexbert history --merged ${folder}`,
  );
}
