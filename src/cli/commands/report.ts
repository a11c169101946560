// flexbert report: one HTML page and a Markdown file about the stored runs.

import path from "node:path";
import { userTasks } from "../../api/session";
import { packageVersion } from "../../files/version";
import { formatScore } from "../../messages/quantities";
import { kOf } from "../../model/place";
import { option, optional } from "../../options/option";
import { decimals, text } from "../../options/readers";
import type { Report } from "../../report/report";
import { configOption } from "../../settings/call";
import { modelFolder } from "../../settings/model";
import { chooseBy } from "../../settings/selection";
import { taskOptions } from "../../settings/tasks";
import { checkpointOptions } from "../../settings/work";
import { defineCommand } from "../command";
import { table } from "../terminal";

const { task, tasks } = taskOptions;

export const reportCommand = defineCommand({
  description:
    "Writes scores by task and k, methods with their layers, students by start, score against layers, learning curves, time " +
    "and savings, from the run folders alone. The page needs no network; its charts and data lie beside it as SVG and CSV.",
  options: {
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
    thresholds: option(decimals({ min: 0 }), {
      flag: "--thresholds",
      value: "<points>",
      help: "mixed methods: points that each further layer must bring",
      fallback: "1,2,3",
    }),
    ...chooseBy,
    ...configOption,
  },
  examples: [
    "report",
    "report --out report/ --merged merged/",
    "report --task rte,mrpc --base sentence-transformers/all-MiniLM-L6-v2 --thresholds 0.5,1,2",
  ],
  async run(values, terminal) {
    const { knownTasks, resolveTasks } = await import("../../tasks/registry.js");
    const { buildReport, MARKDOWN, PAGE, writeReport } = await import("../../report/report.js");
    const own = await userTasks(values);
    const only = values.task === undefined || values.task === "all" ? null : resolveTasks(values.task, own);
    const { checkpoints, base, merged, thresholds, chooseBy } = values;
    const report = await buildReport({
      ...{ checkpoints, recipes: terminal.recipes, thresholds, chooseBy, labels: knownTasks(own) },
      ...(base === undefined ? {} : { base }),
      ...(merged === undefined ? {} : { merged }),
      ...(only === null ? {} : { only: only.map(({ name }) => name) }),
    });
    const files = await writeReport(report, values.out, packageVersion());
    if (terminal.json) {
      terminal.printJson({ out: values.out, page: path.join(values.out, PAGE), files, ...described(report) });
      return;
    }
    for (const warning of report.document.warnings) terminal.reporter.warn(warning);
    terminal.print(
      table(
        ["method", "average", "layers", "overhead"],
        report.methods.map(({ name, average, cost }) => [
          name,
          formatScore(average?.score ?? null),
          cost?.layers ?? "-",
          cost ? `${(100 * cost.share).toFixed(0)} %` : "-",
        ]),
      ),
    );
    terminal.print(`\n${path.join(values.out, PAGE)} and ${MARKDOWN}: ${report.document.summary}`);
  },
});

/** The numbers of the tables, for --json. */
function described({ base, tasks, methods, document }: Report) {
  return {
    base,
    warnings: document.warnings,
    tasks: tasks.map(({ name, metric, devRows, chosen, teacher, arms }) => ({
      task: name,
      metric,
      split: "dev",
      devRows,
      chosen: chosen?.layers ?? null,
      teacher: teacher?.folder ?? null,
      scores: arms.map((arm) => ({
        k: kOf(arm),
        max: arm.best.record.score,
        mean: arm.spread?.mean ?? null,
        sd: arm.spread?.sd ?? null,
        seeds: arm.scores.size,
      })),
    })),
    methods: methods.map(({ name, average, cost, cells }) => ({
      method: name,
      average: average?.score ?? null,
      layers: cost?.layers ?? null,
      shared: cost?.shared ?? null,
      overhead: cost?.share ?? null,
      tasks: cells.map((cell, i) => ({
        task: tasks.filter((task) => task.chosen)[i]?.name,
        score: cell?.score ?? null,
        layers: cell?.layers ?? null,
        verdict: cell?.comparison?.verdict ?? null,
      })),
    })),
  };
}
