// flexbert.json: which version of a merged folder is the current one, its tags and its log. The only name whose content
// changes: renaming a new one over it is the commit of every change. In a folder of format 1 it is the manifest itself.

import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { modelError, oneLine } from "../../errors/errors";
import { writeFileAtomic } from "../../files/atomic";
import { formatProblem, stamped } from "../../files/format";
import { parseOwnJson } from "../../files/json";
import type { Kinds } from "../../tasks/kinds/kind";
import { encodeManifest, type Manifest, parseManifest } from "./manifest";

export const POINTER = "flexbert.json";
/** What a change is called in the log that makes no version. */
export const ROLLBACK = "rollback";
/** Newer entries than so many are all kept: a log is read and written whole at every change. */
const NEWEST = 200;
const POINTER_FORMAT = 2 as const;

/** A change of the current version. */
export interface LogEntry {
  /** The version that it made current. */
  readonly version: string;
  /** ISO 8601, UTC. */
  readonly time: string;
  /** What made it: "merge rte", "rollback". */
  readonly command: string;
  readonly note: string | null;
}

/** Keys that this flexbert does not know are kept. */
export interface Pointer {
  readonly format: typeof POINTER_FORMAT;
  readonly flexbert?: string;
  readonly current: string;
  /** Versions by tag. */
  readonly tags: Readonly<Record<string, string>>;
  /** Oldest first; it ends with the entry that made `current` so. Of old rollbacks it has only those that a version was made after. */
  readonly log: readonly LogEntry[];
}

/** What a folder's flexbert.json says. */
export interface FolderState {
  readonly pointer: Pointer;
  /** The one manifest of a folder of format 1, whose pointer is what its first change will write; else null. */
  readonly single: Manifest | null;
}

export const isMergedFolder = (folder: string): boolean => existsSync(path.join(folder, POINTER));

/** Throws modelError (4) naming file and cause. */
export async function readState(folder: string, known?: Kinds): Promise<FolderState> {
  const file = path.join(folder, POINTER);
  if (!existsSync(file))
    throw modelError(`${folder} is no merged model: it has no ${POINTER}. Run: flexbert merge --out ${folder}`);
  let json: unknown;
  try {
    json = parseOwnJson(await readFile(file, "utf8"));
  } catch (error) {
    throw modelError(`${file} is damaged (${oneLine(error)}). Merge again`, error);
  }
  if (Object(json).format === 1) return readFormat1(json, file, known);
  const foreign = formatProblem(json, POINTER_FORMAT);
  if (foreign !== null) throw modelError(`${file} ${foreign}`);
  const { pointerSchema } = await import("./manifest-schema.js");
  const parsed = pointerSchema.safeParse(json);
  if (parsed.success) return { pointer: parsed.data as Pointer, single: null };
  const [problem] = parsed.error.issues;
  throw modelError(`${file} is damaged: ${problem?.path.join(".")}: ${problem?.message}. Merge into a new folder`);
}

async function readFormat1(json: unknown, file: string, known: Kinds | undefined): Promise<FolderState> {
  const single = await parseManifest(json, file, known);
  const { id } = encodeManifest(single);
  const time = (await stat(file)).mtime.toISOString();
  const log = [{ version: id, time, command: "merge", note: "a folder of format 1" }];
  const pointer: Pointer = stamped({ format: POINTER_FORMAT, current: id, tags: {}, log });
  return { pointer, single };
}

/** The tags that a version has. */
export const tagsOf = ({ tags }: Pointer, version: string): string[] =>
  Object.keys(tags).filter((tag) => tags[tag] === version);

/** The pointer of a folder whose first version this is, or that goes from `before` to it. */
export function advanced(before: Pointer | null, entry: LogEntry): Pointer {
  const { log, ...rest } = before ?? { log: [], tags: {} };
  const pointer: Pointer = { ...rest, format: POINTER_FORMAT, current: entry.version, log: bounded([...log, entry]) };
  return stamped(pointer);
}

/** Which version was there before another was made stays what it was. */
const bounded = (log: readonly LogEntry[]): readonly LogEntry[] =>
  log.filter(({ command }, i) => i >= log.length - NEWEST || command !== ROLLBACK || log[i + 1]?.command !== ROLLBACK);

/** The commit. */
export function writePointer(folder: string, pointer: Pointer): Promise<void> {
  return writeFileAtomic(path.join(folder, POINTER), `${JSON.stringify(stamped(pointer), null, 2)}\n`);
}
