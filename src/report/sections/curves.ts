// Learning curves of each task's teacher and best students: train loss by step, dev score by epoch.

import { kOf } from "../../model/place";
import type { Arm } from "../arms";
import { curvesChart } from "../charts/charts";
import { onTeachersFork, type TaskResults } from "../collect";
import { type Curve, readCurve } from "../curves";
import type { Panel, ReportChart, ReportSection } from "../document";
import { metricName, points, provenance } from "../words";

interface NamedCurve {
  readonly name: string;
  readonly arm: Arm;
  readonly curve: Curve;
}

interface TaskCurves {
  readonly task: TaskResults;
  readonly curves: readonly NamedCurve[];
}

/** Lines that a panel has room for: the teacher and three sizes of students. */
const MOST_LINES = 4;

/** null where no run left metrics, as imported ones. */
export async function curvesSection(tasks: readonly TaskResults[]): Promise<ReportSection | null> {
  const all: TaskCurves[] = [];
  for (const task of tasks) {
    const curves: NamedCurve[] = [];
    for (const { name, arm } of shownArms(task)) {
      const curve = await readCurve(arm.best, task.metric);
      if (curve.loss.length > 0 || curve.dev.length > 0) curves.push({ name, arm, curve });
    }
    if (curves.length > 0) all.push({ task, curves });
  }
  if (all.length === 0) return null;
  return {
    id: "curves",
    title: "Learning curves",
    paragraphs: [
      "The best seed of each task's teacher and of its students. A student's loss is the distillation loss: it does not " +
        "compare with its teacher's.",
    ],
    blocks: [devCurves(all), lossCurves(all)],
  };
}

/** The chosen k (without one, the largest), and of each size the best place and start of its students. */
function shownArms({ arms, chosen, students, taughtBy }: TaskResults): { name: string; arm: Arm }[] {
  const teacher = chosen ?? arms.at(-1);
  const best = new Map<number, Arm>();
  for (const arm of students) {
    const other = best.get(arm.layers);
    const score = (candidate: Arm) => candidate.best.record.score ?? Number.NEGATIVE_INFINITY;
    if (!other || score(arm) > score(other)) best.set(arm.layers, arm);
  }
  const above = (arm: Arm) => (onTeachersFork(arm, { taughtBy }) ? "" : ` above fork ${arm.fork}`);
  const shown = [...best.values()].map((arm) => ({ name: `student, l = ${arm.layers}${above(arm)}`, arm }));
  const first = teacher ? [{ name: `teacher, k = ${kOf(teacher)}`, arm: teacher }] : [];
  return [...first, ...shown].slice(0, MOST_LINES);
}

const armsOf = (all: readonly TaskCurves[]) => all.flatMap(({ curves }) => curves.map(({ arm }) => arm));
const drawnSeeds = (all: readonly TaskCurves[]) =>
  `One seed a line: the best of ${Math.max(...armsOf(all).map(({ scores }) => scores.size))}.`;

function caption(what: string, all: readonly TaskCurves[]): string {
  const tasks = all.map(({ task }) => task);
  return `${what} ${provenance(tasks, armsOf(all))} ${drawnSeeds(all)}`;
}

function devCurves(all: readonly TaskCurves[]): ReportChart {
  const panels = all.map(({ task, curves }): Panel => {
    const rows = curves.flatMap(({ name, curve }) =>
      curve.dev.flatMap(({ epoch, score }) => (score === null ? [] : [{ x: epoch, value: 100 * score, series: name }])),
    );
    const metric = metricName(task.metric);
    const ends = curves.map(({ name, curve }) => `${name}: ${curve.dev.map(({ score }) => points(score)).join(", ")}`);
    return {
      name: `dev-curve-${task.name}`,
      alt: `${task.title}, dev ${metric} after each epoch. ${ends.join("; ")}.`,
      spec: curvesChart(
        task.title,
        "epoch",
        `dev ${metric}`,
        curves.map(({ name }) => name),
        rows,
        true,
      ),
    };
  });
  return {
    kind: "chart",
    id: "chart-dev-curves",
    caption: caption("Dev score after each epoch.", all),
    panels,
    notes: [],
    csv: {
      file: "dev-curves.csv",
      header: ["task", "metric", "split", "run", "line", "seed", "epoch", "score"],
      rows: all.flatMap(({ task, curves }) =>
        curves.flatMap(({ name, curve: { run, dev } }) =>
          dev.map(({ epoch, score }) => [
            ...[task.name, task.metric, "dev", run.record.id, name, run.record.seed, epoch, score],
          ]),
        ),
      ),
    },
  };
}

function lossCurves(all: readonly TaskCurves[]): ReportChart {
  const panels = all.map(({ task, curves }): Panel => {
    const rows = curves.flatMap(({ name, curve }) =>
      curve.loss.map(({ step, loss }) => ({ x: step, value: loss, series: name })),
    );
    const ends = curves.map(({ name, curve: { loss } }) => {
      const range = [loss[0], loss.at(-1)].map((line) => line?.loss.toFixed(2) ?? "none");
      return `${name}: from ${range.join(" to ")}`;
    });
    return {
      name: `loss-curve-${task.name}`,
      alt: `${task.title}, train loss by step. ${ends.join("; ")}.`,
      spec: curvesChart(
        task.title,
        "step",
        "train loss",
        curves.map(({ name }) => name),
        rows,
        false,
      ),
    };
  });
  return {
    kind: "chart",
    id: "chart-loss-curves",
    caption: `Train loss, each point the mean of neighbouring steps that were logged. Split: train. Metric: loss. ${drawnSeeds(all)}`,
    panels,
    notes: ["Every logged step is in the run folders' metrics.jsonl."],
    csv: {
      file: "loss-curves.csv",
      header: ["task", "split", "run", "line", "seed", "step", "loss"],
      rows: all.flatMap(({ task, curves }) =>
        curves.flatMap(({ name, curve: { run, loss } }) =>
          loss.map(({ step, loss: value }) => [
            ...[task.name, "train", run.record.id, name, run.record.seed, step, value],
          ]),
        ),
      ),
    },
  };
}
