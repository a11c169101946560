// A tag for every word of a text: an output a tag, softmax, and of all sequences that the scheme allows the likeliest. Tags
// mean spans (tags.ts), which are what is predicted and scored.

import { familyTokenHead } from "../../model/families/head";
import type { Metric, Numbers } from "../metrics";
import {
  f1OfSpans,
  macroF1OfSpans,
  precisionOfSpans,
  ROW_END,
  recallOfSpans,
  type SpanCounts,
  type SpanReader,
  spanCounts,
  spanReport,
  spansOf,
  strictSpansOf,
  totalOf,
  weightedF1OfSpans,
} from "../span-metrics";
import { bestSequence, schemeOf, tagsProblem } from "../tags";
import type { WordedText } from "../words";
import { defineKind, type Labelled, type Span, type SpansPrediction, type Written } from "./kind";
import { readName } from "./names";

/** Between the tags of a row in a cell. */
const SEPARATOR = " ";

const metrics: Readonly<Record<string, Metric>> = {
  span_f1: { title: "span F1", hub: "f1", of: overSpans((counts) => f1OfSpans(totalOf(counts))) },
  span_precision: {
    title: "span precision",
    hub: "precision",
    of: overSpans((counts) => precisionOfSpans(totalOf(counts))),
  },
  span_recall: { title: "span recall", hub: "recall", of: overSpans((counts) => recallOfSpans(totalOf(counts))) },
  macro_span_f1: { title: "macro span F1", hub: "f1", of: overSpans(macroF1OfSpans) },
  weighted_span_f1: { title: "weighted span F1", hub: "f1", of: overSpans(weightedF1OfSpans) },
  strict_span_f1: {
    title: "strict span F1",
    hub: "f1",
    of: overSpans((counts) => f1OfSpans(totalOf(counts)), strictSpansOf),
  },
  tag_accuracy: { title: "tag accuracy", hub: "accuracy", of: tagAccuracy },
};

export const tagging = defineKind({
  name: "tagging",
  definedBy: "labels",
  separator: SEPARATOR,
  perWord: true,

  readLabel(cell: string, task: Labelled, written: Written) {
    const ids: number[] = [];
    for (const name of cell.split(SEPARATOR)) {
      if (name === "") continue;
      const id = readTag(name, task, written);
      if (typeof id === "string") return id.replace(/^unknown label/, "unknown tag");
      ids.push(id);
    }
    return ids;
  },
  named: (ids: readonly number[], { labels }) => ids.map((id) => labels[id] as string),
  idsOf: (ids: readonly number[]) => ids,
  targets: (ids: readonly number[]) => [...ids, ROW_END],
  target: { dtype: "int32", shape: () => [] },

  parameters: (_, outputs, config) => familyTokenHead(config, outputs),
  head: async (config) => (await import("../../model/heads.js")).headFor("tagging", config),
  outputs: ({ labels }) => labels,
  decide: (logits, { labels }) => bestSequence(logits, labels),
  predict(logits, { labels }, of): SpansPrediction {
    if (!of) throw new Error("tags were to be predicted of a text whose words are not given");
    return { spans: spansIn(logits, labels, of) };
  },
  cells: ({ spans }: SpansPrediction) => [
    spans.map(({ label, start, end, text }) => `${start}-${end} ${label} ${text}`).join(" | "),
    spans.map(({ score }) => score.toFixed(4)).join(" | "),
  ],
  columns: (task) => [task, `${task} scores`],

  metrics,
  explain: (predicted, targets, { labels }) => ({
    classes: spanReport(spanCounts(predicted, targets, labels)),
    confusion: null,
  }),
  labelsProblem: (labels) => tagsProblem(labels, schemeOf(labels)),

  card: {
    output:
      "logits of its tags for every token, [batch, length, tags], tags in the order above; a word's are its first piece's",
    python: ({ labels }) => [
      `tags = ${JSON.stringify(labels)}`,
      "print([[tags[best] for best in row] for row in logits.argmax(-1)])  # one tag a token, [CLS] and [SEP] among them",
    ],
  },
});

const NUMBER = /^\d{1,9}$/;

/** By its name, or as data sets write it by its number among the listed tags, where none of these is written as a number. */
function readTag(written: string, task: Labelled, how: Written): number | string {
  const { spellings } = how;
  if (!NUMBER.test(written) || !spellings || Object.keys(spellings).some((spelled) => NUMBER.test(spelled))) {
    return readName(written, task, how);
  }
  const id = Number(written);
  return id < task.labels.length ? id : `unknown tag ${written}, there are ${task.labels.length}, counted from 0`;
}

/** NaN without words. */
function overSpans(value: (counts: readonly SpanCounts[]) => number, read: SpanReader = spansOf): Metric["of"] {
  return (predicted, targets, labels) =>
    targets.length > 0 ? value(spanCounts(predicted, targets, labels, read)) : Number.NaN;
}

function tagAccuracy(predicted: Numbers, targets: Numbers): number {
  let [right, words] = [0, 0];
  for (let i = 0; i < targets.length; i++) {
    if (targets[i] === ROW_END) continue;
    words++;
    if (targets[i] === predicted[i]) right++;
  }
  return right / words;
}

function spansIn(logits: Float32Array, labels: readonly string[], { text, words }: WordedText): Span[] {
  const width = labels.length;
  const ids = bestSequence(logits, labels);
  return spansOf(ids, labels).map(({ type, start, end }) => {
    let sum = 0;
    for (let word = start; word < end; word++) {
      sum += probabilityOf(logits.subarray(word * width, (word + 1) * width), ids[word] as number);
    }
    const range = { start: words[start]?.[0] as number, end: words[end - 1]?.[1] as number };
    return { label: type, ...range, text: text.slice(range.start, range.end), score: sum / (end - start) };
  });
}

function probabilityOf(logits: Float32Array, id: number): number {
  const most = logits.reduce((largest, logit) => Math.max(largest, logit), Number.NEGATIVE_INFINITY);
  const sum = logits.reduce((total, logit) => total + Math.exp(logit - most), 0);
  return Math.exp((logits[id] as number) - most) / sum;
}
