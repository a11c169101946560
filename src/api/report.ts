// What the stored runs show: one HTML page and a Markdown file.

import path from "node:path";
import { packageVersion } from "../files/version";
import { kOf } from "../model/place";
import { type Given, readGiven } from "../options/given";
import type { K } from "../options/layers";
import { option, optional } from "../options/option";
import { decimals, text } from "../options/readers";
import type { Report } from "../report/report";
import { modelFolder } from "../settings/model";
import { chooseBy } from "../settings/selection";
import { taskOptions } from "../settings/tasks";
import { checkpointOptions } from "../settings/work";
import { type Call, type Caller, callOf } from "./caller";
import { userTasks } from "./session";

const { task, tasks } = taskOptions;

export const reportOptions = {
  out: option(text, {
    flag: "--out",
    short: "-o",
    value: "<folder>",
    help: "where the report is written",
    fallback: "report",
  }),
  task,
  tasks,
  base: optional(text, {
    flag: "--base",
    short: "-b",
    value: "<name>",
    help: "report on this base's runs (default: the only one that has any)",
  }),
  ...checkpointOptions,
  merged: optional(text, { ...modelFolder("--merged"), help: "show what this merged folder holds, too" }),
  latency: optional(text, {
    flag: "--latency",
    value: "<file>",
    help: "what layers cost, as select --measure writes it: the front against ms",
  }),
  selection: optional(text, {
    flag: "--selection",
    value: "<file>",
    help: "show what a selection's file chose, crossed scores too",
  }),
  thresholds: option(decimals({ min: 0 }), {
    flag: "--thresholds",
    value: "<points>",
    help: "mixed methods: points that each further layer must bring",
    fallback: "1,2,3",
  }),
  ...chooseBy,
};

export type ReportOptions = Given<typeof reportOptions>;

/** Scores are fractions, null where there is none. */
export interface ReportResult {
  readonly out: string;
  readonly page: string;
  /** Every file that was written. */
  readonly files: readonly string[];
  readonly base: string;
  readonly warnings: readonly string[];
  readonly tasks: readonly {
    readonly task: string;
    readonly metric: string;
    readonly split: "dev";
    readonly devRows: number;
    /** The k that was chosen. */
    readonly chosen: number | null;
    /** The teacher's folder. */
    readonly teacher: string | null;
    readonly scores: readonly {
      readonly k: K;
      readonly max: number | null;
      readonly mean: number | null;
      readonly sd: number | null;
      readonly seeds: number;
    }[];
    /** Of each place and start, by layers and fork. */
    readonly students: readonly {
      readonly method: string;
      readonly layers: number;
      readonly fork: number | null;
      readonly init: "teacher" | "pretrained" | null;
      readonly max: number | null;
      readonly mean: number | null;
      readonly sd: number | null;
      readonly seeds: number;
    }[];
  }[];
  readonly methods: readonly {
    readonly method: string;
    readonly average: number | null;
    /** Encoder layers of the merged model, those shared among them, and their share of one base a task. */
    readonly layers: number | null;
    readonly shared: number | null;
    readonly overhead: number | null;
    readonly tasks: readonly {
      readonly task: string | undefined;
      readonly score: number | null;
      readonly layers: number | null;
      readonly fork: number | null;
      readonly verdict: string | null;
    }[];
  }[];
}

/** Writes the report. Throws UserError (4) where there is nothing to report on. */
export async function report(options: ReportOptions = {}, caller: Caller = {}): Promise<ReportResult> {
  return describeReport(await makeReport(options, callOf(caller)));
}

export interface MadeReport {
  readonly report: Report;
  readonly out: string;
  readonly files: readonly string[];
}

export async function makeReport(options: ReportOptions, { recipes }: Call): Promise<MadeReport> {
  const values = readGiven(reportOptions, options);
  const { knownTasks, resolveTasks } = await import("../tasks/registry.js");
  const { buildReport, writeReport } = await import("../report/report.js");
  const own = await userTasks(values);
  const only = values.task === undefined || values.task === "all" ? null : resolveTasks(values.task, own);
  const latency = values.latency === undefined ? undefined : await readLatencyFile(values.latency);
  const { out, checkpoints, base, merged, selection, thresholds, chooseBy } = values;
  const report = await buildReport({
    ...{ checkpoints, recipes, thresholds, chooseBy, labels: knownTasks(own) },
    ...(base === undefined ? {} : { base }),
    ...(merged === undefined ? {} : { merged }),
    ...(latency === undefined ? {} : { latency }),
    ...(selection === undefined ? {} : { selection }),
    ...(only === null ? {} : { only: only.map(({ name }) => name) }),
  });
  return { report, out, files: await writeReport(report, out, packageVersion()) };
}

async function readLatencyFile(file: string) {
  const { readLatency } = await import("../selection/latency.js");
  return readLatency(file);
}

/** The numbers of the report's tables. */
export async function describeReport({ report, out, files }: MadeReport): Promise<ReportResult> {
  const { PAGE } = await import("../report/report.js");
  return { out, page: path.join(out, PAGE), files, ...described(report) };
}

const scoresOf = ({ best, spread, scores }: Report["tasks"][number]["arms"][number]) => ({
  max: best.record.score,
  mean: spread?.mean ?? null,
  sd: spread?.sd ?? null,
  seeds: scores.size,
});

function described({ base, tasks, methods, document }: Report): Omit<ReportResult, "out" | "page" | "files"> {
  return {
    base,
    warnings: document.warnings,
    tasks: tasks.map(({ name, metric, devRows, chosen, teacher, arms, students }) => ({
      task: name,
      metric,
      split: "dev",
      devRows,
      chosen: chosen?.layers ?? null,
      teacher: teacher?.folder ?? null,
      scores: arms.map((arm) => ({
        k: kOf(arm),
        ...scoresOf(arm),
      })),
      students: students.map((arm) => {
        const { method, layers, fork, init } = arm;
        return { method, layers, fork, init, ...scoresOf(arm) };
      }),
    })),
    methods: methods.map(({ name, average, cost, cells }) => ({
      method: name,
      average: average?.score ?? null,
      layers: cost?.layers ?? null,
      shared: cost?.shared ?? null,
      overhead: cost?.share ?? null,
      tasks: cells.map((cell, i) => ({
        task: tasks[i]?.name,
        score: cell?.score ?? null,
        layers: cell?.layers ?? null,
        fork: cell?.fork ?? null,
        verdict: cell?.comparison?.verdict ?? null,
      })),
    })),
  };
}
