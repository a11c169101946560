// Score by task and k (the paper's Table 1): which k was chosen, and which others are inside its noise.

import { byK, kOf } from "../../model/place";
import type { Arm } from "../arms";
import { scoreByLayersChart } from "../charts/charts";
import type { TaskResults } from "../collect";
import type { Cell, ReportChart, ReportSection, ReportTable } from "../document";
import { type Comparison, compareOverSeeds } from "../statistics";
import { listOf, metricName, noiseNote, points, provenance, seedsText, spreadText, verdictText } from "../words";

const kText = (arm: Arm) => String(kOf(arm));

/** An arm beside the chosen one of its task. */
interface Compared {
  readonly arm: Arm;
  /** null for the chosen arm itself, and where none is chosen. */
  readonly comparison: Comparison | null;
}

function comparedArms({ arms, chosen }: TaskResults): Compared[] {
  return arms.map((arm) => ({
    arm,
    comparison: chosen && arm !== chosen ? compareOverSeeds(chosen.scores, arm.scores) : null,
  }));
}

export function scoresSection(tasks: readonly TaskResults[], by: "max" | "mean"): ReportSection {
  const arms = tasks.flatMap((task) => task.arms);
  const over = arms.some(({ settings }) => settings > 1) ? "settings and seeds" : "seeds";
  return {
    id: "scores-by-k",
    title: "Score by task and k",
    paragraphs: [
      "k is the number of top layers that are trained over the frozen rest. " +
        (by === "max"
          ? "Of each task the k with the highest score of any seed is chosen, as in the paper's Table 1; the smaller k wins a tie."
          : `Of each task the k with the highest mean over ${over} is chosen; the smaller k wins a tie.`),
    ],
    blocks: [scoresTable(tasks, arms), scoresChart(tasks, arms)],
  };
}

function scoresTable(tasks: readonly TaskResults[], arms: readonly Arm[]): ReportTable {
  const ks = [...new Set([...arms].sort(byK).map(kText))];
  const rows = tasks.map((task): Cell[] => {
    const compared = comparedArms(task);
    const cells = ks.map((k): Cell => {
      const found = compared.find(({ arm }) => kText(arm) === k);
      return found ? scoreCell(found, task) : { text: "" };
    });
    const chosen = { text: task.chosen ? `k = ${kText(task.chosen)}` : "none", detail: choiceText(task, compared) };
    return [{ text: task.title, detail: metricName(task.metric) }, ...cells, chosen];
  });
  const grid = arms.some(({ settings }) => settings > 1);
  return {
    kind: "table",
    id: "table-scores-by-k",
    caption: `Maximum over seeds, and mean ± standard deviation below. ${provenance(tasks, arms)}`,
    columns: [{ title: "Task" }, ...ks.map((k) => ({ title: `k = ${k}`, numeric: true })), { title: "Chosen" }],
    rows,
    notes: [
      "★ chosen; ≈ inside the noise of the chosen k; ? whether it differs from the chosen k is unknown.",
      noiseNote,
      ...(grid
        ? [
            "Several settings were trained (see Runs): the maximum is over settings and seeds, mean and standard deviation " +
              "over the seeds of the setting that reached it.",
          ]
        : []),
    ],
    csv: {
      file: "scores-by-k.csv",
      header: [
        ...["task", "metric", "split", "k", "max", "mean", "sd", "seeds", "settings", "chosen"],
        ...["difference_from_chosen", "half_width_95", "verdict"],
      ],
      rows: tasks.flatMap((task) =>
        comparedArms(task).map(({ arm, comparison }) => [
          ...[task.name, task.metric, "dev", kText(arm), arm.best.record.score, arm.spread?.mean ?? null],
          ...[arm.spread?.sd ?? null, arm.scores.size, arm.settings, arm === task.chosen],
          ...[comparison?.difference ?? null, comparison?.halfWidth ?? null, comparison?.verdict ?? null],
        ]),
      ),
    },
  };
}

function scoreCell({ arm, comparison }: Compared, { chosen }: TaskResults): Cell {
  const cell = { text: points(arm.best.record.score), detail: spreadText(arm.spread, arm.scores.size) };
  if (arm === chosen) return { ...cell, mark: "chosen" };
  if (!comparison || comparison.verdict === "clear") return cell;
  return { ...cell, mark: comparison.verdict };
}

/** "k = 3 and 5 are inside the noise", for the cell of the choice. */
function choiceText({ chosen }: TaskResults, compared: readonly Compared[]): string {
  if (!chosen) return "full fine-tuning shares no layer";
  const others = compared.filter(({ comparison }) => comparison !== null);
  if (others.length === 0) return "the only k";
  const inside = others.filter(({ comparison }) => comparison?.verdict === "noise");
  const unknown = others.filter(({ comparison }) => comparison?.verdict === "unknown");
  if (unknown.length === others.length) return verdictText(unknown[0]?.comparison as Comparison);
  const ks = (list: readonly Compared[]) => `k = ${listOf(list.map(({ arm }) => kText(arm)))}`;
  const parts = [
    ...(inside.length > 0 ? [`${ks(inside)} inside the noise`] : []),
    ...(unknown.length > 0 ? [`${ks(unknown)} unknown`] : []),
  ];
  return parts.length > 0 ? parts.join("; ") : "beyond the noise of every other k";
}

function scoresChart(tasks: readonly TaskResults[], arms: readonly Arm[]): ReportChart {
  const panels = tasks.map((task) => {
    const rows = task.arms.flatMap((arm) => {
      const { score } = arm.best.record;
      const { mean = null, sd = null } = arm.spread ?? {};
      if (score === null) return [];
      const percent = (value: number | null) => (value === null ? null : 100 * value);
      return [{ k: kText(arm), max: 100 * score, mean: percent(mean), sd: percent(sd), chosen: arm === task.chosen }];
    });
    const metric = metricName(task.metric);
    const values = task.arms.map((arm) => `k ${kText(arm)}: ${points(arm.best.record.score)}`).join(", ");
    return {
      name: `scores-by-k-${task.name}`,
      alt: `${task.title}, dev ${metric} by k, maximum over ${seedsText(task.arms)}. ${values}. Chosen: ${task.chosen ? kText(task.chosen) : "none"}.`,
      spec: scoreByLayersChart(task.title, `dev ${metric}`, rows),
    };
  });
  return {
    kind: "chart",
    id: "chart-scores-by-k",
    caption: `Score by k; the ring is the chosen k. ${provenance(tasks, arms)}`,
    panels,
    notes: [],
    csv: {
      file: "scores-by-k-seeds.csv",
      header: ["task", "metric", "split", "k", "seed", "score", "run"],
      rows: tasks.flatMap((task) =>
        task.arms.flatMap((arm) =>
          arm.runs.map(({ record }) => [
            ...[task.name, task.metric, "dev", kText(arm), record.seed, record.score, record.id],
          ]),
        ),
      ),
    },
  };
}
