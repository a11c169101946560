// Rows packed without padding: where tokens lie, and which rows go through attention together.

import { describe, expect, test } from "@jest/globals";
import { chosenTokens, groupRows, packRows } from "../../src/batches/packed";
import { tokenRows } from "../../src/batches/rows";

const rows = tokenRows(
  [[11, 12, 13], [21], [31, 32]].map((ids) => ({
    ids: Int32Array.from(ids),
    typeIds: Int32Array.from(ids, (_, i) => i),
    truncated: 0,
  })),
  0,
);
const list = (tensor: { readonly data: Int32Array } | undefined) => Array.from(tensor?.data ?? []);

test("tokens stand one after another, and each head's place by row leads back to its token", () => {
  const { tokens, inputs, starts } = packRows(rows, [2, 0], 2);
  expect([tokens, Array.from(starts)]).toEqual([5, [0, 2]]);
  expect(list(inputs["input_ids"])).toEqual([31, 32, 11, 12, 13]);
  expect(list(inputs["token_type_ids"])).toEqual([0, 1, 0, 1, 2]);
  expect(list(inputs["position_ids"])).toEqual([0, 1, 0, 1, 2]);
  expect(list(inputs["first"])).toEqual([0, 2]);
  expect(inputs["attention_mask"]?.shape).toEqual([2, 4]); // the longest has 3 tokens: the next multiple of 4
  expect(list(inputs["attention_mask"])).toEqual([1, 1, 0, 0, 1, 1, 1, 0]);
  const toRows = list(inputs["to_rows"]); // [rows, heads, length]
  expect(toRows.slice(0, 8)).toEqual([0, 2, 0, 0, 1, 3, 1, 1]);
  for (const [place, cell] of list(inputs["to_tokens"]).entries()) expect(toRows[cell]).toBe(place);
});

test("of the tokens below, those of some of the rows", () => {
  const below = packRows(rows, [0, 1, 2], 1);
  const above = packRows(rows, [2, 0], 1);
  expect(list(chosenTokens(below, above, rows.lengths))).toEqual([4, 5, 0, 1, 2]);
  expect(() => chosenTokens(above, below, rows.lengths)).toThrow(/row 1 is not among/);
});

describe("rows part where attention's padding costs more than a call", () => {
  const cost = { cell: 0.01, call: 20 };

  test("and stand longest first, in their order where they are equal", () => {
    expect(groupRows([8, 9, 8, 10], [0, 1, 2, 3], cost)).toEqual([[3, 1, 0, 2]]);
    expect(groupRows([8, 512, 8, 8], [0, 1, 2, 3], cost)).toEqual([[1], [0, 2, 3]]);
    expect(groupRows([8, 512, 8, 8], [2], cost)).toEqual([[2]]);
    expect(groupRows([8], [], cost)).toEqual([]);
    expect(groupRows([8, 9, 8, 13], [0, 1, 2, 3], { cell: 0.01, call: 0 })).toEqual([[3], [1], [0, 2]]);
  });

  test("at the least cost that any partition has", () => {
    const costOf = (groups: number[][], lengths: number[]) =>
      groups.reduce(
        (sum, group) =>
          sum +
          cost.call +
          cost.cell * group.length * (4 * Math.ceil(Math.max(...group.map((row) => lengths[row] as number)) / 4)) ** 2,
        0,
      );
    for (let run = 0; run < 50; run++) {
      const lengths = Array.from({ length: 7 }, (_, i) => 1 + ((run * 37 + i * i * 11 + run * i * 7) % 80));
      const sorted = groupRows(lengths, [...lengths.keys()], { cell: 0, call: 1 }).flat();
      const cuts = Array.from({ length: 2 ** 6 }, (_, bits) => {
        const groups: number[][] = [[]];
        for (const [i, row] of sorted.entries()) {
          if (i > 0 && (bits >> (i - 1)) & 1) groups.push([]);
          groups.at(-1)?.push(row);
        }
        return costOf(groups, lengths);
      });
      expect(costOf(groupRows(lengths, [...lengths.keys()], cost), lengths)).toBeCloseTo(Math.min(...cuts), 9);
    }
  });
});
