// A number a row: one output, which is the value.

import { familyHead } from "../../model/families/head";
import { type Metric, pearson, ranks } from "../metrics";
import { defineKind, type ValuePrediction } from "./kind";
import { variance } from "./leaving";

const metrics: Readonly<Record<string, Metric>> = {
  pearson: { title: "Pearson correlation", hub: "pearsonr", of: pearson },
  spearman: {
    title: "Spearman correlation",
    hub: "spearmanr",
    of: (predicted, targets) => pearson(ranks(predicted), ranks(targets)),
  },
};

/** Whether a cell is a number as files write them: Number() alone would take "", "0x10" and "Infinity". */
export const isNumber = (cell: string): boolean => /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(cell);

export const regression = defineKind({
  name: "regression",
  problemType: "regression",
  definedBy: "range",

  readLabel(cell, { range }) {
    if (!isNumber(cell)) return `"${cell}" is no number`;
    const value = Number(cell);
    const [lowest, highest] = range ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
    return value >= lowest && value <= highest ? value : `${cell} is outside ${lowest} to ${highest}`;
  },
  named: (label: number) => label,
  idsOf: () => [],
  targets: (label: number) => [label],
  target: { dtype: "float32", shape: () => [] },

  parameters: (_, outputs, config) => familyHead(config, outputs),
  head: async (config) => (await import("../../model/heads.js")).headFor("regression", config),
  outputs: () => ["value"],
  decide: (logits) => logits[0] as number,
  predict: (logits) => ({ value: logits[0] as number }),
  leaving: {
    /** A value has no probability: two ramps after each other that give the same are taken to be sure. */
    criteria: {
      spread: {
        doubt(outputs) {
          const [before, now] = outputs.slice(-2);
          return before && now ? Math.abs((now[0] as number) - (before[0] as number)) : Number.POSITIVE_INFINITY;
        },
        most: (_, targets) => Math.sqrt(variance(targets)),
      },
    },
    kept: "the variance of the labels (what a value moves from the whole model's, squared)",
    losses(_, targets) {
      const scale = variance(targets) || 1;
      return (left, full) => Math.min(1, ((left[0] as number) - (full[0] as number)) ** 2 / scale);
    },
  },
  cells: ({ value }: ValuePrediction) => [value.toFixed(3)],
  columns: (task) => [task],

  metrics,
  explain: () => null,

  card: { output: "the value", python: () => ["print(logits[:, 0])"] },
});
