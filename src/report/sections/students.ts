// Students by layers and start (the paper's Figure 2): box plots of those on their teacher's fork, and whether the start
// makes a difference; those on other forks are in the table, and in a chart of their own.

import type { Place } from "../../model/place";
import type { Recipes } from "../../recipes/recipe";
import { groupBy } from "../../selection/group-by";
import type { Arm } from "../arms";
import { studentsChart } from "../charts/charts";
import { hasOtherForks, onTeachersFork, type TaskResults } from "../collect";
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
import { studentForks } from "./student-forks";

const startOf = ({ init }: Arm) => (init === "pretrained" ? "from the base" : "from the teacher");

/** null where no task has a student. */
export function studentsSection(all: readonly TaskResults[], recipes: Recipes): ReportSection | null {
  const tasks = all.filter(({ students }) => students.length > 0);
  if (tasks.length === 0) return null;
  const arms = tasks.flatMap(({ students }) => students);
  const titles = titlesOf(arms, recipes);
  const without = all.filter(({ students }) => students.length === 0).map(({ title }) => title);
  const elsewhere = hasOtherForks(tasks);
  const isSame = (task: TaskResults) => task.students.filter((arm) => onTeachersFork(arm, task));
  const same = tasks.map((task) => ({ ...task, students: isSame(task) })).filter(({ students }) => students.length > 0);
  return {
    id: "students",
    title: elsewhere ? "Students by layers, fork and start" : "Students by layers and start",
    paragraphs: [
      elsewhere
        ? "In the paper a student has its teacher's fork and fewer layers; others stand above other forks. It begins as " +
          "layers of its teacher's branch, those at its own depth unless said otherwise (on the teacher's fork its " +
          "bottom ones), or as the pre-trained base's layers at that depth; the head of the latter is new."
        : "A student has the teacher's fork and fewer layers. It begins as the bottom layers of its teacher's branch, or as " +
          "the pre-trained base's layers at the same depth; the head of the latter is new.",
      ...(without.length > 0 ? [`Without a student of its teacher: ${listOf(without)}.`] : []),
    ],
    blocks: [
      ...(same.length > 0
        ? [
            studentsBoxes(
              same,
              same.flatMap(({ students }) => students),
              titles,
              elsewhere ? "Scores of students above their teacher's fork" : "Students' scores",
            ),
          ]
        : []),
      ...(elsewhere ? [studentForks(tasks, titles)] : []),
      studentsTable(tasks, arms, titles),
    ],
  };
}

/** What tells students of several recipes apart, by method; empty where one made all of them. */
function titlesOf(arms: readonly Arm[], recipes: Recipes): ReadonlyMap<string, string> {
  const methods = [...new Set(arms.map(({ method }) => method))];
  return new Map(methods.length < 2 ? [] : methods.map((method) => [method, recipes[method]?.title ?? method]));
}

/** A panel a task and, where there are several, a recipe. */
function studentsBoxes(
  tasks: readonly TaskResults[],
  arms: readonly Arm[],
  titles: ReadonlyMap<string, string>,
  what: string,
): ReportChart {
  const panels = tasks.flatMap((task) =>
    [...groupBy(task.students, ({ method }) => method)].map(([method, own]) => {
      const of = titles.get(method);
      const title = of === undefined ? task.title : `${task.title}, ${of}`;
      const rows = own.flatMap((arm) =>
        arm.runs.flatMap(({ record }) =>
          record.score === null ? [] : [{ layers: String(arm.layers), init: startOf(arm), score: 100 * record.score }],
        ),
      );
      const metric = metricName(task.metric);
      const means = own.map(
        (arm) => `${arm.layers} ${startOf(arm)}: ${arm.spread ? points(arm.spread.mean) : "undefined"}`,
      );
      const teacher = task.taughtBy?.record.score ?? null;
      return {
        name: `students-${task.name}${of === undefined ? "" : `-${method}`}`,
        alt: `${title}, dev ${metric} of students by layers and start, ${seedsText(own)}; means: ${means.join(", ")}. Teacher: ${points(teacher)}.`,
        spec: studentsChart(title, `dev ${metric}`, rows, teacher === null ? null : 100 * teacher),
      };
    }),
  );
  const few = arms.some(({ scores }) => scores.size < 5);
  return {
    kind: "chart",
    id: "chart-students",
    caption: `${what}; box: quartiles, whiskers: all seeds, points: each seed. The line is the teacher's best seed. ${provenance(tasks, arms)}`,
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

interface Pair extends Place {
  readonly task: TaskResults;
  readonly method: string;
  readonly fromTeacher: Arm | null;
  readonly fromBase: Arm | null;
}

function pairsOf(task: TaskResults): Pair[] {
  const made = groupBy(task.students, ({ method, layers, fork }) => `${method} ${layers} ${fork}`);
  return [...made.values()].map((arms) => {
    const { method, layers, fork } = arms[0] as Arm;
    const find = (init: string) => arms.find((arm) => (arm.init ?? "teacher") === init) ?? null;
    return { task, method, layers, fork, fromTeacher: find("teacher"), fromBase: find("pretrained") };
  });
}

function studentsTable(
  tasks: readonly TaskResults[],
  arms: readonly Arm[],
  titles: ReadonlyMap<string, string>,
): ReportTable {
  const detailOf = (method: string) => (titles.has(method) ? { detail: titles.get(method) as string } : {});
  const elsewhere = hasOtherForks(tasks);
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
    rows: compared.map(({ task, method, layers, fork, fromTeacher, fromBase, comparison }) => [
      { text: task.title, ...detailOf(method) },
      { text: String(layers), ...(elsewhere ? { detail: forkText({ layers, fork }, task) } : {}) },
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
        ...["fork", ...(titles.size > 0 ? ["method"] : [])],
      ],
      rows: compared.map(({ task, method, layers, fork, fromTeacher, fromBase, comparison }) => [
        ...[task.name, task.metric, "dev", layers, ...armFields(fromTeacher), ...armFields(fromBase)],
        ...[comparison?.difference ?? null, comparison?.halfWidth ?? null, comparison?.verdict ?? null],
        ...[fork, ...(titles.size > 0 ? [method] : [])],
      ]),
    },
  };
}

/** "fork 3", and of the paper's place that it is the teacher's. */
const forkText = (place: Place, task: TaskResults) =>
  `fork ${place.fork}${onTeachersFork(place, task) ? ", its teacher's" : ""}`;

const armFields = (arm: Arm | null) => [
  arm?.best.record.score ?? null,
  arm?.spread?.mean ?? null,
  arm?.spread?.sd ?? null,
  arm?.scores.size ?? null,
];
