// Spans against seqeval 1.2.2 on random tag sequences, impossible ones among them. The counts in the fixture were made by
// bench/peers/seqeval_counts.py.

import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { kinds } from "../../src/tasks/kinds";
import { ROW_END, spanCounts, spansOf, strictSpansOf } from "../../src/tasks/span-metrics";

interface Case {
  readonly scheme: "BIO" | "BIOES" | "IO";
  readonly labels: readonly string[];
  /** Tag ids by row. */
  readonly targets: readonly (readonly number[])[];
  readonly predicted: readonly (readonly number[])[];
  /** By type: right, predicted, there. */
  readonly counts: Readonly<Record<string, readonly [number, number, number]>>;
  readonly strict: Readonly<Record<string, readonly [number, number, number]>>;
  /** Precision, recall and F1 of all spans, macro and weighted F1, strict F1. */
  readonly values: readonly number[];
}

const cases = JSON.parse(
  readFileSync(path.join(__dirname, "../fixtures/reference/seqeval.json"), "utf8"),
) as readonly Case[];

const flat = (rows: readonly (readonly number[])[]) => rows.flatMap((row) => [...row, ROW_END]);
const byType = (counts: ReturnType<typeof spanCounts>) =>
  Object.fromEntries(counts.map(({ type, hits, predicted, support }) => [type, [hits, predicted, support]]));

describe("seqeval's counts", () => {
  test("there are those of 1,000 sequences and more", () => {
    expect(cases.reduce((sum, { targets }) => sum + targets.length, 0)).toBeGreaterThanOrEqual(1000);
    expect(new Set(cases.map(({ scheme }) => scheme))).toEqual(new Set(["BIO", "BIOES", "IO"]));
  });

  test("are ours, by default and strictly", () => {
    for (const { labels, targets, predicted, counts, strict } of cases) {
      const [wanted, found] = [flat(targets), flat(predicted)];
      expect(byType(spanCounts(found, wanted, labels))).toEqual(counts);
      expect(byType(spanCounts(found, wanted, labels, strictSpansOf))).toEqual(strict);
    }
  });

  test("make its precision, recall and F1", () => {
    const names = ["span_precision", "span_recall", "span_f1", "macro_span_f1", "weighted_span_f1", "strict_span_f1"];
    for (const { labels, targets, predicted, values } of cases) {
      for (const [i, name] of names.entries()) {
        const value = kinds.tagging.metrics[name]?.of(flat(predicted), flat(targets), labels, []);
        expect(value).toBeCloseTo(values[i] as number, 12);
      }
    }
  });
});

test("a span ends with its row", () => {
  const labels = ["O", "B-x", "I-x"];
  expect(spansOf([1, 2, ROW_END, 2, 2], labels)).toEqual([
    { type: "x", start: 0, end: 2 },
    { type: "x", start: 3, end: 5 },
  ]);
  expect(strictSpansOf([1, 2, ROW_END, 2, 2], labels)).toEqual([{ type: "x", start: 0, end: 2 }]);
});
