// One version of a merged folder, found by hash or tag and opened to be read.
//
// A reader takes no lock. It opens the files of its version at once: from then on they are its own until it closes, because
// a removed file goes when the last handle on it does (Windows too: Node opens files so that they can be removed). Where a
// file went between the reading of the pointer and its opening, the version was removed by gc meanwhile, and the reader
// begins again with what is current then. It can wait for nobody and leaves nothing behind when it is killed.

import { existsSync } from "node:fs";
import { type FileHandle, open, readFile } from "node:fs/promises";
import path from "node:path";
import { modelError, oneLine } from "../../errors/errors";
import { parseOwnJson } from "../../files/json";
import { readRange } from "../../files/positioned-read";
import { storageFailure } from "../../files/storage-failure";
import type { HostTensors } from "../../model/tensors";
import type { Kinds } from "../../tasks/kinds/kind";
import { checkHash, missingBlob, rampsFrom, readBlobFrom, type Sharing, tensorsFrom } from "./blobs";
import { type Blob, filesOf, idOf, MANIFESTS, type Manifest, type MergedTask, parseManifest } from "./manifest";
import { type FolderState, POINTER, readState } from "./pointer";
import { resolveVersion } from "./resolve";

export interface FoundVersion {
  /** The first 8 hex digits of its manifest's hash. */
  readonly id: string;
  readonly manifest: Manifest;
}

export interface OpenVersion extends FoundVersion {
  readonly folder: string;
  /** The tensors that some of its tasks need: shared ones under their own names, branches scoped by task. */
  readTensors(tasks: readonly Sharing[]): Promise<HostTensors>;
  /** The ramps of those that have some, scoped alike. */
  readRamps(tasks: readonly MergedTask[]): Promise<HostTensors>;
  /** A file's bytes, after its hash was compared. */
  readBytes(blob: Blob): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Where a file lies, for who must open it by name. The name may be gone where gc ran meanwhile: open the version again.
   */
  pathOf(blob: Blob): string;
  close(): Promise<void>;
}

export interface VersionOptions {
  /** Hash, or its beginning, or tag; the current version without it. */
  readonly version?: string | undefined;
  /** The kinds that tasks of the folder may have; flexbert's by default. */
  readonly kinds?: Kinds | undefined;
}

/** Where a version's own files lie: `.json`, and where they were made its `.onnx` and its card, `.md`. */
export const versionFile = (folder: string, id: string, suffix: ".json" | ".onnx" | ".md"): string =>
  path.join(folder, MANIFESTS, `${id}${suffix}`);

/** The manifest of a version. Throws modelError (4) where the folder is none, has no such version, or is damaged. */
export const readVersion = async (folder: string, options: VersionOptions = {}): Promise<FoundVersion> =>
  (await findVersion(folder, options)).found;

/** The same, and the state of the folder in which it was found. */
async function findVersion(
  folder: string,
  options: VersionOptions,
): Promise<{ readonly found: FoundVersion; readonly state: FolderState }> {
  for (;;) {
    const state = await readState(folder, options.kinds);
    const id = await resolveVersion(folder, state, options.version);
    const manifest = state.single ?? (await readManifestFile(folder, id, options.kinds));
    if (manifest) return { found: { id, manifest }, state };
    if (!(await hasMoved(folder, state))) throw missingManifest(folder, id);
  }
}

export const readManifest = async (folder: string, kinds?: Kinds): Promise<Manifest> =>
  (await readVersion(folder, { kinds })).manifest;

/** null where it is not there. Throws modelError (4) where its bytes are not those that it is named by. */
export async function readManifestFile(folder: string, id: string, kinds?: Kinds): Promise<Manifest | null> {
  const file = versionFile(folder, id, ".json");
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw storageFailure(error, file, "cannot read");
  }
  const damage = (cause: string) =>
    modelError(`${file} is damaged (${cause}). Go back to another version: flexbert history --merged ${folder}`);
  if (idOf(bytes) !== id) throw damage(`its sha256 begins with ${idOf(bytes)}`);
  let json: unknown;
  try {
    json = parseOwnJson(new TextDecoder().decode(bytes));
  } catch (error) {
    throw damage(oneLine(error));
  }
  return parseManifest(json, file, kinds);
}

const missingManifest = (folder: string, id: string) =>
  modelError(`${folder} has no ${MANIFESTS}/${id}.json, which ${POINTER} names. Merge into a new folder`);

/** Whether the folder has changed since its state was read: what is missing may then have been removed. */
async function hasMoved(folder: string, { pointer }: FolderState): Promise<boolean> {
  const { pointer: now } = await readState(folder);
  return now.current !== pointer.current || now.log.at(-1)?.time !== pointer.log.at(-1)?.time;
}

/**
 * Opens a version. Throws as {@link readVersion}, and modelError (4) for a file that is missing.
 * @param files what is opened of it: everything that it names by default
 */
export async function openVersion(
  folder: string,
  options: VersionOptions = {},
  files: (manifest: Manifest) => readonly string[] = filesOf,
): Promise<OpenVersion> {
  for (;;) {
    const { found, state } = await findVersion(folder, options);
    const opened = await openFiles(folder, files(found.manifest));
    if (opened instanceof Map) return openedVersion(folder, found, opened);
    // Of a version that was removed, and not of one that is damaged?
    const removed = !existsSync(versionFile(folder, found.id, ".json")) && state.single === null;
    if (!removed && !(await hasMoved(folder, state))) throw missingBlob(folder, opened);
  }
}

/** Handles by file, one for a file that several tasks name; of a file that is not there, its name. */
async function openFiles(folder: string, files: readonly string[]): Promise<Map<string, FileHandle> | string> {
  const handles = new Map<string, FileHandle>();
  for (const file of new Set(files)) {
    try {
      handles.set(file, await open(path.join(folder, file), "r"));
    } catch (error) {
      await closeAll(handles);
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return file;
      throw storageFailure(error, path.join(folder, file), "cannot read");
    }
  }
  return handles;
}

const closeAll = async (handles: ReadonlyMap<string, FileHandle>) => {
  for (const handle of handles.values()) await handle.close();
};

function openedVersion(folder: string, found: FoundVersion, handles: ReadonlyMap<string, FileHandle>): OpenVersion {
  const pathOf = ({ file }: Blob) => path.join(folder, file);
  const handleOf = ({ file }: Blob): FileHandle => {
    const handle = handles.get(file);
    if (!handle) throw new Error(`${file} is none of the files with which version ${found.id} was opened`);
    return handle;
  };
  const tensorsOf = (blob: Blob) => readBlobFrom(handleOf(blob), pathOf(blob), blob);
  return {
    ...found,
    folder,
    readTensors: (tasks) => tensorsFrom(tensorsOf, found.manifest, tasks),
    async readRamps(tasks) {
      const ramps: HostTensors = {};
      for (const { name, exits } of tasks) {
        if (exits) Object.assign(ramps, await rampsFrom(tensorsOf, exits.ramps, name));
      }
      return ramps;
    },
    async readBytes(blob) {
      const handle = handleOf(blob);
      const bytes = await readRange(handle, 0, (await handle.stat()).size);
      checkHash(pathOf(blob), bytes, blob);
      return bytes;
    },
    pathOf,
    close: () => closeAll(handles),
  };
}
