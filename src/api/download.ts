// GLUE's files from where they are published, a mirror, or a folder.

import path from "node:path";
import type { DownloadedTask } from "../data/glue/download";
import type { Mirror } from "../data/glue/fetch-source";
import type { GlueSource, SourceFile } from "../data/glue/sources";
import { dataError, ExitCode, UserError, usageError } from "../errors/errors";
import { cacheFolder } from "../files/cache";
import { type Given, readGiven } from "../options/given";
import { optional, toggle, type Values } from "../options/option";
import { text } from "../options/readers";
import { offline } from "../settings/call";
import { taskOptions } from "../settings/tasks";
import type { SplitName, Task } from "../tasks/task";
import { type Call, type Caller, callOf } from "./caller";
import { fileProgress } from "./file-progress";
import { userTasks } from "./session";

export const downloadOptions = {
  ...taskOptions,
  mirror: optional(text, {
    flag: "--mirror",
    value: "<address>",
    help: "from this host, which has the official paths or all files beside each other, or this folder",
  }),
  force: toggle({ flag: "--force", short: "-f", help: "replace files that are there", inConfig: false }),
  ...offline,
};

export type DownloadOptions = Given<typeof downloadOptions>;
type DownloadValues = Values<typeof downloadOptions>;

type Chosen = readonly (readonly [Task, GlueSource])[];

type Failures = readonly { readonly task: Task; readonly error: UserError }[];

const describeFailure = ({ task, error }: Failures[number]) => `${task.name}: ${error.lines.join("; ")}`;

const MIRROR_VARIABLE = "FLEXBERT_GLUE_MIRROR";

export interface PlannedDownload {
  readonly task: string;
  readonly folder: string;
  /** Splits whose files are not there. */
  readonly missing: readonly SplitName[];
  readonly files: readonly { readonly from: string; readonly bytes: number; readonly sha256: string }[];
}

/** What a download would fetch: nothing of a task that misses nothing. */
export async function planDownload(options: DownloadOptions = {}): Promise<PlannedDownload[]> {
  const values = readGiven(downloadOptions, options);
  const { findSplitFile } = await import("../data/read-split.js");
  const { filesOf, nameOf } = await import("../data/glue/sources.js");
  const chosen = await chosenSources(values);
  const mirror = await mirrorOf(values.mirror);
  const from = (file: SourceFile) =>
    mirror.kind === "folder" ? path.join(mirror.folder, nameOf(file)) : `${mirror.url}/${file.path}`;
  return chosen.map(([task, source]) => {
    const splits = Object.keys(task.splits) as SplitName[];
    const missing = splits.filter((split) => findSplitFile(task, split, values.glueData) === null);
    const files = filesOf(source).map((file) => ({ from: from(file), bytes: file.bytes, sha256: file.sha256 }));
    return { task: task.name, folder: path.join(values.glueData, task.folder), missing, files };
  });
}

/**
 * Fetches, checks and unpacks GLUE's files, of all ten tasks where none is named; what is complete stays.
 * Throws UserError (3) naming every task whose files are wrong, after the others; (1) where the network fails.
 */
export async function downloadData(options: DownloadOptions = {}, caller: Caller = {}): Promise<DownloadedTask[]> {
  const { done, failure } = await downloadAll(options, callOf(caller), () => undefined);
  if (failure) throw failure;
  return done;
}

/** The same, telling of each task as it is there: what failed is no reason to hide what did not. */
export async function downloadAll(
  given: DownloadOptions,
  call: Call,
  onTask: (task: DownloadedTask) => void,
): Promise<{ readonly done: DownloadedTask[]; readonly failure: UserError | null }> {
  const values = readGiven(downloadOptions, given);
  const chosen = await chosenSources(values);
  const mirror = await mirrorOf(values.mirror);
  const done: DownloadedTask[] = [];
  const failed: { task: Task; error: UserError }[] = [];
  const network = values.offline || mirror.kind === "folder" ? null : await openNetwork();
  const progress = fileProgress("", call);
  try {
    const { downloadTask } = await import("../data/glue/download.js");
    const options = {
      glueData: values.glueData,
      downloads: path.join(cacheFolder(), "glue"),
      force: values.force,
      mirror,
      network,
      signal: call.signal,
      onProgress: progress.onProgress,
    };
    for (const [task, source] of chosen) {
      try {
        done.push(await downloadTask(task, source, options));
      } catch (error) {
        // Other tasks' files may well be whole; a network or a disk that fails would fail for them too.
        if (!(error instanceof UserError) || error.exitCode !== ExitCode.data || call.signal.aborted) {
          throw await explained(error, failed, chosen.slice(done.length + failed.length), values.glueData);
        }
        failed.push({ task, error });
        continue;
      } finally {
        progress.end();
      }
      tellNotes(done.at(-1) as DownloadedTask, call);
      onTask(done.at(-1) as DownloadedTask);
    }
  } finally {
    await network?.close();
  }
  return { done, failure: failed.length > 0 ? await allFailures(failed, chosen, values.glueData) : null };
}

function tellNotes({ files, notes }: DownloadedTask, { reporter }: Call): void {
  for (const note of notes) reporter.warn(note);
  for (const { path: file, broken } of files) {
    if (broken > 0) reporter.warn(`${file} has ${broken} rows that lack columns, as published`);
  }
}

async function openNetwork() {
  return (await import("../files/network.js")).openNetwork();
}

/** All ten of GLUE, or those named. */
async function chosenSources(values: DownloadValues): Promise<Chosen> {
  const { glueTasks } = await import("../tasks/glue.js");
  const { sourceOf } = await import("../data/glue/sources.js");
  const { resolveTasks } = await import("../tasks/registry.js");
  const all = values.task === undefined || values.task.trim() === "all";
  const tasks = all ? Object.values(glueTasks) : resolveTasks(values.task, await userTasks(values));
  return tasks.map((task) => {
    const source = sourceOf(task);
    if (source) return [task, source];
    throw usageError(`${task.name} is a task of your own: download knows GLUE's, ${Object.keys(glueTasks).join(", ")}`);
  });
}

async function mirrorOf(flag: string | undefined): Promise<Mirror> {
  const { officialHost, parseMirror } = await import("../data/glue/fetch-source.js");
  const variable = process.env[MIRROR_VARIABLE];
  if (flag !== undefined) return parseMirror(flag, "--mirror");
  return variable ? parseMirror(variable, MIRROR_VARIABLE) : officialHost;
}

/** What failed before, and for a source that is out of reach what to put where by hand. */
async function explained(error: unknown, before: Failures, left: Chosen, glueData: string): Promise<unknown> {
  if (!(error instanceof UserError)) return error;
  const { OutOfReach } = await import("../data/glue/fetch-source.js");
  const { byHand } = await import("../data/glue/sources.js");
  const lines = [...before.map(describeFailure), ...error.lines];
  if (error instanceof OutOfReach) lines.push(...byHand(left, glueData));
  return new UserError(error.exitCode, lines, { cause: error });
}

async function allFailures(failed: Failures, chosen: Chosen, glueData: string): Promise<UserError> {
  const { OutOfReach } = await import("../data/glue/fetch-source.js");
  const { byHand } = await import("../data/glue/sources.js");
  const lines = failed.map(describeFailure);
  const outOfReach = failed.filter(({ error }) => error instanceof OutOfReach).map(({ task }) => task);
  if (outOfReach.length > 0) {
    lines.push(
      ...byHand(
        chosen.filter(([task]) => outOfReach.includes(task)),
        glueData,
      ),
    );
  }
  return dataError(lines, failed[0]?.error);
}
