// The report: from stored runs to one HTML page and a Markdown file, with charts and data beside them. The page is
// renamed into place last: what it names is there before it.

import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import { modelError, usageError } from "../errors/errors";
import { writeFileAtomic } from "../files/atomic";
import { makeFolder } from "../files/folder";
import type { Manifest } from "../merge/folder/manifest";
import { readManifest } from "../merge/folder/version";
import { counted } from "../messages/words";
import { families } from "../model/families/families";
import type { Recipes } from "../recipes/recipe";
import type { LatencyModel } from "../selection/latency";
import { readSelection, type Selected } from "../selection/selection-file";
import type { ChooseBy } from "../settings/selection";
import { type Draw, type Drawing, draw as drawWithVega, standaloneSvg } from "./charts/draw";
import { collectTask, readStoredTasks, reportedBase, type TaskLabel, type TaskResults } from "./collect";
import { csvText } from "./csv";
import type { Panel, ReportDocument, ReportSection } from "./document";
import { filesOfPage, htmlPage } from "./html";
import { readJointArms } from "./joint";
import { chartFile, dataFile, markdownReport } from "./markdown";
import { costsOfMethods } from "./method-costs";
import { compareMethods, hasTeacher, type Method, withCandidates } from "./methods";
import { curvesSection } from "./sections/curves";
import { exitsSection } from "./sections/exits";
import { meansSection } from "./sections/means";
import { methodsSection } from "./sections/methods";
import { runsSection } from "./sections/runs";
import { savingsSection } from "./sections/savings";
import { scoresSection } from "./sections/scores";
import { selectionSection } from "./sections/selection";
import { studentsSection } from "./sections/students";
import { thresholdsSection } from "./sections/thresholds";
import { timeSection } from "./sections/time";
import { tradeoffSection } from "./sections/tradeoff";
import { listOf } from "./words";

export const PAGE = "index.html";
export const MARKDOWN = "report.md";

export interface ReportRequest {
  readonly checkpoints: string;
  /** Without it, the only base that the folder has runs of. */
  readonly base?: string;
  /** The training methods whose runs it reads. */
  readonly recipes: Recipes;
  /** Tasks that are known, in the order of tables. */
  readonly labels: readonly TaskLabel[];
  /** Only these tasks; each must have a finished run. */
  readonly only?: readonly string[];
  readonly chooseBy: ChooseBy;
  /** Points that each further layer must bring. */
  readonly thresholds: readonly number[];
  /** A merged folder to show beside the methods. */
  readonly merged?: string;
  /** What layers cost: without it there is no front against milliseconds. */
  readonly latency?: LatencyModel;
  /** A selection's file to show. */
  readonly selection?: string;
}

export interface Report {
  readonly document: ReportDocument;
  readonly base: string;
  readonly tasks: readonly TaskResults[];
  readonly methods: readonly Method[];
}

/** Reads runs and says what they show. Throws modelError (4) where there is nothing to report on. */
export async function buildReport(request: ReportRequest): Promise<Report> {
  const base = await reportedBase(request.checkpoints, request.base, request.recipes);
  const { tasks, unfinished } = await reportedTasks(request, base);
  const merged = request.merged === undefined ? null : await mergedOf(request.merged, tasks);
  const { latency = null } = request;
  if (latency) requireBase(latency, (tasks[0] as TaskResults).base);
  const selected = request.selection === undefined ? null : await selectedOf(request.selection, tasks);
  const all = withCandidates(tasks);
  const withTeacher = all.filter(hasTeacher);
  const joint = await readJointArms(request.checkpoints, tasks);
  const compared = { recipes: request.recipes, thresholds: request.thresholds, merged, joint };
  const methods = compareMethods(all, compared);
  const costs = await costsOfMethods(methods, request.base ?? (tasks[0] as TaskResults).base.name, latency);
  // Fronts are of choices among branches: a task without any has no part in them.
  const ofBranches = withTeacher.length === all.length ? methods : compareMethods(withTeacher, compared);
  const sections: (ReportSection | null)[] = [
    scoresSection(tasks, request.chooseBy),
    methods.length > 0 ? methodsSection(all, methods, costs) : null,
    studentsSection(tasks, request.recipes),
    thresholdsSection(tasks),
    tradeoffSection(withTeacher, ofBranches, latency),
    meansSection(tasks),
    await exitsSection(tasks),
    selected && selectionSection(selected, tasks),
    await curvesSection(tasks),
    timeSection(tasks, request.recipes),
    savingsSection(tasks),
    runsSection(tasks),
  ];
  const { name, layers, family } = (tasks[0] as TaskResults).base;
  const kind = family ? `${families[family].title}, ` : "";
  const runs = tasks.reduce((sum, task) => sum + task.runs.length, 0);
  const document: ReportDocument = {
    title: `flexbert report: ${name}`,
    summary:
      `${counted(tasks.length, "task")} on ${name} (${kind}${layers} layers), ` +
      `${counted(runs, "finished run")}; scores are of the dev split.`,
    warnings: warningsOf(tasks, unfinished),
    sections: sections.filter((section) => section !== null),
  };
  return { document, base, tasks, methods };
}

