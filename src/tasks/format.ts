// The formats of files of rows, as their names tell them.

import path from "node:path";

export const formats = ["tsv", "csv", "jsonl", "parquet", "conll", "folder"] as const;

/**
 * "jsonl" is JSON lines, or one JSON array; "conll" a word a line, its columns between tabs or spaces, and an empty line behind
 * each row; "folder" a folder of text files, of which each is a column with a line a row.
 */
export type Format = (typeof formats)[number];

const byExtension: Readonly<Record<string, Format>> = {
  ".tsv": "tsv",
  ".csv": "csv",
  ".jsonl": "jsonl",
  ".ndjson": "jsonl",
  ".json": "jsonl",
  ".parquet": "parquet",
  ".conll": "conll",
  ".bio": "conll",
  ".iob": "conll",
  ".iob2": "conll",
};

/** Whether rows carry the names of their columns, so that there is no header and no position. */
export const isKeyed = (format: Format): boolean => format === "jsonl" || format === "parquet" || format === "folder";

/** Upper case or lower case; undefined for an extension that says nothing. */
export const formatByName = (file: string): Format | undefined => byExtension[path.extname(file).toLowerCase()];

/** CSV's quotes are RFC 4180's, TSV's are characters like any other, where nobody says otherwise. */
export const usualQuotes = (format: Format): "ordinary" | "csv" => (format === "csv" ? "csv" : "ordinary");
