// A file of rows as a table in memory, before anybody has said what its columns are for.

import { fileBytes } from "../rows/file-bytes";
import { type Layout, openTable, type TableRow } from "../rows/table";

export interface Table {
  /** Null without a header. */
  readonly names: readonly string[] | null;
  readonly rows: readonly TableRow[];
}

/** Throws dataError (3) for a file that cannot be read, is empty or no text. */
export async function readTable(file: string, layout: Layout): Promise<Table> {
  const { names, rows } = await openTable(fileBytes(file), layout);
  const all: TableRow[] = [];
  for await (const batch of rows) for (const row of batch) all.push(row);
  return { names, rows: all };
}
