// Parquet, as data sets are published on the Hugging Face hub, through the optional package hyparquet: rows in groups, one
// group in memory at a time.

import { dataError, oneLine } from "../../errors/errors";
import { npmCommand } from "../../files/optional-packages";
import { fileBytes } from "./file-bytes";
import type { JsonRecord } from "./json";
import { isPointer, pointerAdvice } from "./strange";

/** Its first and last bytes. */
export const PARQUET_MAGIC = Buffer.from("PAR1");

/** Records that are handed on at a time. */
const CHUNK = 4096;

/** Records in the order of the file, lines counted as rows from 1. Throws dataError (3) for a file that cannot be read. */
export async function* parquetRecords(file: string): AsyncGenerator<JsonRecord[], void, undefined> {
  for await (const chunk of fileBytes(file).open()) {
    if (isPointer(chunk.subarray(0, 64))) throw dataError(`${file}: ${pointerAdvice}`);
    break;
  }
  const { parquetMetadataAsync, parquetReadObjects, asyncBufferFromFile } = await load(file);
  let start = 0;
  try {
    const bytes = await asyncBufferFromFile(file);
    const metadata = await parquetMetadataAsync(bytes);
    requireWhole(metadata, bytes.byteLength);
    for (const group of metadata.row_groups) {
      const end = start + Number(group.num_rows);
      const rows = await parquetReadObjects({ file: bytes, metadata, rowStart: start, rowEnd: end });
      const records = rows.map((cells, i): JsonRecord => ({ line: start + i + 1, cells: plainCells(cells) }));
      for (let from = 0; from < records.length; from += CHUNK) yield records.slice(from, from + CHUNK);
      start = end;
    }
  } catch (error) {
    throw dataError(
      `${file}: it cannot be read as Parquet behind row ${start} (${oneLine(error)}). Fetch it again, or write it as JSON lines`,
      error,
    );
  }
}

/** Of a row group, all columns together: more are no rows that anybody holds in memory. */
const MOST_CELLS = 2 ** 27;

/**
 * Throws Error where row groups and schema contradict each other: hyparquet reads every column of a group and waits for
 * those of the schema alone, so that an error in another one would end the process.
 */
function requireWhole({ schema, row_groups: groups }: FileMetaData, fileBytes: number): void {
  const names = topColumns(schema);
  for (const { columns, num_rows: rows } of groups) {
    const stored = new Set(columns.map(({ meta_data: column }) => column?.path_in_schema[0]));
    const same = stored.size === names.size && [...stored].every((name) => name !== undefined && names.has(name));
    if (!same) throw new Error("its row groups have other columns than its schema");
    if (rows < 0n || Number(rows) * columns.length > MOST_CELLS) throw new Error(`a row group has ${rows} rows`);
    for (const { meta_data: column } of columns) {
      const bytes = Number(column?.total_compressed_size ?? 0n);
      if (bytes < 0 || bytes > fileBytes) throw new Error(`a column of its row groups has ${bytes} bytes`);
    }
  }
}

/** Names of the schema's columns. Its elements stand one after the other, each before those that are in it. */
function topColumns(schema: FileMetaData["schema"]): ReadonlySet<string> {
  const names = new Set<string>();
  let at = 1;
  const skip = (): void => {
    const within = schema[at++]?.num_children ?? 0;
    for (let i = 0; i < within && at < schema.length; i++) skip();
  };
  while (at < schema.length) {
    names.add(String(schema[at]?.name));
    skip();
  }
  if (names.size !== (schema[0]?.num_children ?? 0)) throw new Error("two columns of its schema have one name");
  return names;
}

/** As JSON has them: long integers are numbers, or text where a number cannot hold them. */
const plainCells = (cells: Readonly<Record<string, unknown>>) =>
  Object.fromEntries(Object.entries(cells).map(([name, value]) => [name, plainValue(value)]));

function plainValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plainValue);
  if (typeof value !== "bigint") return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}

type Hyparquet = typeof import("hyparquet", { with: { "resolution-mode": "import" }});
type FileMetaData = Awaited<ReturnType<Hyparquet["parquetMetadataAsync"]>>;

/** Loaded where a file needs it, as the only package that is an ES module alone. */
async function load(file: string): Promise<Hyparquet> {
  try {
    return await import("hyparquet");
  } catch (error) {
    throw dataError(
      `${file} is Parquet, and the package that reads it is not here. Run: ${npmCommand("hyparquet")}, or write the file as JSON lines`,
      error,
    );
  }
}
