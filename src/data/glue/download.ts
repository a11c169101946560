// `flexbert data download`: GLUE's files into the user's glue-data. A task is fetched, unpacked and checked in a work
// folder and then renamed into place, so that nothing half-written ever appears there. Files that are there already
// and have the published number of rows stay; others are replaced only when asked.

import { existsSync } from "node:fs";
import { copyFile, readFile, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import { dataError, ExitCode, UserError } from "../../errors/errors";
import { writeFileAtomic } from "../../files/atomic";
import { makeFolder } from "../../files/folder";
import { lockFolder } from "../../files/lock";
import { storageFailure } from "../../files/storage-failure";
import { extractZip } from "../../files/zip";
import type { SplitName, SplitSource, Task } from "../../tasks/task";
import { findSplitFile } from "../read-split";
import { type FetchOptions, fetchSource } from "./fetch-source";
import { type Inspection, inspectSplit, requireRows } from "./inspect";
import { buildMrpc } from "./mrpc";
import { moveIntoPlace } from "./place";
import { filesOf, type GlueSource, nameOf } from "./sources";

export interface DownloadOptions extends Omit<FetchOptions, "work"> {
  readonly glueData: string;
  /** Where half-fetched and half-unpacked files lie, a folder a task. */
  readonly downloads: string;
  /** Replaces files that are there and differ. */
  readonly force: boolean;
}

export interface PlacedFile extends Inspection {
  readonly split: SplitName;
  readonly path: string;
  /** It was there before. */
  readonly kept: boolean;
}

export interface DownloadedTask {
  readonly task: string;
  readonly state: "present" | "downloaded";
  readonly files: readonly PlacedFile[];
  /** What the user should know of files that were kept. */
  readonly notes: readonly string[];
}

/** Text compresses three- to fivefold; a zip that unpacks to more than this many times its bytes is a bomb. */
const LARGEST_RATIO = 20;

/**
 * Makes a task's files complete under `glueData`; does nothing where they are.
 * @throws OutOfReach where a source cannot be had, UserError (3) for content that is not the published one and for files
 *   that are there with other rows, (1) where the disk fails
 */
export async function downloadTask(task: Task, source: GlueSource, options: DownloadOptions): Promise<DownloadedTask> {
  const there = await presentFiles(task, options.glueData, options.force);
  const splits = Object.keys(task.splits) as SplitName[];
  if (!options.force && there.length === splits.length) {
    return { task: task.name, state: "present", files: there, notes: [] };
  }
  const work = path.join(options.downloads, task.name);
  const target = path.join(options.glueData, task.folder);
  const unlock = await lockFolder(work, `downloading ${task.name}`);
  try {
    const staged = path.join(work, "unpacked");
    await rm(staged, { recursive: true, force: true });
    await makeFolder(staged);
    await unpack(task, source, staged, { ...options, work });
    const fresh = await checkStaged(task, staged);
    const result = await place(task, staged, fresh, options.force ? [] : there, target);
    for (const file of filesOf(source)) await rm(path.join(work, nameOf(file)), { force: true });
    return result;
  } catch (error) {
    throw storageFailure(error, target);
  } finally {
    await rm(path.join(work, "unpacked"), { recursive: true, force: true });
    await unlock();
    await rmdir(work).catch(() => {}); // holds the part to go on from after a failure, or another's lock
  }
}

/** The split files that are there, each with the published number of rows. */
async function presentFiles(task: Task, glueData: string, force: boolean): Promise<PlacedFile[]> {
  const found: PlacedFile[] = [];
  for (const [split, source] of Object.entries(task.splits) as [SplitName, SplitSource][]) {
    const file = findSplitFile(task, split, glueData);
    if (file === null || force) continue;
    const advice = `Move it away, or replace it: flexbert data download --task ${task.name} --force`;
    const inspection = await inspectSplit(file, source).catch((error) => {
      throw error instanceof UserError ? dataError(`${error.message}. ${advice}`, error) : error;
    });
    requireRows(file, inspection, source.rows, advice);
    found.push({ split, path: file, kept: true, ...inspection });
  }
  return found;
}

async function unpack(task: Task, source: GlueSource, staged: string, options: FetchOptions): Promise<void> {
  if (source.form === "table") {
    const file = await fetchSource(source.table, options);
    return copyFile(file, path.join(staged, nameOf(source.table)));
  }
  if (source.form === "zip") {
    const zip = await fetchSource(source.zip, options);
    return unzip(task, zip, staged, LARGEST_RATIO * source.zip.bytes, options.signal);
  }
  const paths = [];
  for (const file of filesOf(source)) paths.push(await fetchSource(file, options));
  const [train = "", test = "", devIds = ""] = await Promise.all(paths.map((file) => readFile(file, "utf8")));
  for (const [name, content] of Object.entries(buildMrpc({ train, test, devIds }))) {
    await writeFileAtomic(path.join(staged, name), content);
  }
}

/** The split files in the zip's one folder, and what says under which terms they may be used. */
async function unzip(task: Task, zip: string, staged: string, maxBytes: number, signal?: AbortSignal): Promise<void> {
  const wanted = Object.values(task.splits).map(({ file }) => file);
  const target = (entry: string) => {
    const name = entry.startsWith(`${task.folder}/`) ? entry.slice(task.folder.length + 1) : "";
    return wanted.includes(name) || /^(licen[cs]e|readme)(\.(txt|md))?$/i.test(name) ? name : null;
  };
  try {
    await extractZip(zip, staged, { target, maxBytes, ...(signal ? { signal } : {}) });
  } catch (error) {
    if (!(error instanceof UserError) || error.exitCode !== ExitCode.model) throw error;
    await rm(zip, { force: true });
    throw dataError(error.message, error);
  }
  const missing = wanted.find((name) => !existsSync(path.join(staged, name)));
  if (missing) throw dataError(`${path.basename(zip)} holds no ${task.folder}/${missing}: it is another version's`);
}

async function checkStaged(task: Task, staged: string): Promise<Map<SplitName, Inspection>> {
  const inspections = new Map<SplitName, Inspection>();
  for (const [split, source] of Object.entries(task.splits) as [SplitName, SplitSource][]) {
    const file = path.join(staged, source.file);
    const inspection = await inspectSplit(file, source);
    requireRows(file, inspection, source.rows, "Fetch it from another place (--mirror)");
    inspections.set(split, inspection);
  }
  return inspections;
}

/** The whole folder at once where there is none, else the files that are missing or to be replaced. */
async function place(
  task: Task,
  staged: string,
  fresh: ReadonlyMap<SplitName, Inspection>,
  kept: readonly PlacedFile[],
  target: string,
): Promise<DownloadedTask> {
  const placed: PlacedFile[] = [];
  const notes: string[] = [];
  const whole = !existsSync(target) && kept.length === 0;
  if (whole) await moveIntoPlace(staged, target);
  for (const [split, inspection] of fresh) {
    const before = kept.find((file) => file.split === split);
    if (before && before.sha256 !== inspection.sha256) {
      notes.push(`${before.path} has as many rows as the published file and another content; it stays as it is`);
    }
    const name = task.splits[split]?.file as string;
    const file = path.join(target, name);
    if (!before && !whole) await moveIntoPlace(path.join(staged, name), file);
    placed.push(before ?? { split, path: file, kept: false, ...inspection });
  }
  return { task: task.name, state: "downloaded", files: placed, notes };
}
