// Where texts leave early: of every run whose ramps were decided on the curve of score against layers, and the rule.

import type { StoredRun } from "../../checkpoints/runs/run-folder";
import { formatPercent } from "../../messages/quantities";
import { ownLayers } from "../../model/place";
import { readDecision, type StoredDecision } from "../../recipes/ramps/decision";
import { bestByPlace } from "../arms";
import { type ExitRow, exitsChart } from "../charts/exits";
import type { TaskResults } from "../collect";
import type { Cell, Panel, ReportChart, ReportSection, ReportTable } from "../document";
import { metricName, points } from "../words";

interface DecidedRun {
  readonly task: TaskResults;
  readonly run: StoredRun;
  /** "STS-B, student of 2 on fork 3" */
  readonly title: string;
  readonly decision: StoredDecision;
}

/** null where nothing was decided of any run that the report counts. Throws modelError (4) for a damaged decision. */
export async function exitsSection(tasks: readonly TaskResults[]): Promise<ReportSection | null> {
  const decided: DecidedRun[] = [];
  for (const task of tasks) {
    for (const run of task.runs) {
      const decision = await readDecision(run);
      if (decision) decided.push({ task, run, title: `${task.title}, ${nameOf(run)}`, decision });
    }
  }
  if (decided.length === 0) return null;
  return {
    id: "exits",
    title: "Early exits",
    paragraphs: [
      "A text leaves at the first ramp that is asked and has no more doubt than the rule's threshold. What a rule promises was tested on dev rows; a budget promises " +
        "nothing. Layers are those that a row takes on average: what a ramp itself costs is not among them.",
    ],
    blocks: [curves(decided), rules(decided)],
  };
}

const nameOf = ({ record: { teacher, layers, fork } }: StoredRun): string =>
  teacher ? `student of ${layers} on fork ${fork ?? "none"}` : `k = ${fork === null ? "full" : layers}`;

const inPoints = ({ layers, score }: { readonly layers: number; readonly score: number | null }): ExitRow[] =>
  score === null ? [] : [{ layers, score: 100 * score }];

/** Of each place the best student: all of its rows take all of its way. */
const studentsOf = ({ students }: TaskResults) =>
  bestByPlace(students).map(({ best: { record } }) => ({ layers: ownLayers(record)[1], score: record.score }));

const ruleOf = ({ rule, curve }: StoredDecision) =>
  rule ? curve.find(({ threshold }) => threshold === rule.threshold) : undefined;

function curves(decided: readonly DecidedRun[]): ReportChart {
  const panels = decided.map(({ task, run, title, decision }): Panel => {
    const metric = metricName(task.metric);
    const rule = ruleOf(decision);
    const said = (point: { readonly layers: number; readonly score: number | null }) =>
      `${points(point.score)} at ${point.layers.toFixed(1)} layers`;
    const students = studentsOf(task);
    const beside = students.length > 0 ? ` Students: ${students.map(said).join(", ")}.` : "";
    return {
      name: `exits-${task.name}-${run.record.id}`,
      alt:
        `${title}, dev ${metric} against the layers that a row takes, as the threshold moves: ${[...new Set(decision.curve.map(said))].join(", ")}. ` +
        `${rule ? `The rule: ${said(rule)}.` : "No rule."}${beside}`,
      spec: exitsChart(title, `dev ${metric}`, {
        curve: [...decision.curve].sort((a, b) => a.layers - b.layers).flatMap(inPoints),
        rule: (rule && inPoints(rule)[0]) ?? null,
        students: students.flatMap(inPoints),
      }),
    };
  });
  return {
    kind: "chart",
    id: "chart-exits",
    caption:
      "Dev score against layers as the threshold moves, a point each; ringed: the rule. Without a rule, through all ramps. Of students the best of each place.",
    panels,
    notes: ["What exits take of time is measured by bench/exits.mjs: it depends on the machine and on the batch."],
    csv: {
      file: "exits.csv",
      header: ["task", "metric", "split", "run", "line", "threshold", "layers", "score", "rule"],
      rows: decided.flatMap(({ task, run, decision }) => [
        ...decision.curve.map((point) => [
          ...[task.name, task.metric, "dev", run.record.id, "exits", point.threshold, point.layers, point.score],
          ...[point === ruleOf(decision)],
        ]),
        ...studentsOf(task).map(({ layers, score }) => [
          ...[task.name, task.metric, "dev", run.record.id, "students", null, layers, score, false],
        ]),
      ]),
    },
  };
}

function rules(decided: readonly DecidedRun[]): ReportTable {
  const without = decided.filter(({ decision }) => !decision.rule);
  return {
    kind: "table",
    id: "table-exits",
    caption: "By which rule texts leave, what it promises, and what dev rows did under it.",
    columns: [
      { title: "Task" },
      { title: "Rule" },
      { title: "Promise" },
      { title: "Ramps on layers" },
      { title: "Layers a row", numeric: true },
      { title: "Score", numeric: true },
      { title: "Whole", numeric: true },
      { title: "Lost", numeric: true },
    ],
    rows: decided.map(({ run, title, decision }): Cell[] => {
      const { rule } = decision;
      const whole = { text: points(run.record.score) };
      if (!rule) return [{ text: title }, { text: "none" }, ...Array(4).fill({ text: "" }), whole, { text: "" }];
      const { criterion, threshold, promise, budget, stops, measured } = rule;
      return [
        { text: title },
        { text: `${criterion} at most ${threshold.toPrecision(3)}` },
        promise
          ? { text: `keeps ${formatPercent(promise.keep)}`, detail: `confidence ${formatPercent(promise.confidence)}` }
          : { text: "none", detail: `a budget of ${budget} layers` },
        { text: stops.join(", ") },
        { text: measured.layers.toFixed(2), detail: `of ${measured.top}` },
        { text: points(ruleOf(decision)?.score ?? null) },
        whole,
        { text: String(Number(measured.lost.toPrecision(3))), detail: `of ${measured.counted}` },
      ];
    }),
    notes: [
      "Lost are rows that the whole model has right and a ramp wrong; of several labels rows whose labels differ; of values the squared step from the whole model's value in shares of the labels' variance.",
      ...without.map(({ title, decision }) => `${title}: no exits, because ${decision.why}`),
    ],
    csv: null,
  };
}
