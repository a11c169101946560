// What each means of teaching gave: one row a setting of students, over the pairs that differ in it alone.

import { counted } from "../../messages/words";
import { spreadOf } from "../../tasks/scores";
import { gainsChart } from "../charts/students";
import type { TaskResults } from "../collect";
import type { Cell, ReportChart, ReportSection, ReportTable } from "../document";
import { type Means, meansOfTeaching, type Pair } from "../means";
import { listOf, points, provenance, signedPoints } from "../words";

/** null where no two students differ in one setting alone, their start from the teacher or the base aside. */
export function meansSection(all: readonly TaskResults[]): ReportSection | null {
  const tasks = all.filter(({ students }) => students.length > 0);
  const { means, entangled } = meansOfTeaching(tasks);
  // The start alone is compared over its seeds by the table of students.
  if (means.every(({ flag }) => flag === "--init")) return null;
  return {
    id: "means",
    title: "What each means of teaching gave",
    paragraphs: [
      "Of two students of one task that differ in one setting alone, layers and seed included, the difference of their " +
        "scores: over all such pairs, the good and the bad. What a means gave together with another is in none of them.",
      ...(entangled.length > 0
        ? [`Never tried alone, and so not here: ${listOf(entangled.map((flag) => flag))}.`]
        : []),
    ],
    blocks: [meansTable(tasks, means), meansChart(tasks, means)],
  };
}

/** "--init-layers top": the fork is in the words of tables. */
const nameOf = ({ flag, value }: Pick<Means, "flag" | "value">): string => `${flag} ${valueText(flag, value)}`;

/** Longer ones are hashes and lists that say no more in full. */
const LONGEST = 24;

function valueText(flag: string, value: unknown): string {
  if (value === null) return flag === "--init-layers" ? "depth" : "(not given)";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text;
}

const known = (pairs: readonly Pair[]) => pairs.flatMap(({ gain }) => (gain === null ? [] : [gain]));

function gainCell(pairs: readonly Pair[]): Cell {
  const gains = known(pairs);
  const spread = spreadOf(gains);
  if (spread === null) return { text: "–" };
  const sd = spread.sd === null ? "" : ` ± ${points(spread.sd)}`;
  return { text: signedPoints(spread.mean), detail: `${counted(gains.length, "pair")}${sd}` };
}

function meansTable(tasks: readonly TaskResults[], means: readonly Means[]): ReportTable {
  const arms = tasks.flatMap(({ students }) => students);
  return {
    kind: "table",
    id: "table-means",
    caption: `Mean gain over pairs, in points; below it the number of pairs and their standard deviation. ${provenance(tasks, arms)}`,
    columns: [
      { title: "Means" },
      { title: "Against" },
      ...tasks.map(({ title }) => ({ title, numeric: true })),
      { title: "All tasks", numeric: true },
      { title: "Better", numeric: true },
    ],
    rows: means.map(({ flag, value, baseline, pairs }) => [
      { text: nameOf({ flag, value }) },
      { text: valueText(flag, baseline) },
      ...tasks.map((task) => gainCell(pairs.filter((pair) => pair.task === task))),
      gainCell(pairs),
      { text: `${known(pairs).filter((gain) => gain > 0).length} of ${known(pairs).length}` },
    ]),
    notes: [
      "Pairs of one task share data and teacher: their deviation is no noise of seeds, and a mean over few of them says little.",
      "Tasks with more pairs count for more in the mean of all tasks.",
    ],
    csv: {
      file: "means.csv",
      header: [
        "means",
        "value",
        "against",
        "task",
        "metric",
        "split",
        "layers",
        "fork",
        "seed",
        "before",
        "after",
        "gain",
      ],
      rows: means.flatMap(({ flag, value, baseline, pairs }) =>
        pairs.map(({ task, before, after, gain }) => [
          ...[flag, valueText(flag, value), valueText(flag, baseline), task.name, task.metric, "dev"],
          ...[after.record.layers, after.record.fork, after.record.seed, before.record.id, after.record.id, gain],
        ]),
      ),
    },
  };
}

function meansChart(tasks: readonly TaskResults[], means: readonly Means[]): ReportChart {
  const names = means.map(nameOf);
  const rows = means.flatMap((one) => known(one.pairs).map((gain) => ({ means: nameOf(one), gain: 100 * gain })));
  const spoken = means.map(
    (one) => `${nameOf(one)}: ${gainCell(one.pairs).text} over ${counted(one.pairs.length, "pair")}`,
  );
  return {
    kind: "chart",
    id: "chart-means",
    caption: `Gain of each pair, and the mean as a bar. ${provenance(
      tasks,
      tasks.flatMap(({ students }) => students),
    )}`,
    panels: [
      {
        name: "means",
        alt: `Gain in points of each means of teaching. ${spoken.join("; ")}.`,
        spec: gainsChart(names, rows),
      },
    ],
    notes: [],
    csv: {
      file: "means-chart.csv",
      header: ["means", "gain"],
      rows: rows.map(({ means: name, gain }) => [name, gain / 100]),
    },
  };
}
