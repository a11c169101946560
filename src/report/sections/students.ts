// Students by layers and start (the paper's Figure 2): box plots, and whether the start makes a difference.

import type { Arm } from "../arms";
import { studentsChart } from "../charts/charts";
import type { TaskResults } from "../collect";
import type { Cell, ReportChart, ReportSection, ReportTable } from "../document";
import { compareOverSeeds } from "../statistics";
import {
  listOf,
  metricName,
  noiseNote,
  points,
  provenance,
  seedsText,
  signedPoints,
  spreadText,
  verdictText,
} from "../words";

const startOf = ({ init }: Arm) => (init === "pretrained" ? "from the base" : "from the teacher");

/** null where no task has a student. */
export function studentsSection(all: readonly TaskResults[]): ReportSection | null {
  const tasks = all.filter(({ students }) => students.length > 0);
  if (tasks.length === 0) return null;
  const arms = tasks.flatMap(({ students }) => students);
  const without = all.filter(({ students }) => students.length === 0).map(({ title }) => title);
  return {
    id: "students",
    title: "Students by layers and start",
    paragraphs: [
      "A student has the teacher's fork and fewer layers. It begins as the bottom layers of its teacher's branch, or as " +
        "the pre-trained base's layers at the same depth; the head of the latter is new.",
      ...(without.length > 0 ? [`Without a student of its teacher: ${listOf(without)}.`] : []),
    ],
    blocks: [studentsBoxes(tasks, arms), studentsTable(tasks, arms)],
  };
}

function studentsBoxes(tasks: readonly TaskResults[], arms: readonly Arm[]): ReportChart {
  const panels = tasks.map((task) => {
    const rows = task.students.flatMap((arm) =>
      arm.runs.flatMap(({ record }) =>
        record.score === null ? [] : [{ layers: String(arm.layers), init: startOf(arm), score: 100 * record.score }],
      ),
    );
    const metric = metricName(task.metric);
    const means = task.students.map(
      (arm) => `${arm.layers} ${startOf(arm)}: ${arm.spread ? points(arm.spread.mean) : "undefined"}`,
    );
    const teacher = task.teacher?.record.score ?? null;
    return {
      name: `students-${task.name}`,
      alt: `${task.title}, dev ${metric} of students by layers and start, ${seedsText(task.students)}; means: ${means.join(", ")}. Teacher: ${points(teacher)}.`,
      spec: studentsChart(task.title, `dev ${metric}`, rows, teacher === null ? null : 100 * teacher),
    };
  });
  const few = arms.some(({ scores }) => scores.size < 5);
  return {
    kind: "chart",
    id: "chart-students",
    caption: `Students' scores; box: quartiles, whiskers: all seeds, points: each seed. The line is the teacher's best seed. ${provenance(tasks, arms)}`,
    panels,
    notes: few ? ["A box of fewer than five seeds shows little more than its points."] : [],
    csv: {
      file: "students-seeds.csv",
      header: ["task", "metric", "split", "layers", "init", "seed", "score", "run"],
      rows: tasks.flatMap((task) =>
        task.students.flatMap((arm) =>
          arm.runs.map(({ record }) => [
            ...[task.name, task.metric, "dev", arm.layers, arm.init, record.seed, record.score, record.id],
          ]),
        ),
      ),
    },
  };
}

interface Pair {
  readonly task: TaskResults;
  readonly layers: number;
  readonly fromTeacher: Arm | null;
  readonly fromBase: Arm | null;
}

function pairsOf(task: TaskResults): Pair[] {
  const layers = [...new Set(task.students.map((arm) => arm.layers))];
  const find = (count: number, init: string) =>
    task.students.find((arm) => arm.layers === count && (arm.init ?? "teacher") === init) ?? null;
  return layers.map((count) => ({
    task,
    layers: count,
    fromTeacher: find(count, "teacher"),
    fromBase: find(count, "pretrained"),
  }));
}

function studentsTable(tasks: readonly TaskResults[], arms: readonly Arm[]): ReportTable {
  const pairs = tasks.flatMap(pairsOf);
  const compared = pairs.map((pair) => {
    const { fromTeacher, fromBase } = pair;
    const comparison = fromTeacher && fromBase ? compareOverSeeds(fromBase.scores, fromTeacher.scores) : null;
    return { ...pair, comparison };
  });
  const armCell = (arm: Arm | null): Cell =>
    arm
      ? { text: points(arm.best.record.score), detail: spreadText(arm.spread, arm.scores.size) }
      : { text: "–", detail: "not trained" };
  return {
    kind: "table",
    id: "table-students",
    caption: `Maximum over seeds, and mean ± standard deviation below. ${provenance(tasks, arms)}`,
    columns: [
      { title: "Task" },
      { title: "Layers", numeric: true },
      { title: "From the teacher", numeric: true },
      { title: "From the base", numeric: true },
      { title: "Gain of the teacher's layers", numeric: true },
    ],
    rows: compared.map(({ task, layers, fromTeacher, fromBase, comparison }) => [
      { text: task.title },
      { text: String(layers) },
      armCell(fromTeacher),
      armCell(fromBase),
      comparison && comparison.difference !== null
        ? {
            text: signedPoints(comparison.difference),
            detail: verdictText(comparison),
            ...(comparison.verdict === "clear" ? {} : { mark: comparison.verdict }),
          }
        : { text: "–" },
    ]),
    notes: ["≈ inside the noise; ? unknown. The gain is the mean over the seeds that both have.", noiseNote],
    csv: {
      file: "students.csv",
      header: [
        ...["task", "metric", "split", "layers", "teacher_max", "teacher_mean", "teacher_sd", "teacher_seeds"],
        ...["base_max", "base_mean", "base_sd", "base_seeds", "difference", "half_width_95", "verdict"],
      ],
      rows: compared.map(({ task, layers, fromTeacher, fromBase, comparison }) => [
        ...[task.name, task.metric, "dev", layers, ...armFields(fromTeacher), ...armFields(fromBase)],
        ...[comparison?.difference ?? null, comparison?.halfWidth ?? null, comparison?.verdict ?? null],
      ]),
    },
  };
}

const armFields = (arm: Arm | null) => [
  arm?.best.record.score ?? null,
  arm?.spread?.mean ?? null,
  arm?.spread?.sd ?? null,
  arm?.scores.size ?? null,
];
