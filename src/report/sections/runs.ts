// What the report stands on: each task's data and runs, and every run as a CSV row.

import { counted } from "../../messages/words";
import { kOf } from "../../model/place";
import { hasOtherForks, type TaskResults } from "../collect";
import type { Cell, ReportSection, ReportTable } from "../document";
import { metricName } from "../words";

export function runsSection(tasks: readonly TaskResults[]): ReportSection {
  return {
    id: "runs",
    title: "Tasks and runs",
    paragraphs: [
      "Only runs that were scored on the same dev rows compare: of each task, the newest such group counts.",
    ],
    blocks: [runsTable(tasks)],
  };
}

function runsTable(tasks: readonly TaskResults[]): ReportTable {
  return {
    kind: "table",
    id: "table-runs",
    caption: "Data and runs by task. Scores are of the dev split.",
    columns: [
      { title: "Task" },
      { title: "Metric" },
      { title: "Train rows", numeric: true },
      { title: "Dev rows", numeric: true },
      { title: "k" },
      { title: "Students" },
      { title: "Seeds", numeric: true },
      { title: "Settings", numeric: true },
      { title: "Runs", numeric: true },
      { title: "Left out", numeric: true },
      { title: "Unfinished", numeric: true },
    ],
    rows: tasks.map((task) => {
      const arms = [...task.arms, ...task.students];
      return [
        { text: task.title, ...(task.title === task.name ? {} : { detail: task.name }) },
        { text: metricName(task.metric) },
        { text: String(task.trainRows), ...leftOut(task.trainSkipped) },
        { text: String(task.devRows), ...leftOut(task.devSkipped) },
        { text: task.arms.map((arm) => kOf(arm)).join(", ") },
        studentsCell(task),
        { text: range(arms.map(({ scores }) => scores.size)) },
        { text: range(arms.map(({ settings }) => settings)) },
        { text: String(task.runs.length) },
        { text: String(task.leftOut) },
        { text: String(task.unfinished) },
      ];
    }),
    notes: [
      "Left out: finished runs on other dev rows, on other weights of the base, or students of another teacher. " +
        "Settings: combinations of epochs, learning rate and other options within one k or l.",
    ],
    csv: {
      file: "runs.csv",
      header: [
        ...["task", "run", "method", "layers", "fork", "init", "seed", "split", "metric", "score", "best_epoch"],
        ...["steps", "seconds", "tokens_per_second", "train_rows", "dev_rows", "engine", "options"],
      ],
      rows: tasks.flatMap((task) =>
        task.runs.map(({ record }) => [
          ...[task.name, record.id, record.method, kOf(record, record.teacher ? "students" : "teachers"), record.fork],
          ...[record.init ?? null, record.seed, "dev", task.metric, record.score],
          // From 1, as everywhere that people read.
          ...[record.bestEpoch === null ? null : record.bestEpoch + 1, record.steps, record.seconds],
          ...[record.tokensPerSecond, record.trainData.rows, record.devData.rows, record.engine],
          JSON.stringify(record.options),
        ]),
      ),
    },
  };
}

/** Their layers, and the forks where some stand on other ones than their teacher's. */
function studentsCell(task: TaskResults): Cell {
  const layers = [...new Set(task.students.map((arm) => arm.layers))];
  const forks = [...new Set(task.students.map(({ fork }) => fork ?? 0))].sort((a, b) => a - b);
  const detail = hasOtherForks([task]) ? { detail: `above forks ${forks.join(", ")}` } : {};
  return { text: layers.join(", ") || "none", ...detail };
}

const leftOut = (skipped: number) => (skipped === 0 ? {} : { detail: `${counted(skipped, "broken row")} left out` });

function range(values: readonly number[]): string {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return least === most ? String(most) : `${least} to ${most}`;
}
