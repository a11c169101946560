// What trunk cache and length buckets saved, from what each run recorded of itself.

import { optionsOf, type StoredRun, type TrialCost } from "../../checkpoints/runs/run-folder";
import { formatCount, formatSeconds } from "../../messages/quantities";
import { counted } from "../../messages/words";
import { trainingSettings } from "../../settings/training";
import type { TaskResults } from "../collect";
import { type CostedRun, costsOf, sum } from "../costs";
import type { ReportSection, ReportTable } from "../document";

export function savingsSection(tasks: readonly TaskResults[]): ReportSection {
  const title = "What the trunk cache and the length buckets saved";
  const rows = tasks.flatMap((task) => {
    const saved = savingsOf(costsOf(task.runs));
    return saved ? [{ task, saved }] : [];
  });
  if (rows.length === 0) {
    const text = "Not recorded: these runs were trained before flexbert wrote it into run.json, or imported.";
    return { id: "savings", title, paragraphs: [text], blocks: [] };
  }
  const without = sum(tasks.map((task) => task.runs.length - costsOf(task.runs).length));
  return {
    id: "savings",
    title,
    paragraphs: [
      "Frozen layers run without dropout, so their outputs are computed once for a whole sweep; without the cache every " +
        "epoch of every run would compute them again. Rows are padded to the end of their length bucket; without buckets, " +
        "to the maximum length.",
      ...(without > 0
        ? [`${counted(without, "run")} did not record this and ${without === 1 ? "is" : "are"} left out.`]
        : []),
    ],
    blocks: [savingsTable(rows)],
  };
}

interface Savings {
  readonly runs: number;
  /** Token positions of all train epochs. */
  readonly own: number;
  readonly bucketed: number;
  readonly longest: number;
  readonly maxLength: number;
  /** Token positions times frozen layers: computed, and what every epoch on its own would compute. */
  readonly computed: number;
  readonly uncached: number;
  /** At the speed at which the frozen layers ran; null where none was computed. */
  readonly secondsSaved: number | null;
}

function savingsOf(costs: readonly CostedRun[]): Savings | null {
  if (costs.length === 0) return null;
  const total = (value: (cost: TrialCost, epochs: number, fork: number) => number) =>
    sum(costs.map(({ run, cost }) => value(cost, epochsOf(run), run.record.fork ?? 0)));
  const computed = total(({ trunk }) => trunk?.layerTokens ?? 0);
  const seconds = total(({ trunk }) => trunk?.seconds ?? 0);
  const uncached = total(
    ({ trainTokens, devTokens }, epochs, fork) => epochs * fork * (trainTokens.bucketed + devTokens),
  );
  return {
    runs: costs.length,
    own: total(({ trainTokens }, epochs) => epochs * trainTokens.own),
    bucketed: total(({ trainTokens }, epochs) => epochs * trainTokens.bucketed),
    longest: total(({ trainTokens }, epochs) => epochs * trainTokens.longest),
    maxLength: total(({ trainTokens }, epochs) => epochs * trainTokens.maxLength),
    computed,
    uncached,
    secondsSaved: computed > 0 ? ((uncached - computed) / computed) * seconds : null,
  };
}

const epochsOf = (run: StoredRun): number => optionsOf(trainingSettings, run).epochs;

const share = (part: number, whole: number) => (whole > 0 ? `${(100 * (1 - part / whole)).toFixed(1)} %` : "–");

function savingsTable(rows: readonly { readonly task: TaskResults; readonly saved: Savings }[]): ReportTable {
  return {
    kind: "table",
    id: "table-savings",
    caption: "Token positions, over all train epochs of the runs that recorded them. Splits: train and dev.",
    columns: [
      { title: "Task" },
      { title: "Runs", numeric: true },
      { title: "Trained positions", numeric: true },
      { title: "Saved against padding to the maximum length", numeric: true },
      { title: "Against padding to the longest row", numeric: true },
      { title: "Frozen layer positions computed", numeric: true },
      { title: "Saved by the cache", numeric: true },
      { title: "Time that is, about", numeric: true },
    ],
    rows: rows.map(({ task, saved }) => [
      { text: task.title },
      { text: String(saved.runs) },
      { text: formatCount(saved.bucketed), detail: `${share(saved.own, saved.bucketed)} padding` },
      { text: share(saved.bucketed, saved.maxLength) },
      { text: share(saved.bucketed, saved.longest) },
      { text: formatCount(saved.computed), detail: `of ${formatCount(saved.uncached)}` },
      { text: share(saved.computed, saved.uncached) },
      { text: saved.secondsSaved === null ? "–" : formatSeconds(Math.max(0, saved.secondsSaved)) },
    ]),
    notes: [
      "Time is what the saved frozen layers would have taken at the speed at which the computed ones ran.",
      "A killed process takes what it had computed of the frozen layers with it; that part is not counted.",
    ],
    csv: {
      file: "savings.csv",
      header: [
        ...["task", "runs", "own_positions", "bucketed_positions", "longest_positions", "max_length_positions"],
        ...["frozen_layer_positions", "frozen_layer_positions_uncached", "seconds_saved"],
      ],
      rows: rows.map(({ task, saved }) => [
        ...[task.name, saved.runs, saved.own, saved.bucketed, saved.longest, saved.maxLength],
        ...[saved.computed, saved.uncached, saved.secondsSaved],
      ]),
    },
  };
}
