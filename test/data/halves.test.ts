import { describe, expect, test } from "@jest/globals";
import { halfOf } from "../../src/data/halves";
import { shareOf } from "../../src/data/part";

const row = (i: number) => ({ text: `text ${i}`, pair: i % 3 === 0 ? null : `second ${i}` });

describe("halfOf", () => {
  test("is a function of the texts, spaces at their ends apart, and written down", () => {
    expect(Array.from({ length: 12 }, (_, i) => halfOf(row(i))).join("")).toMatchInlineSnapshot(`"000110100100"`);
    expect(halfOf({ text: " text 1", pair: "second 1 " })).toBe(halfOf(row(1)));
    expect(new Set([halfOf({ text: "a", pair: "b" }), halfOf({ text: "b", pair: "a" })]).size).toBe(2);
  });

  test("halves are halves, among rows that another hash put into dev too", () => {
    const rows = Array.from({ length: 8000 }, (_, i) => row(i));
    const dev = rows.filter(({ text, pair }) => shareOf(text, pair ?? undefined) < 0.1);
    for (const some of [rows, dev]) {
      const first = some.filter((one) => halfOf(one) === 0).length;
      // Four standard deviations.
      expect(Math.abs(first - some.length / 2)).toBeLessThan(2 * Math.sqrt(some.length));
    }
  });
});
