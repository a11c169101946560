// How a file of rows is laid out, by its first bytes and by its name, where no task says it.

import { type Format, formatByName, usualQuotes } from "../../tasks/format";
import { PARQUET_MAGIC } from "./parquet";
import type { Layout } from "./table";
import { type ByteSource, textBlocks } from "./text-blocks";

/** With a header. Throws dataError (3) for bytes that are no text. */
export async function layoutOf(bytes: ByteSource): Promise<Layout> {
  const format = await formatOf(bytes);
  // Programs that part cells by tabs and call it CSV quote as CSV does.
  const quotes = format === "tsv" && formatByName(bytes.name) === "csv" ? "csv" : usualQuotes(format);
  return { format, header: true, quotes };
}

async function formatOf(bytes: ByteSource): Promise<Format> {
  for await (const chunk of bytes.open()) {
    if (chunk.subarray(0, PARQUET_MAGIC.length).equals(PARQUET_MAGIC)) return "parquet";
    break;
  }
  const named = formatByName(bytes.name);
  const first = await firstLine(bytes);
  if (named === "jsonl" || named === "parquet" || first === null) return named ?? "tsv";
  if (isJson(first)) return "jsonl";
  const [tabs, commas] = [first.includes("\t"), first.includes(",")];
  // A name may be wrong about what parts the cells: many programs call TSV .csv.
  if (named === "csv") return tabs && !commas ? "tsv" : "csv";
  return named ?? (commas && !tabs ? "csv" : "tsv");
}

/** Whether the line is an object of JSON lines, or begins an array. */
export function isJson(line: string): boolean {
  const start = line.trim();
  if (/^\[\s*(\{|$)/.test(start)) return true;
  if (!start.startsWith("{")) return false;
  try {
    JSON.parse(start);
    return true;
  } catch {
    return false;
  }
}

/** The first line that is not blank; null where there is none. */
export async function firstLine(bytes: ByteSource): Promise<string | null> {
  for await (const { text } of textBlocks(bytes)) {
    const line = text.split("\n").find((written) => written.trim() !== "");
    if (line !== undefined) return line;
  }
  return null;
}

/** Whether a text stands in the quotes that CSV writes around one with quotes in it, which are doubled then. */
export function looksQuoted(text: string): boolean {
  if (text.length < 5 || !text.startsWith('"') || !text.endsWith('"')) return false;
  const inside = text.slice(1, -1);
  return inside.includes('""') && !inside.replaceAll('""', "").includes('"');
}
