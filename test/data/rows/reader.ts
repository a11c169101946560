// Rows of bytes, as every reader gets them, cut into pieces of any size.

import type { Table, TableRow } from "../../../src/data/rows/table";
import { type Layout, openTable } from "../../../src/data/rows/table";
import type { ByteSource } from "../../../src/data/rows/text-blocks";

export function bytesOf(content: string | Uint8Array, pieces = 1 << 16, name = "rows"): ByteSource {
  const bytes = Buffer.from(content);
  return {
    name,
    async *open() {
      for (let at = 0; at < bytes.length; at += pieces) yield bytes.subarray(at, at + pieces);
    },
  };
}

export async function collect<T>(batches: AsyncIterable<readonly T[]>): Promise<T[]> {
  const all: T[] = [];
  for await (const batch of batches) all.push(...batch);
  return all;
}

export const csv: Layout = { format: "csv", header: true, quotes: "csv" };
export const tsv: Layout = { format: "tsv", header: true, quotes: "ordinary" };
export const jsonl: Layout = { format: "jsonl", header: true, quotes: "ordinary" };

export async function read(
  content: string | Uint8Array,
  layout: Layout,
  pieces?: number,
): Promise<Omit<Table, "rows"> & { readonly rows: readonly TableRow[] }> {
  const table = await openTable(bytesOf(content, pieces), layout);
  return { ...table, rows: await collect(table.rows) };
}
