// Any number of labels a row, each decided alone: an output a label, sigmoid, those at or above the task's threshold or their own.

import { familyHead } from "../../model/families/head";
import {
  averagePrecision,
  type LabelCounts,
  labelCounts,
  labelReport,
  type Metric,
  macroF1OfLabels,
  microF1,
  type Numbers,
} from "../metrics";
import { FEWEST_TO_TUNE, thresholdOf, tuneEach, tuneTogether } from "../thresholds";
import { defineKind, type Labelled, type LabelsPrediction, type Written } from "./kind";
import { binaryEntropy, latest } from "./leaving";
import { readName } from "./names";

const SEPARATOR = "|";
const THRESHOLD = 0.5;

const metrics: Readonly<Record<string, Metric>> = {
  micro_f1: { title: "micro F1", hub: "f1", of: overLabels(microF1) },
  macro_f1: { title: "macro F1", hub: "f1", of: overLabels(macroF1OfLabels) },
  average_precision: {
    title: "mean average precision",
    hub: "average_precision",
    of: (_, targets, labels, logits) => {
      const column = (values: Numbers, id: number) =>
        Float64Array.from(
          { length: targets.length / labels.length },
          (_, row) => values[row * labels.length + id] as number,
        );
      const each = labels.map((_, id) => averagePrecision(column(logits, id), column(targets, id)));
      return targets.length > 0 ? each.reduce((sum, value) => sum + value, 0) / labels.length : Number.NaN;
    },
  },
};

export const multilabel = defineKind({
  name: "multilabel",
  problemType: "multi_label_classification",
  definedBy: "labels",
  separator: SEPARATOR,
  threshold: THRESHOLD,
  /** Average precision asks no threshold: then each label has the one that is best for itself. */
  tune(logits, targets, { labels, metric }) {
    const tuned = metric === "micro_f1" ? tuneTogether : tuneEach;
    return tuned(Float64Array.from(logits, sigmoid), targets, labels.length, THRESHOLD, FEWEST_TO_TUNE);
  },

  readLabel(cell: string, task: Labelled, written: Written) {
    const ids: number[] = [];
    const names = cell === "" ? [] : cell.split(written.labelSeparator ?? SEPARATOR);
    for (const name of names) {
      const id = readName(name.trim(), task, written);
      if (typeof id === "string") return id;
      if (!ids.includes(id)) ids.push(id);
    }
    return ids.sort((a, b) => a - b);
  },
  named: (ids: readonly number[], { labels }) => ids.map((id) => labels[id] as string),
  idsOf: (ids: readonly number[]) => ids,
  targets: (ids: readonly number[], { labels }) => labels.map((_, id) => Number(ids.includes(id))),
  target: { dtype: "float32", shape: ({ labels }) => [labels.length] },

  parameters: (_, outputs, config) => familyHead(config, outputs),
  head: async (config) => (await import("../../model/heads.js")).headFor("multilabel", config),
  outputs: ({ labels }) => labels,
  decide: decided,
  predict(logits, task) {
    const scores = Object.fromEntries(task.labels.map((label, id) => [label, sigmoid(logits[id] as number)]));
    return { labels: decided(logits, task).map((id) => task.labels[id] as string), scores };
  },
  confidence: (logits, task) => leastSure(logits, task),
  leaving: {
    /** Of the label that is least sure: each is decided alone, and all of them are the answer. */
    criteria: {
      entropy: { doubt: (outputs, task) => binaryEntropy(leastSided(latest(outputs), task)), most: () => Math.LN2 },
      probability: { doubt: (outputs, task) => 1 - leastSided(latest(outputs), task), most: () => 0.5 },
    },
    kept: "rows whose labels are all as the whole model has them",
    losses: (task) => (left, full) => Number(decided(left, task).join() !== decided(full, task).join()),
  },
  cells: ({ labels, scores }: LabelsPrediction) => [
    labels.join(SEPARATOR),
    labels.map((label) => scores[label]?.toFixed(4)).join(SEPARATOR),
  ],
  columns: (task) => [task, `${task} scores`],

  metrics,
  explain: (predicted, targets, { labels }) => ({
    classes: labelReport(labelCounts(predicted, targets, labels.length), labels),
    confusion: null,
  }),

  card: {
    output: "logits of its labels, in the order above; each label stands alone",
    python: ({ labels, threshold = THRESHOLD }) =>
      typeof threshold === "number"
        ? [
            `labels = ${JSON.stringify(labels)}`,
            `least = ${logitOf(threshold)}  # the logit of the threshold ${threshold}`,
            "print([[label for label, logit in zip(labels, row) if logit >= least] for row in logits])",
          ]
        : [
            `labels = ${JSON.stringify(labels)}`,
            `least = ${JSON.stringify(labels.map((_, id) => logitOf(thresholdOf(threshold, id))))}  # the logits of their thresholds`,
            "print([[label for label, logit, own in zip(labels, row, least) if logit >= own] for row in logits])",
          ],
  },
});

function overLabels(value: (counts: readonly LabelCounts[]) => number): Metric["of"] {
  return (predicted, targets, labels) =>
    predicted.length > 0 ? value(labelCounts(predicted, targets, labels.length)) : Number.NaN;
}

const sigmoid = (logit: number) => 1 / (1 + Math.exp(-logit));
const logitOf = (probability: number) => Math.log(probability / (1 - probability));

/** Of the side of the threshold that a label is on, the least of all labels. */
const leastSure = (logits: Float32Array, { threshold = THRESHOLD }: Labelled): number =>
  logits.reduce((least, logit, id) => {
    const score = sigmoid(logit);
    return Math.min(least, score >= thresholdOf(threshold, id) ? score : 1 - score);
  }, 1);

/**
 * The same with each label's threshold moved to a half, logits with it: at a threshold of 0.1 nothing is known of a label whose
 * probability is 0.1, and much of one at a half. From 0.5 to 1.
 */
const leastSided = (logits: Float32Array, { threshold = THRESHOLD }: Labelled): number =>
  sigmoid(
    logits.reduce(
      (least, logit, id) => Math.min(least, Math.abs(logit - logitOf(thresholdOf(threshold, id)))),
      Number.POSITIVE_INFINITY,
    ),
  );

/** The ids of the labels whose probability reaches the threshold. */
function decided(logits: Float32Array, { threshold = THRESHOLD }: Labelled): number[] {
  return Array.from(logits, sigmoid).flatMap((score, id) => (score >= thresholdOf(threshold, id) ? [id] : []));
}