async function reportedTasks({ checkpoints, recipes, labels, only, chooseBy }: ReportRequest, base: string) {
  const stored = await readStoredTasks(checkpoints, base, labels, recipes);
  const wanted = only ? stored.filter(({ label }) => only.includes(label.name)) : stored;
  const collected = wanted.map((task) => ({ name: task.label.name, results: collectTask(task, chooseBy) }));
  const tasks = collected.flatMap(({ results }) => (results ? [results] : []));
  const absent = only?.filter((name) => !tasks.some((task) => task.name === name)) ?? [];
  if (absent.length > 0) {
    throw modelError(
      `no finished run of ${absent.join(", ")} in ${checkpoints} on ${base}. Run: flexbert finetune --task ${absent.join(",")} --base ${base}`,
    );
  }
  const [first] = tasks;
  if (!first) throw modelError(`no finished run in ${checkpoints} on ${base}. Run: flexbert finetune --task NAME`);
  const other = tasks.find((task) => task.base.sha256 !== first.base.sha256);
  if (other) {
    throw modelError(
      `${first.name} and ${other.name} were trained on different weights of ${base} (sha256 ` +
        `${first.base.sha256.slice(0, 8)} and ${other.base.sha256.slice(0, 8)}). Give one of them with --task`,
    );
  }
  const unfinished = collected.flatMap(({ name, results }) => (results ? [] : [name]));
  return { tasks, unfinished };
}

async function mergedOf(
  folder: string,
  tasks: readonly TaskResults[],
): Promise<{ folder: string; manifest: Manifest }> {
  const manifest = await readManifest(folder);
  const { base } = tasks[0] as TaskResults;
  if (manifest.base.sha256 === base.sha256) return { folder, manifest };
  throw modelError(
    `${folder} is merged from ${manifest.base.name} (sha256 ${manifest.base.sha256.slice(0, 8)}), the runs are of ` +
      `${base.name} (${base.sha256.slice(0, 8)}). Give the merged folder of these runs`,
  );
}

function requireBase({ measured }: LatencyModel, base: TaskResults["base"]): void {
  if (!measured || measured.baseSha256 === base.sha256) return;
  throw usageError(
    `--latency was measured on the base ${measured.base}, the runs are of ${base.name}. ` +
      `Run: flexbert select --measure --base ${base.name} --latency FILE`,
  );
}

async function selectedOf(file: string, tasks: readonly TaskResults[]): Promise<Selected> {
  const selected = await readSelection(file, "--selection");
  const { base } = tasks[0] as TaskResults;
  if (!selected.base || selected.base.sha256 === base.sha256) return selected;
  throw modelError(
    `${file} was chosen on ${selected.base.name} (sha256 ${selected.base.sha256.slice(0, 8)}), the runs are of ` +
      `${base.name} (${base.sha256.slice(0, 8)}). Give the selection of these runs`,
  );
}

function warningsOf(tasks: readonly TaskResults[], unfinished: readonly string[]): string[] {
  const arms = tasks.flatMap((task) => [...task.arms, ...task.students]);
  const single = arms.filter(({ scores }) => scores.size < 2);
  const running = tasks.filter((task) => task.unfinished > 0).map(({ title }) => title);
  const warnings: string[] = [];
  if (single.length === arms.length) {
    warnings.push(
      "One seed: the noise is unknown. No difference in this report can be told from chance; train with --seeds 5 to know.",
    );
  } else if (single.length > 0) {
    warnings.push(
      `${single.length} of ${arms.length} sets of runs have one seed: their noise is unknown, and they are marked with a question mark.`,
    );
  }
  if (running.length > 0) warnings.push(`Some runs of ${listOf(running)} are not finished and do not count.`);
  if (unfinished.length > 0) warnings.push(`Without any finished run, and left out: ${listOf(unfinished)}.`);
  return warnings;
}

/** Draws and writes the report. Throws usageError (2) where the folder holds somebody else's page. Returns its files. */
export async function writeReport(
  { document }: Report,
  out: string,
  version: string,
  draw: Draw = drawWithVega,
): Promise<string[]> {
  const earlier = await earlierFiles(out);
  const blocks = document.sections.flatMap((section) => section.blocks);
  const drawings = new Map<string, Drawing>();
  const panels: Panel[] = blocks.flatMap((block) => (block.kind === "chart" ? block.panels : []));
  for (const { name, spec } of panels) drawings.set(name, await draw(spec));
  const files = new Map<string, string>();
  for (const { csv } of blocks) if (csv) files.set(dataFile(csv.file), csvText(csv));
  for (const { name, alt } of panels) {
    files.set(chartFile(name), standaloneSvg(drawings.get(name) as Drawing, alt));
  }
  files.set(MARKDOWN, markdownReport(document));
  const names = [...files.keys()];
  files.set(PAGE, htmlPage(document, drawings, { version, files: names }));
  for (const folder of ["data", "charts"]) await makeFolder(path.join(out, folder));
  for (const [file, content] of files) await writeFileAtomic(path.join(out, file), content);
  for (const file of earlier) if (!files.has(file)) await rm(path.join(out, file), { force: true });
  return [PAGE, ...names];
}

/** Data and charts that an earlier report left in the folder: those that this one lacks would look like part of it. */
async function earlierFiles(out: string): Promise<string[]> {
  const page = path.join(out, PAGE);
  if (!existsSync(page)) return [];
  const files = filesOfPage(await readFile(page, "utf8"));
  if (files === null) {
    throw usageError(`${page} was not written by flexbert report and is left alone. Give another folder with --out`);
  }
  return files.filter((file) => /^(data|charts)\/[^/\\]+$/.test(file));
}
