// Output of any length: what is short comes whole at its end, what is long in pieces before.

import { expect, test } from "@jest/globals";
import { listInJson, tableInPieces } from "../../src/cli/pieces";
import { createTerminal, LONG, table } from "../../src/cli/terminal";
import { recipes } from "../../src/recipes/recipes";

function printed() {
  const out = {
    text: "",
    write(text: string) {
      out.text += text;
    },
  };
  const talk = { json: false, quiet: true, verbose: false };
  const terminal = createTerminal({ out, err: out }, { signal: new AbortController().signal }, talk, recipes);
  return { out, terminal };
}

const head = { experiment: "e", base: { layers: 6 } };

test.each([0, 1, 2, LONG, LONG + 1, 2 * LONG, 2 * LONG + 1])(
  "a list of %i in an object is what JSON.stringify writes",
  (count) => {
    const { out, terminal } = printed();
    const items = Array.from({ length: count }, (_, i) => ({ i, what: [i, { "a\nb": null }] }));
    const list = listInJson(head, "trials", terminal);
    for (const [i, item] of items.entries()) {
      list.add(item);
      // Nothing but whole pieces, and nothing of what a failure would cut short.
      expect(out.text === "").toBe(i < LONG);
    }
    list.end({ openFlops: 1, halving: undefined });
    const whole = { ...head, trials: items, openFlops: 1 };
    expect(JSON.parse(out.text)).toEqual(whole);
    if (count > 0) expect(out.text).toBe(`${JSON.stringify(whole, null, 2)}\n`);
  },
);

test("a short table is as it always was, a long one begins before its end and stays in columns", () => {
  const rowsOf = (count: number) => Array.from({ length: count }, (_, i) => [i, i % 3 ? "no" : "yes", "end"]);
  const short = printed();
  const few = tableInPieces(["n", "is", "last"], short.terminal);
  for (const row of rowsOf(LONG - 1)) few.add(row);
  expect(short.out.text).toBe("");
  few.end();
  expect(short.out.text).toBe(`${table(["n", "is", "last"], rowsOf(LONG - 1))}\n`);

  const long = printed();
  const many = tableInPieces(["n", "is", "last"], long.terminal);
  for (const [i, row] of rowsOf(3 * LONG).entries()) {
    many.add(row);
    expect(long.out.text === "").toBe(i < LONG);
  }
  many.end();
  const lines = long.out.text.trimEnd().split("\n");
  expect(lines).toHaveLength(1 + 3 * LONG);
  expect(lines.slice(0, 2)).toEqual(["n     is   last", "0     yes  end"]);
  expect(lines.at(-1)).toBe("2999  no   end");
});
