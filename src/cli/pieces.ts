// Tables and lists of any length, printed in pieces, so that none is held whole. What is no longer than a piece is printed at its
// end: where the work fails before, nothing was.

import { LONG, longTable, type Terminal, table } from "./terminal";

export interface Pieces<T, Tail = void> {
  add(item: T): void;
  end(tail: Tail): void;
}

/** A table as `table` makes it; a long one may grow wider from piece to piece. */
export function tableInPieces(head: readonly string[], terminal: Terminal): Pieces<readonly (string | number)[]> {
  let rows: (readonly (string | number)[])[] = [];
  let widths: readonly number[] | null = null;
  const flush = () => {
    const piece = longTable(widths === null ? head : null, rows, widths ?? head.map(() => 0));
    terminal.print(piece.text);
    [rows, widths] = [[], piece.widths];
  };
  return {
    add(row) {
      rows.push(row);
      if (rows.length > LONG) flush();
    },
    end() {
      if (widths === null) terminal.print(table(head, rows));
      else if (rows.length > 0) flush();
    },
  };
}

/**
 * One JSON object on stdout, with a list of any length in it, as JSON.stringify lays it out.
 * @param head what stands before the list; what stands behind is told at the end
 */
export function listInJson(head: object, name: string, terminal: Terminal): Pieces<unknown, object> {
  const shown = (value: unknown, indent: string) => JSON.stringify(value, null, 2).replaceAll("\n", `\n${indent}`);
  const members = (values: object) =>
    Object.entries(values)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => `  ${JSON.stringify(key)}: ${shown(value, "  ")}`);
  let items: string[] = [];
  let begun = false;
  const flush = (last: boolean) => {
    if (!begun) terminal.print(`{\n${members(head).join(",\n")},\n  ${JSON.stringify(name)}: [`);
    begun = true;
    if (items.length > 0) terminal.print(`${items.join(",\n")}${last ? "" : ","}`);
    items = [];
  };
  return {
    add(item) {
      // A piece goes out when another item is there: the last one has no comma.
      if (items.length >= LONG) flush(false);
      items.push(`    ${shown(item, "    ")}`);
    },
    end(tail) {
      flush(true);
      const rest = members(tail);
      terminal.print(`  ]${rest.length > 0 ? ",\n" : ""}${rest.join(",\n")}\n}`);
    },
  };
}
