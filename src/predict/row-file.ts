// Files of rows to predict: TSV, CSV or JSON lines, their columns known by the names that people give them.

import { readFile } from "node:fs/promises";
import { dataError } from "../errors/errors";
import type { InputRow } from "./rows";

const textColumns = ["text", "sentence", "sentence1", "question", "question1", "premise", "text1"];
const pairColumns = ["pair", "sentence2", "question2", "hypothesis", "text2"];
const idColumns = ["id", "index", "idx"];

/** The file's rows. Throws dataError (3) for one that cannot be read or has no texts. */
export async function readRowFile(file: string): Promise<InputRow[]> {
  let content: string;
  try {
    content = await readFile(file, "utf8");
  } catch (error) {
    throw dataError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`, error);
  }
  if (/\.jsonl?$/.test(file)) return readJsonLines(file, content);
  const { default: Papa } = await import("papaparse"); // CommonJS: Node finds no names in it
  const tsv = !file.endsWith(".csv");
  const parsed = Papa.parse<string[]>(content.replace(/^\uFEFF/, ""), {
    delimiter: tsv ? "\t" : ",",
    skipEmptyLines: true,
    ...(tsv ? { quoteChar: "\u0000" } : {}),
  });
  const [head = [], ...lines] = parsed.data;
  const column = (wanted: readonly string[]) => head.findIndex((name) => wanted.includes(name.trim().toLowerCase()));
  const first = column(textColumns);
  const second = column(pairColumns);
  const id = column(idColumns);
  if (first < 0) {
    throw dataError(
      `${file} has no column of texts among ${head.join(", ")}. Name one of them text, and for pairs another one pair`,
    );
  }
  return lines.map((cells) => ({
    ...(id < 0 ? {} : { id: cells[id] ?? "" }),
    text: cells[first] ?? "",
    pair: second < 0 ? null : (cells[second] ?? ""),
  }));
}

function readJsonLines(file: string, content: string): InputRow[] {
  const lines = content.split("\n").map((line, i) => ({ line, number: i + 1 }));
  return lines
    .filter(({ line }) => line.trim() !== "")
    .map(({ line, number }) => {
      try {
        const row: Record<string, unknown> = JSON.parse(line);
        const text = textColumns.map((name) => row[name]).find((value) => typeof value === "string");
        const pair = pairColumns.map((name) => row[name]).find((value) => typeof value === "string");
        const id = idColumns.map((name) => row[name]).find((value) => ["string", "number"].includes(typeof value));
        if (typeof text !== "string") throw new Error("it has no text");
        return {
          ...(id === undefined ? {} : { id: id as string | number }),
          text,
          pair: typeof pair === "string" ? pair : null,
        };
      } catch (error) {
        throw dataError(`${file}, line ${number}: ${(error as Error).message}`, error);
      }
    });
}
