// One of several labels a row: an output a label, softmax, the most likely one.

import { familyHead } from "../../model/families/head";
import { accuracy, classReport, confusionMatrix, f1OfClass, type Metric, macroF1, matthews } from "../metrics";
import { type ClassPrediction, defineKind } from "./kind";
import { latest, softmaxEntropy } from "./leaving";
import { readName } from "./names";

const metrics: Readonly<Record<string, Metric>> = {
  accuracy: { title: "accuracy", hub: "accuracy", of: ofConfusion(accuracy) },
  f1: {
    title: "F1",
    hub: "f1",
    of: ofConfusion((confusion) => f1OfClass(confusion, 1)),
    problem: ({ length }) => (length === 2 ? null : "f1 is that of the second of two labels; for more take macro_f1"),
  },
  macro_f1: { title: "macro F1", hub: "f1", of: ofConfusion(macroF1) },
  matthews: {
    title: "Matthews correlation",
    hub: "matthews_correlation",
    of: ofConfusion(matthews),
  },
};

export const classification = defineKind({
  name: "classification",
  problemType: "single_label_classification",
  definedBy: "labels",

  readLabel: readName,
  named: (label: number, { labels }) => labels[label] as string,
  idsOf: (label: number) => [label],
  targets: (label: number) => [label],
  target: { dtype: "int32", shape: () => [] },

  parameters: (_, outputs, config) => familyHead(config, outputs),
  head: async (config) => (await import("../../model/heads.js")).headFor("classification", config),
  outputs: ({ labels }) => labels,
  decide: largest,
  predict(logits, { labels }) {
    const id = largest(logits);
    const most = logits[id] as number;
    const exponentials = Array.from(logits, (logit) => Math.exp(logit - most));
    const sum = exponentials.reduce((total, value) => total + value, 0);
    const scores = Object.fromEntries(labels.map((label, id) => [label, (exponentials[id] as number) / sum]));
    const label = labels[id] as string;
    return { label, score: scores[label] as number, scores };
  },
  exclusive: true,
  confidence: probabilityOfLargest,
  leaving: {
    criteria: {
      entropy: { doubt: (outputs) => softmaxEntropy(latest(outputs)), most: ({ labels }) => Math.log(labels.length) },
      probability: {
        doubt: (outputs) => 1 - probabilityOfLargest(latest(outputs)),
        most: ({ labels }) => 1 - 1 / labels.length,
      },
    },
    kept: "rows that the whole model answers rightly",
    /** Of those rows alone, so that what is kept of them bounds what is kept of the accuracy. */
    losses: () => (left, full, target) => {
      if (largest(full) !== target[0]) return null;
      return Number(largest(left) !== target[0]);
    },
  },
  cells: ({ label, score }: ClassPrediction) => [label, score.toFixed(4)],
  columns: (task) => [task, `${task} score`],

  metrics,
  explain(predicted, targets, { labels }) {
    const confusion = confusionMatrix(predicted, targets, labels.length);
    return { classes: classReport(confusion, labels), confusion };
  },

  card: {
    output: "logits of its labels, in the order above",
    python: ({ labels }) => [
      `labels = ${JSON.stringify(labels)}`,
      "print([labels[best] for best in logits.argmax(1)])",
    ],
  },
});

function ofConfusion(value: (confusion: readonly (readonly number[])[]) => number): Metric["of"] {
  return (predicted, targets, labels) => value(confusionMatrix(predicted, targets, labels.length));
}

/** The place of the largest logit; the first of equal ones. */
function largest(logits: Float32Array): number {
  let best = 0;
  for (let id = 1; id < logits.length; id++) if ((logits[id] as number) > (logits[best] as number)) best = id;
  return best;
}

function probabilityOfLargest(logits: Float32Array): number {
  const most = logits[largest(logits)] as number;
  return 1 / logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0);
}
