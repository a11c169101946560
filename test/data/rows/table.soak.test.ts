// Rows of any content, written in any format and cut into pieces of any size, are read as they were written.

import { expect, test } from "@jest/globals";
import fc from "fast-check";
import Papa from "papaparse";
import { soak } from "../../soak";
import { csv, jsonl, read, tsv } from "./reader";

/** Whole characters, those that other readers trip over more often. */
const text = fc
  .array(
    fc.oneof(
      fc.constantFrom('"', ",", "\t", "\n", "\r", "\u2028", "\u0085", " ", "\ufeff", "[", "{", "\\"),
      fc.string({ unit: "grapheme", minLength: 1, maxLength: 3 }),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(""));
/** Where a cell begins the file, a mark would be the file's. */
const table = fc.integer({ min: 1, max: 4 }).chain((width) =>
  fc.record({
    names: fc.constant(Array.from({ length: width }, (_, i) => `c${i}`)),
    rows: fc.array(fc.array(text, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 12 }),
    pieces: fc.integer({ min: 1, max: 40 }),
    end: fc.constantFrom("\n", "\r\n"),
    last: fc.boolean(),
    mark: fc.constantFrom("", "\ufeff"),
    wide: fc.boolean(),
  }),
);

/** Bytes of the text, in UTF-16 where it has a mark and that was drawn. */
const encoded = (content: string, wide: boolean) =>
  wide && content.startsWith("\ufeff") ? Buffer.from(content, "utf16le") : Buffer.from(content);

test("CSV and quoted TSV, as PapaParse writes them; a line end inside a cell is LF", () =>
  soak(
    fc.asyncProperty(table, fc.constantFrom(csv, { ...tsv, quotes: "csv" as const }), async (drawn, layout) => {
      const { names, rows, pieces, end, last, mark, wide } = drawn;
      const delimiter = layout.format === "csv" ? "," : "\t";
      const lines = rows.map((row) => row.map((cell) => cell.replace(/[\r\n]+/g, end)));
      // One empty cell in one column is written as an empty line at the end, which needs an end of its own.
      const written =
        Papa.unparse([names, ...lines], { delimiter, newline: end }) + (last || names.length === 1 ? end : "");
      const found = await read(encoded(mark + written, wide), layout, pieces);
      expect(found.rows.map(({ problem }) => problem)).toEqual(rows.map(() => undefined));
      expect(found.rows.map(({ cells }) => cells)).toEqual(
        lines.map((row) => row.map((cell) => cell.replaceAll("\r\n", "\n"))),
      );
    }),
    400,
  ));

test("TSV of ordinary quotes", () =>
  soak(
    fc.asyncProperty(table, async ({ names, rows, pieces, end, last, mark, wide }) => {
      const lines = rows.map((row) => row.map((cell) => cell.replace(/[\t\n]|\r(?!.)/gs, " ")));
      const kept = lines.map((row) => [...row.slice(0, -1), (row.at(-1) as string).replace(/\r$/, " ")]);
      const written = [names, ...kept].map((row) => row.join("\t")).join(end) + (last || names.length === 1 ? end : "");
      const found = await read(encoded(mark + written, wide), tsv, pieces);
      expect(found.rows.map(({ cells }) => cells)).toEqual(kept);
    }),
    400,
  ));

test("JSON lines, and an array written in any way", () =>
  soak(
    fc.asyncProperty(
      table,
      fc.dictionary(text, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 }),
      fc.constantFrom("lines", 0, 1, "\t"),
      async ({ rows, pieces, end, last, mark, wide }, more, form) => {
        const values = rows.map((row, i) => JSON.parse(JSON.stringify({ ...more, row, i })));
        const written =
          form === "lines" ? values.map((one) => JSON.stringify(one)).join(end) : JSON.stringify(values, null, form);
        const found = await read(encoded(mark + written + (last ? end : ""), wide), jsonl, pieces);
        expect(found.rows.map(({ cells, problem }) => [JSON.stringify(cells), problem])).toEqual(
          values.map((one) => [JSON.stringify(one), undefined]),
        );
      },
    ),
    400,
  ));

test("any bytes are read, or refused in one line", () =>
  soak(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array({ maxLength: 80 }),
        fc
          .array(fc.constantFrom("[", "]", "{", "}", '"', ",", "\n", "\r", "\t", "a", ":", "1", "\\", "\ufeff"), {
            maxLength: 40,
          })
          .map((parts) => Buffer.from(parts.join(""))),
      ),
      fc.constantFrom(csv, tsv, jsonl, { ...tsv, header: false }, { ...csv, header: false }),
      fc.integer({ min: 1, max: 20 }),
      async (bytes, layout, pieces) => {
        const outcome = await read(bytes, layout, pieces).catch((error: Error) => error);
        const whole = await read(bytes, layout).catch((error: Error) => error);
        if (outcome instanceof Error) {
          expect(outcome).toMatchObject({ name: "UserError", exitCode: 3 });
          expect(outcome.message).toMatch(/^[^\n]+$/);
          expect(whole).toEqual(outcome);
        } else expect(whole).toEqual(outcome);
      },
    ),
    1_000,
  ));
