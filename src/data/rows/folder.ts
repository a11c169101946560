// A folder whose files are columns, a line a row: seq.in, seq.out and label, as slot filling's data sets are kept.

import { readdir } from "node:fs/promises";
import path from "node:path";
import { dataError } from "../../errors/errors";
import { counted, listed } from "../../messages/words";
import { fileBytes } from "./file-bytes";
import type { JsonRecord } from "./json";
import { linesOf } from "./text-blocks";

/** Records that are handed on at a time. */
const CHUNK = 4096;

/** The names of its files. Throws dataError (3) where it cannot be read. */
export async function filesIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.filter((entry) => !entry.isDirectory() && !entry.name.startsWith(".")).map(({ name }) => name);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw dataError(
      `${folder}: cannot be read as a folder of columns (${code}); name the folder, not a file in it`,
      error,
    );
  }
}

/** Line i of each file is row i. Throws dataError (3) for files of other numbers of lines. */
export async function* folderRecords(
  folder: string,
  names: readonly string[],
): AsyncGenerator<JsonRecord[], void, undefined> {
  const columns = names.map((name) => linesOf(fileBytes(path.join(folder, name))));
  let records: JsonRecord[] = [];
  let line = 0;
  try {
    for (;;) {
      const read = await Promise.all(columns.map((lines) => lines.next()));
      const ended = names.filter((_, i) => read[i]?.done);
      if (ended.length > 0) {
        if (ended.length === names.length) break;
        const others = names.filter((name) => !ended.includes(name));
        throw dataError(
          `${folder}: ${listed(ended)} has ${counted(line, "line")}, and ${listed(others)} more: line ${line + 1} has no ` +
            "counterpart; each must have a line a row",
        );
      }
      line++;
      records.push({ line, cells: Object.fromEntries(names.map((name, i) => [name, read[i]?.value as string])) });
      if (records.length < CHUNK) continue;
      yield records;
      records = [];
    }
    yield records;
  } finally {
    for (const lines of columns) await lines.return();
  }
}
