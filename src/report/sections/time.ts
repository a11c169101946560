// Time and energy spent, from what each run recorded of itself.

import type { StoredRun } from "../../checkpoints/runs/run-folder";
import { IMPORTED } from "../../checkpoints/runs/run-record";
import { formatSeconds } from "../../messages/quantities";
import type { Recipe, Recipes } from "../../recipes/recipe";
import { barsChart } from "../charts/charts";
import type { TaskResults } from "../collect";
import { costsOf, sum } from "../costs";
import type { Cell, ReportChart, ReportSection, ReportTable } from "../document";

export function timeSection(tasks: readonly TaskResults[], recipes: Recipes): ReportSection {
  const engines = [...new Set(tasks.flatMap(({ runs }) => runs.map(({ record }) => record.engine)))];
  return {
    id: "time",
    title: "Time spent",
    paragraphs: [
      `Seconds of training and evaluation, summed over runs${engines.length > 0 ? `, on ${engines.join("; ")}` : ""}. ` +
        "Runs that trained side by side count each. The frozen layers, which a sweep's runs share, have a column of their own.",
    ],
    blocks: [timeTable(tasks, Object.values(recipes)), timeChart(tasks, Object.values(recipes))],
  };
}

interface Spent {
  readonly runs: number;
  /** Seconds by recipe, in their order. */
  readonly training: readonly number[];
  readonly trunk: number | null;
  readonly energy: string;
  readonly joules: number | null;
}

const secondsOf = (runs: readonly StoredRun[], method: string) =>
  sum(runs.map(({ record }) => (record.method === method ? record.seconds : 0)));

function spentOn(runs: readonly StoredRun[], recipes: readonly Recipe[]): Spent {
  const trained = runs.filter(({ record }) => record.method !== IMPORTED);
  const costs = costsOf(trained);
  const joules = costs.flatMap(({ cost }) => (cost.joules === null ? [] : [cost.joules]));
  return {
    runs: runs.length,
    training: recipes.map(({ method }) => secondsOf(trained, method)),
    trunk: costs.length > 0 ? sum(costs.map(({ cost }) => cost.trunk?.seconds ?? 0)) : null,
    energy: energyText(joules, trained.length),
    joules: joules.length > 0 ? sum(joules) : null,
  };
}

function energyText(joules: readonly number[], runs: number): string {
  if (joules.length === 0) return "unknown";
  const wattHours = sum(joules) / 3600;
  const amount = wattHours >= 1000 ? `${(wattHours / 1000).toFixed(1)} kWh` : `${wattHours.toPrecision(3)} Wh`;
  return joules.length === runs ? amount : `${amount} in ${joules.length} of ${runs} runs`;
}

function timeTable(tasks: readonly TaskResults[], recipes: readonly Recipe[]): ReportTable {
  const all = spentOn(
    tasks.flatMap(({ runs }) => runs),
    recipes,
  );
  const row = (title: string, spent: Spent): Cell[] => [
    { text: title },
    { text: String(spent.runs) },
    ...spent.training.map((seconds) => ({ text: formatSeconds(seconds) })),
    { text: spent.trunk === null ? "not recorded" : formatSeconds(spent.trunk) },
    { text: spent.energy },
  ];
  return {
    kind: "table",
    id: "table-time",
    caption: "Time and energy by task, over all seeds and settings of the runs in this report.",
    columns: [
      { title: "Task" },
      { title: "Runs", numeric: true },
      ...recipes.map(({ title }) => ({ title, numeric: true })),
      { title: "Frozen layers", numeric: true },
      { title: "Energy", numeric: true },
    ],
    rows: [
      ...tasks.map((task) => row(task.title, spentOn(task.runs, recipes))),
      ...(tasks.length > 1 ? [row("All", all)] : []),
    ],
    notes: [
      all.joules === null
        ? "Energy is unknown: the machine has no counter that this user may read (Linux: RAPL under /sys/class/powercap)."
        : "Energy is that of the processors of the whole machine while a run trained (RAPL), whatever else ran on it.",
    ],
    csv: {
      file: "time.csv",
      header: ["task", "runs", ...recipes.map(({ method }) => `${method}_seconds`), "frozen_seconds", "joules"],
      rows: tasks.map((task) => {
        const { runs, training, trunk, joules } = spentOn(task.runs, recipes);
        return [task.name, runs, ...training, trunk, joules];
      }),
    },
  };
}

function timeChart(tasks: readonly TaskResults[], recipes: readonly Recipe[]): ReportChart {
  const spent = tasks.map((task) => ({ task, ...spentOn(task.runs, recipes) }));
  const longest = Math.max(...spent.map(({ training, trunk }) => sum(training) + (trunk ?? 0)));
  const [unit, seconds] = longest > 7200 ? ["hours", 3600] : longest > 120 ? ["minutes", 60] : ["seconds", 1];
  const names = recipes.map(({ title }) => title.toLowerCase());
  const kinds = ["frozen layers", ...names];
  const rows = spent.flatMap(({ task, training, trunk }) => {
    let from = 0;
    return [trunk ?? 0, ...training].map((value, i) => {
      const bar = { task: task.title, kind: kinds[i] as string, from: from / seconds, to: (from + value) / seconds };
      from += value;
      return bar;
    });
  });
  const text = spent.map(({ task, training }) => {
    const each = training.map((seconds, i) => `${names[i]} ${formatSeconds(seconds)}`);
    return `${task.title}: ${each.join(", ")}`;
  });
  return {
    kind: "chart",
    id: "chart-time",
    caption: "Time by task, over all seeds and settings of the runs in this report.",
    panels: [{ name: "time", alt: `Time by task. ${text.join("; ")}.`, spec: barsChart(unit, kinds, rows) }],
    notes: [],
    csv: {
      file: "time-chart.csv",
      header: ["task", "kind", `from_${unit}`, `to_${unit}`],
      rows: rows.map(({ task, kind, from, to }) => [task, kind, from, to]),
    },
  };
}
