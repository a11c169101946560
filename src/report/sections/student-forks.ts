// Students by fork: the best of each place beside the paper's, which is the teacher's fork.

import { counted } from "../../messages/words";
import { groupBy } from "../../selection/group-by";
import { type Arm, bestByPlace } from "../arms";
import { forksChart } from "../charts/students";
import { onTeachersFork, type TaskResults } from "../collect";
import type { ReportChart } from "../document";
import { metricName, points, provenance, seedsText } from "../words";

/** @param titles by method, where there are several */
export function studentForks(tasks: readonly TaskResults[], titles: ReadonlyMap<string, string>): ReportChart {
  const arms = tasks.flatMap(({ students }) => students);
  const panels = tasks.flatMap((task) =>
    [...groupBy(task.students, ({ method }) => method)].map(([method, own]) => {
      const of = titles.get(method);
      const title = of === undefined ? task.title : `${task.title}, ${of}`;
      const shown = bestByPlace(own);
      const nameOf = ({ layers }: Arm) => counted(layers, "layer");
      const rows = shown.flatMap((arm) => {
        const { score } = arm.best.record;
        if (score === null) return [];
        return [{ fork: arm.fork ?? 0, layers: nameOf(arm), score: 100 * score, same: onTeachersFork(arm, task) }];
      });
      const metric = metricName(task.metric);
      const teacher = task.taughtBy?.record.score ?? null;
      const spoken = shown.map((arm) => `${nameOf(arm)} on fork ${arm.fork}: ${points(arm.best.record.score)}`);
      return {
        name: `students-forks-${task.name}${of === undefined ? "" : `-${method}`}`,
        alt:
          `${title}, dev ${metric} of students by fork, maximum over ${seedsText(own)}. ${spoken.join(", ")}. ` +
          `Teacher, on fork ${task.taughtBy?.record.fork ?? "none"}: ${points(teacher)}.`,
        spec: forksChart(
          title,
          `dev ${metric}`,
          [...new Set(shown.map(nameOf))],
          rows,
          teacher === null ? null : 100 * teacher,
        ),
      };
    }),
  );
  return {
    kind: "chart",
    id: "chart-students-forks",
    caption: `Students' scores by fork, of each place the best run; ringed: above the teacher's fork, as in the paper. The line is the teacher's best seed. ${provenance(tasks, arms)}`,
    panels,
    notes: [],
    csv: {
      file: "students-forks.csv",
      header: ["task", "metric", "split", "layers", "fork", "teacher_fork", "init", "max", "mean", "sd", "seeds"],
      rows: tasks.flatMap((task) =>
        task.students.map((arm) => [
          ...[task.name, task.metric, "dev", arm.layers, arm.fork, task.taughtBy?.record.fork ?? null, arm.init],
          ...[arm.best.record.score, arm.spread?.mean ?? null, arm.spread?.sd ?? null, arm.scores.size],
        ]),
      ),
    },
  };
}
