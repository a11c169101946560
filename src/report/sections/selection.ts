// What was selected, as its file says (`report --selection`): each task's branch, its score where it was chosen and, where
// that was asked for, its score on rows that did not choose it.

import { counted } from "../../messages/words";
import type { Selected, SelectedTask } from "../../selection/selection-file";
import type { TaskResults } from "../collect";
import type { Cell, ReportSection, ReportTable } from "../document";
import { points } from "../words";

export function selectionSection(selected: Selected, tasks: readonly TaskResults[]): ReportSection {
  const { rule, cross, total, shared } = selected;
  const layers = `${shared} shared and ${counted(total - shared, "task layer")}, ${total} in all`;
  return {
    id: "selection",
    title: "The selection",
    paragraphs: [
      `Chosen by ${rule}: ${layers}, ${(100 * selected.overhead).toFixed(1)} % of one whole base a task.`,
      ...(cross
        ? [
            "With many candidates the best on dev is partly luck. The crossed score has less of it: everything is chosen anew on " +
              "one half of the dev rows and scored on the other, both ways, and averaged. Each run's best epoch stays chosen on all rows.",
          ]
        : []),
    ],
    blocks: [selectionTable(selected, tasks)],
  };
}

function selectionTable(selected: Selected, tasks: readonly TaskResults[]): ReportTable {
  const { cross } = selected;
  const titleOf = (name: string) => tasks.find((task) => task.name === name)?.title ?? name;
  const crossedOf = (name: string) => cross?.tasks.find(({ task }) => task === name)?.score ?? null;
  const beside = (score: number | null): Cell[] => (cross ? [{ text: points(score) }] : []);
  const empty: Cell = { text: "" };
  const reference = (name: string, one: { average: number | null; maximum: number | null } | null | undefined) =>
    one ? [[{ text: name }, empty, empty, empty, { text: points(one.maximum) }, ...beside(one.average)]] : [];
  return {
    kind: "table",
    id: "table-selection",
    caption: `The branch of each task. ${cross ? "Maximum: on all dev rows, where it was chosen; choosing inflates it." : "Scores are those on dev, where it was chosen."}`,
    columns: [
      { title: "Task" },
      { title: "Teacher" },
      { title: "Fork", numeric: true },
      { title: "Layers", numeric: true },
      { title: "Maximum on dev", numeric: true },
      ...(cross ? [{ title: "Crossed", numeric: true }] : []),
    ],
    rows: [
      ...selected.tasks.map((one) => [
        { text: titleOf(one.task) },
        { text: teacherOf(one) },
        { text: one.fork === null ? "none" : String(one.fork) },
        { text: String(one.layers) },
        { text: points(one.score) },
        ...beside(crossedOf(one.task)),
      ]),
      [
        { text: "Average" },
        empty,
        empty,
        { text: String(selected.total) },
        { text: points(selected.average) },
        ...beside(cross?.average ?? null),
      ],
      ...(cross
        ? reference("Teachers", cross.teachers)
        : reference(
            "Teachers",
            selected.teachers === undefined ? null : { average: null, maximum: selected.teachers },
          )),
      ...reference("Full fine-tuning", cross?.full),
    ],
    notes: cross ? [`The halves chose ${cross.layers.join(" and ")} layers in all.`] : [],
    csv: {
      file: "selection.csv",
      header: ["task", "teacher", "fork", "layers", "maximum", "crossed"],
      rows: selected.tasks.map((one) => [
        one.task,
        one.teacher?.id ?? null,
        one.fork,
        one.layers,
        one.score,
        crossedOf(one.task),
      ]),
    },
  };
}

/** The id of what taught it; a dash for a branch that was fine-tuned. */
const teacherOf = ({ teacher }: SelectedTask): string => teacher?.id ?? "–";
