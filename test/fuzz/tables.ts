// Changes of a table of rows: cells of any text, rows too short and too long, columns that go, come and change their names,
// in the format that the file has.

import fc from "fast-check";
import Papa from "papaparse";
import { hostileText } from "./hostile";

export type TableFormat = "tsv" | "csv" | "jsonl" | "json";

export interface TableEdit {
  readonly kind: string;
  readonly row: number;
  readonly column: number;
  readonly text: string;
}

const kinds = [
  ...["cell", "cell", "cell", "name", "name", "row", "shorter", "longer", "noColumn", "twoColumns", "moreColumns"],
  ...["noRows", "header", "swap", "twice", "many", "blank", "quote", "raw", "type"],
];

export const tableEdits = fc.array(
  fc.record({ kind: fc.constantFrom(...kinds), row: fc.nat(), column: fc.nat(), text: hostileText }),
  { minLength: 1, maxLength: 3 },
);

/** Names, and rows of cells. */
type Cells = unknown[][];

export function readCells(text: string, format: TableFormat): Cells {
  if (format === "csv" || format === "tsv") {
    return Papa.parse<string[]>(text, { delimiter: format === "csv" ? "," : "\t", skipEmptyLines: true }).data;
  }
  const rows: Record<string, unknown>[] =
    format === "json"
      ? JSON.parse(text)
      : text
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line));
  const names = Object.keys(rows[0] ?? {});
  return [names, ...rows.map((row) => names.map((name) => row[name]))];
}

export function editedTable(good: Cells, changes: readonly TableEdit[], format: TableFormat): string {
  let cells = good.map((row) => [...row]);
  const raw: string[] = [];
  for (const change of changes) cells = edited(cells, change, raw);
  const text = writtenTable(cells, format);
  return raw.length === 0 ? text : `${text}${raw.join("\n")}\n`;
}

function edited(cells: Cells, { kind, row, column, text }: TableEdit, raw: string[]): Cells {
  const at = 1 + (row % Math.max(1, cells.length - 1));
  const line = cells[at] ?? [];
  const names = cells[0] ?? [];
  const inLine = column % Math.max(1, line.length);
  const inNames = column % Math.max(1, names.length);
  const put = (value: unknown) => {
    line[inLine] = value;
  };
  /** What becomes a new table, and what changes a row of this one. */
  const remade: Record<string, () => Cells> = {
    noColumn: () => cells.map((one) => one.filter((_, i) => i !== inNames)),
    twoColumns: () => cells.map((one) => [...one, one[inNames]]),
    moreColumns: () =>
      cells.map((one, i) => [...one, ...Array.from({ length: 600 }, (_, j) => (i === 0 ? `c${j}` : "x"))]),
    noRows: () => cells.slice(0, 1),
    header: () => cells.slice(1),
    swap: () => cells.map((one) => [...one].reverse()),
    twice: () => [...cells, ...cells],
    many: () => [...cells, ...Array.from({ length: 600 }, () => line)],
  };
  const changed: Record<string, () => unknown> = {
    cell: () => put(text),
    type: () => put([null, 1, 1.5, true, [text], { [text]: text }, { toString: 1 }, [{ toString: 1 }]][row % 8]),
    quote: () => put(`"${JSON.stringify(line[inLine])}`),
    name: () => names.splice(inNames, 1, text),
    row: () => cells.splice(at, 0, [text]),
    blank: () => cells.splice(at, 0, []),
    shorter: () => line.pop(),
    longer: () => line.push(text),
    raw: () => raw.push(text),
  };
  changed[kind]?.();
  return remade[kind]?.() ?? cells;
}

function writtenTable(cells: Cells, format: TableFormat): string {
  const text = (cell: unknown) =>
    typeof cell === "object" && cell !== null ? JSON.stringify(cell) : String(cell ?? "");
  if (format === "csv") return `${Papa.unparse(cells.map((row) => row.map(text)))}\n`;
  if (format === "tsv") return `${cells.map((row) => row.map(text).join("\t")).join("\n")}\n`;
  const [names = [], ...rows] = cells;
  const objects = rows.map((row) => Object.fromEntries(row.map((cell, i) => [text(names[i] ?? `c${i}`), cell])));
  return format === "json"
    ? JSON.stringify(objects, null, 1)
    : `${objects.map((one) => JSON.stringify(one)).join("\n")}\n`;
}
