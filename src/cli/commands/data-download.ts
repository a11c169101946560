// flexbert data download: GLUE's files from where they are published, a mirror or a folder.

import path from "node:path";
import { fileProgress } from "../../api/file-progress";
import { userTasks } from "../../api/session";
import type { DownloadedTask } from "../../data/glue/download";
import type { Mirror } from "../../data/glue/fetch-source";
import type { GlueSource, SourceFile } from "../../data/glue/sources";
import { dataError, ExitCode, UserError, usageError } from "../../errors/errors";
import { formatBytes } from "../../files/atomic";
import { cacheFolder } from "../../files/cache";
import type { Task } from "../../tasks/task";
import { type Terminal, table } from "../terminal";

export interface DownloadValues {
  readonly task: string | undefined;
  readonly tasks: string | undefined;
  readonly glueData: string;
  readonly mirror: string | undefined;
  readonly offline: boolean;
  readonly force: boolean;
  readonly dryRun: boolean;
}

type Chosen = readonly (readonly [Task, GlueSource])[];

type Failures = readonly { readonly task: Task; readonly error: UserError }[];

const describeFailure = ({ task, error }: Failures[number]) => `${task.name}: ${error.message}`;

const MIRROR_VARIABLE = "FLEXBERT_GLUE_MIRROR";

export async function downloadData(values: DownloadValues, terminal: Terminal): Promise<void> {
  const chosen = await chosenSources(values);
  const mirror = await mirrorOf(values.mirror);
  if (values.dryRun) return printPlan(chosen, mirror, values.glueData, terminal);
  const done: DownloadedTask[] = [];
  const failed: { task: Task; error: UserError }[] = [];
  const network = values.offline || mirror.kind === "folder" ? null : await openNetwork();
  const progress = fileProgress("", terminal);
  try {
    const { downloadTask } = await import("../../data/glue/download.js");
    const options = {
      glueData: values.glueData,
      downloads: path.join(cacheFolder(), "glue"),
      force: values.force,
      mirror,
      network,
      signal: terminal.signal,
      onProgress: progress.onProgress,
    };
    for (const [task, source] of chosen) {
      try {
        done.push(await downloadTask(task, source, options));
      } catch (error) {
        // Other tasks' files may well be whole; a network or a disk that fails would fail for them too.
        if (!(error instanceof UserError) || error.exitCode !== ExitCode.data || terminal.signal.aborted) {
          throw await explained(error, failed, chosen.slice(done.length + failed.length), values.glueData);
        }
        failed.push({ task, error });
        continue;
      } finally {
        progress.end();
      }
      report(done.at(-1) as DownloadedTask, terminal);
    }
  } finally {
    await network?.close();
  }
  if (terminal.json) terminal.printJson(done);
  if (failed.length > 0) throw await allFailures(failed, chosen, values.glueData);
}

async function openNetwork() {
  return (await import("../../files/network.js")).openNetwork();
}

/** All ten of GLUE, or those named. */
async function chosenSources(values: DownloadValues): Promise<Chosen> {
  const { glueTasks } = await import("../../tasks/glue.js");
  const { sourceOf } = await import("../../data/glue/sources.js");
  const { resolveTasks } = await import("../../tasks/registry.js");
  const all = values.task === undefined || values.task.trim() === "all";
  const tasks = all ? Object.values(glueTasks) : resolveTasks(values.task, await userTasks(values));
  return tasks.map((task) => {
    const source = sourceOf(task);
    if (source) return [task, source];
    throw usageError(`${task.name} is a task of your own: download knows GLUE's, ${Object.keys(glueTasks).join(", ")}`);
  });
}

async function mirrorOf(flag: string | undefined): Promise<Mirror> {
  const { officialHost, parseMirror } = await import("../../data/glue/fetch-source.js");
  const variable = process.env[MIRROR_VARIABLE];
  if (flag !== undefined) return parseMirror(flag, "--mirror");
  return variable ? parseMirror(variable, MIRROR_VARIABLE) : officialHost;
}

/** What failed before, and for a source that is out of reach what to put where by hand. */
async function explained(error: unknown, before: Failures, left: Chosen, glueData: string): Promise<unknown> {
  if (!(error instanceof UserError)) return error;
  const { OutOfReach } = await import("../../data/glue/fetch-source.js");
  const { byHand } = await import("../../data/glue/sources.js");
  const lines = [...before.map(describeFailure), error.message];
  if (error instanceof OutOfReach) lines.push(byHand(left, glueData));
  return new UserError(error.exitCode, lines.join("\n"), { cause: error });
}

async function allFailures(failed: Failures, chosen: Chosen, glueData: string): Promise<UserError> {
  const { OutOfReach } = await import("../../data/glue/fetch-source.js");
  const { byHand } = await import("../../data/glue/sources.js");
  const lines = failed.map(describeFailure);
  const outOfReach = failed.filter(({ error }) => error instanceof OutOfReach).map(({ task }) => task);
  if (outOfReach.length > 0) {
    lines.push(
      byHand(
        chosen.filter(([task]) => outOfReach.includes(task)),
        glueData,
      ),
    );
  }
  return dataError(lines.join("\n"), failed[0]?.error);
}

function report({ task, state, files, notes }: DownloadedTask, terminal: Terminal): void {
  for (const note of notes) terminal.reporter.warn(note);
  for (const { path: file, broken } of files) {
    if (broken > 0) terminal.reporter.warn(`${file} has ${broken} rows that lack columns, as published`);
  }
  if (terminal.json) return;
  const rows = files.map(({ split, rows: count }) => `${split} ${count}`).join(", ");
  const folder = path.dirname(files[0]?.path ?? "");
  terminal.print(`${task}: ${state === "present" ? "already complete" : "downloaded"} in ${folder} (rows: ${rows})`);
}

async function printPlan(chosen: Chosen, mirror: Mirror, glueData: string, terminal: Terminal): Promise<void> {
  const { findSplitFile } = await import("../../data/read-split.js");
  const { filesOf, nameOf } = await import("../../data/glue/sources.js");
  const from = (file: SourceFile) =>
    mirror.kind === "folder" ? path.join(mirror.folder, nameOf(file)) : `${mirror.url}/${file.path}`;
  const plan = chosen.map(([task, source]) => {
    const splits = Object.keys(task.splits) as (keyof Task["splits"])[];
    const missing = splits.filter((split) => findSplitFile(task, split, glueData) === null);
    const files = filesOf(source).map((file) => ({ from: from(file), bytes: file.bytes, sha256: file.sha256 }));
    return { task: task.name, folder: path.join(glueData, task.folder), missing, files };
  });
  if (terminal.json) return terminal.printJson(plan);
  const rows = plan.flatMap(({ task, folder, missing, files }) =>
    files.map((file) => [
      task,
      file.from,
      formatBytes(file.bytes),
      missing.length > 0 ? `${folder} (lacks ${missing.join(", ")})` : `${folder} (there)`,
    ]),
  );
  terminal.print(table(["task", "from", "size", "to"], rows));
  const bytes = plan
    .filter(({ missing }) => missing.length > 0)
    .reduce((sum, { files }) => sum + files.reduce((all, file) => all + file.bytes, 0), 0);
  terminal.print(`to fetch: ${formatBytes(bytes)}`);
}
