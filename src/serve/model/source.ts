// Where versions come from: a merged folder, whose pointer is watched.

import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";
import path from "node:path";
import { POINTER, readState, tagsOf } from "../../merge/folder/pointer";
import { resolveVersion } from "../../merge/folder/resolve";
import { readServed, type Served, type ServedOptions } from "./served";

/** The version that should answer. */
export interface Wanted {
  readonly id: string;
  readonly tags: readonly string[];
}

export interface VersionSource {
  /** Throws UserError. */
  wanted(): Promise<Wanted>;
  /** @param before a version that was read already. Throws UserError where it cannot be read */
  read(id: string, before: Served | null): Promise<Served>;
  /** Calls back when what is wanted may have changed. @returns ends it */
  watch(onChange: () => void): () => void;
}

/** How often the pointer's file is looked at: not every file system tells of changes. */
const POLL_MS = 1000;

/** @param options its `version` pins: a hash for good, a tag to wherever it goes */
export function folderSource(folder: string, options: ServedOptions, pollMs = POLL_MS): VersionSource {
  return {
    async wanted() {
      const state = await readState(folder, options.kinds);
      const id = await resolveVersion(folder, state, options.version);
      return { id, tags: tagsOf(state.pointer, id) };
    },
    read: (id, before) => readServed(folder, { ...options, version: id }, before),
    watch(onChange) {
      let seen = "";
      const look = async () => {
        const mark = await markOf(path.join(folder, POINTER));
        if (mark !== seen) onChange();
        seen = mark;
      };
      void look(); // what changed while the first version was opened
      const timer = setInterval(look, pollMs);
      timer.unref();
      const watcher = watchQuietly(folder, (name) => {
        if (name === null || name === POINTER) onChange();
      });
      return () => {
        clearInterval(timer);
        watcher?.close();
      };
    },
  };
}

/** What changes with a file's content, renamed into place. */
async function markOf(file: string): Promise<string> {
  const found = await stat(file, { bigint: true }).catch(() => null);
  return found ? `${found.ino} ${found.mtimeNs} ${found.size}` : "none";
}

/** null where the system watches nothing, or nothing more: the polling stays. */
function watchQuietly(folder: string, onName: (name: string | null) => void): FSWatcher | null {
  try {
    const watcher = watch(folder, { persistent: false }, (_, name) => onName(name));
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch {
    return null;
  }
}
