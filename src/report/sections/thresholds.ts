// Tasks whose labels have thresholds of their own, chosen on dev rows: what the choice wins there, and the thresholds.

import type { StoredRun } from "../../checkpoints/runs/run-folder";
import { bestByPlace } from "../arms";
import type { TaskResults } from "../collect";
import type { Cell, ReportSection, ReportTable } from "../document";
import { points } from "../words";

interface TunedRun {
  readonly task: TaskResults;
  readonly run: StoredRun;
}

/** Of each tuned task its teacher and the best student of each place; null where no task is tuned. */
export function thresholdsSection(tasks: readonly TaskResults[]): ReportSection | null {
  const runs = tasks.flatMap((task): TunedRun[] => {
    const { teacher, taughtBy, students } = task;
    const taught = teacher ?? taughtBy;
    const all = [...(taught ? [taught] : []), ...bestByPlace(students).map(({ best }) => best)];
    return all.filter(({ record }) => record.tuned).map((run) => ({ task, run }));
  });
  if (runs.length === 0) return null;
  return {
    id: "thresholds",
    title: "Tuned thresholds",
    paragraphs: [
      "Each label has the threshold that does best on the dev rows, so that scores there are better than those of other rows will be. " +
        "How much of a score is the choice's can be read beside what one threshold for all labels scores.",
    ],
    blocks: [scoresTable(runs), thresholdsTable(runs)],
  };
}

const nameOf = ({ record: { teacher, layers, fork } }: StoredRun): string =>
  `${teacher ? "student" : "teacher"}, ${layers} on ${fork ?? "none"}`;

const untunedOf = ({ run: { record }, task }: TunedRun): number | null =>
  record.tuned?.untuned.metrics[task.metric] ?? null;

function scoresTable(runs: readonly TunedRun[]): ReportTable {
  return {
    kind: "table",
    id: "table-tuned",
    caption: "Dev scores with tuned thresholds, and with one for all labels.",
    columns: [
      { title: "Task" },
      { title: "Branch" },
      { title: "Metric" },
      { title: "Tuned", numeric: true },
      { title: "Untuned", numeric: true },
    ],
    rows: runs.map((one): Cell[] => [
      { text: one.task.title },
      { text: nameOf(one.run) },
      { text: one.task.metric },
      { text: points(one.run.record.score) },
      { text: points(untunedOf(one)) },
    ]),
    notes: [],
    csv: null,
  };
}

/** Labels that are shown; the data file has all. */
const SHOWN = 40;

function thresholdsTable(runs: readonly TunedRun[]): ReportTable {
  const each = runs.flatMap(({ task, run }) =>
    (run.record.tuned?.thresholds ?? []).map((threshold, id) => ({
      task,
      run,
      label: run.record.labels[id],
      threshold,
    })),
  );
  return {
    kind: "table",
    id: "table-thresholds-of-labels",
    caption: "The probability from which a label holds.",
    columns: [{ title: "Task" }, { title: "Branch" }, { title: "Label" }, { title: "Threshold", numeric: true }],
    rows: each
      .slice(0, SHOWN)
      .map(({ task, run, label, threshold }): Cell[] => [
        { text: task.title },
        { text: nameOf(run) },
        { text: label as string },
        { text: String(Number(threshold.toPrecision(3))) },
      ]),
    notes: each.length > SHOWN ? [`${each.length - SHOWN} more are in the data file.`] : [],
    csv: {
      file: "label-thresholds.csv",
      header: ["task", "run", "label", "threshold"],
      rows: each.map(({ task, run, label, threshold }) => [task.name, run.record.id, label as string, threshold]),
    },
  };
}
