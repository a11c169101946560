// Spans as conlleval.pl and seqeval count them: a span is right where its type and both ends are. By default a span may begin
// in any way that its tags allow to be meant (I-X after O begins one), as conlleval has it; strictly only as the scheme
// writes it, as seqeval's mode "strict" has it. Equal to seqeval 1.2.2's values: test/tasks/span-metrics.test.ts.

import type { ClassReport, Numbers } from "./metrics";
import { schemeOf, type Tag, tagsOf, type WordSpan } from "./tags";

/** Stands between rows, in what metrics read of them. */
export const ROW_END = -1;

const NONE: Tag = { prefix: "O", type: "" };

/** Whether the tag before is the last of its span. */
const ends = (before: Tag, { prefix, type }: Tag): boolean =>
  before.prefix === "E" ||
  before.prefix === "S" ||
  (before.prefix !== "O" && (prefix === "B" || prefix === "S" || prefix === "O" || before.type !== type));

const starts = (before: Tag, { prefix, type }: Tag): boolean => {
  if (prefix === "B" || prefix === "S") return true;
  if (prefix === "O") return false;
  return before.prefix === "E" || before.prefix === "S" || before.prefix === "O" || before.type !== type;
};

/** The spans of tag ids. Between rows stands {@link ROW_END}; positions count it. */
export function spansOf(ids: Numbers, labels: readonly string[]): WordSpan[] {
  const tags = tagsOf(labels);
  const spans: WordSpan[] = [];
  let [before, begin] = [NONE, 0];
  for (let i = 0; i <= ids.length; i++) {
    const tag = tags[ids[i] ?? ROW_END] ?? NONE;
    if (ends(before, tag)) spans.push({ type: before.type, start: begin, end: i });
    if (starts(before, tag)) begin = i;
    before = tag;
  }
  return spans;
}

/** Those alone that are written as the scheme has them. */
export function strictSpansOf(ids: Numbers, labels: readonly string[]): WordSpan[] {
  const scheme = schemeOf(labels);
  if (scheme === "IO") return spansOf(ids, labels);
  const tags = tagsOf(labels);
  const at = (i: number) => tags[ids[i] ?? ROW_END] ?? NONE;
  const spans: WordSpan[] = [];
  for (let i = 0; i < ids.length; ) {
    const { prefix, type } = at(i);
    const start = i++;
    if (prefix === "S") spans.push({ type, start, end: i });
    if (prefix !== "B") continue;
    while (at(i).prefix === "I" && at(i).type === type) i++;
    if (scheme === "BIO") spans.push({ type, start, end: i });
    else if (at(i).prefix === "E" && at(i).type === type) spans.push({ type, start, end: ++i });
  }
  return spans;
}

/** Of one type: spans that are right, that are predicted, that are there. */
export interface SpanCounts {
  readonly type: string;
  readonly hits: number;
  readonly predicted: number;
  readonly support: number;
}

export type SpanReader = (ids: Numbers, labels: readonly string[]) => WordSpan[];

/** Of every type that is there or predicted, by name. */
export function spanCounts(
  predicted: Numbers,
  targets: Numbers,
  labels: readonly string[],
  read: SpanReader = spansOf,
): SpanCounts[] {
  const counts = new Map<string, { hits: number; predicted: number; support: number }>();
  const of = (type: string) => {
    const found = counts.get(type) ?? { hits: 0, predicted: 0, support: 0 };
    counts.set(type, found);
    return found;
  };
  const keyOf = ({ type, start, end }: WordSpan) => `${start} ${end} ${type}`;
  const wanted = read(targets, labels);
  const there = new Set(wanted.map(keyOf));
  for (const { type } of wanted) of(type).support++;
  for (const span of read(predicted, labels)) {
    of(span.type).predicted++;
    if (there.has(keyOf(span))) of(span.type).hits++;
  }
  const byName = (a: string, b: string) => (a < b ? -1 : Number(a > b));
  return [...counts].sort(([a], [b]) => byName(a, b)).map(([type, count]) => ({ type, ...count }));
}

type Counts = Omit<SpanCounts, "type">;

/** 0 where there is nothing to be a part of, as seqeval has it. */
const part = (hits: number, of: number): number => (of > 0 ? hits / of : 0);

export const f1OfSpans = ({ hits, predicted, support }: Counts): number => part(2 * hits, predicted + support);

export const totalOf = (counts: readonly Counts[]): Counts =>
  counts.reduce<Counts>(
    (sum, one) => ({
      hits: sum.hits + one.hits,
      predicted: sum.predicted + one.predicted,
      support: sum.support + one.support,
    }),
    { hits: 0, predicted: 0, support: 0 },
  );

/** Mean over types; NaN where there is none. */
export const macroF1OfSpans = (counts: readonly Counts[]): number =>
  counts.reduce((sum, one) => sum + f1OfSpans(one), 0) / counts.length;

/** Mean over types by their spans; 0 where no span is there. */
export const weightedF1OfSpans = (counts: readonly Counts[]): number =>
  part(
    counts.reduce((sum, one) => sum + one.support * f1OfSpans(one), 0),
    totalOf(counts).support,
  );

export const precisionOfSpans = ({ hits, predicted }: Counts): number => part(hits, predicted);
export const recallOfSpans = ({ hits, support }: Counts): number => part(hits, support);

export const spanReport = (counts: readonly SpanCounts[]): ClassReport[] =>
  counts.map((count) => ({
    label: count.type,
    precision: precisionOfSpans(count),
    recall: recallOfSpans(count),
    f1: f1OfSpans(count),
    support: count.support,
  }));
