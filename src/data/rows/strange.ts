// What people take for a file of rows and is none, or none that is read: told by its first bytes or by its header, so that
// an error can say what to do instead of naming a byte or a column.

import type { Format } from "../../tasks/format";

/** First bytes of files that only look like text by their names. */
const magics: readonly (readonly [bytes: string, advice: string])[] = [
  ["\x1f\x8b", "it is packed by gzip: unpack it first"],
  ["PK\x03\x04", "it is a zip, as .xlsx files are: save its table as CSV"],
  ["\xd0\xcf\x11\xe0", "it is a file of Excel's: save its table as CSV"],
  ["\x28\xb5\x2f\xfd", "it is packed by zstd: unpack it first"],
  ["\xfd7zXZ", "it is packed by xz: unpack it first"],
  ["BZh", "it is packed by bzip2: unpack it first"],
  ["PAR1", "it is Parquet: give it a name that ends so"],
];

const POINTER = "version https://git-lfs.github.com/spec/";

/** Whether a file is what a clone without git-lfs has in its place. */
export const isPointer = (head: Uint8Array): boolean => Buffer.from(head).toString("latin1").startsWith(POINTER);

export const pointerAdvice = "it is a pointer of git-lfs, its content was not fetched: run git lfs pull there";

/** What to do with bytes that are no text; null where nothing is known of them. */
export function packedAdvice(bytes: Buffer): string | null {
  const head = bytes.subarray(0, 8).toString("latin1");
  return magics.find(([magic]) => head.startsWith(magic))?.[1] ?? null;
}

export const CR_ALONE = "its lines end at CR alone: save it with LF or CRLF";

/** What to do where the names of columns are none, because the file is written in another way; null for nothing. */
export function headerAdvice(names: readonly string[], { format }: { readonly format: Format }): string | null {
  const [first = ""] = names;
  if (names.some((name) => name.includes("\0"))) return "it may be UTF-16 without a byte order mark: save it as UTF-8";
  if (/^<(!doctype html|html)/i.test(first)) return "it is a web page: a server sent it instead of the file";
  if (/^sep=/i.test(first)) return "its first line is Excel's word for what parts cells: remove it";
  if (names.some((name) => name.includes("\r"))) return CR_ALONE;
  if (names.length > 1) return null;
  if (first.includes(";")) return "its cells stand between semicolons: save it with commas or tabs";
  if (format === "tsv" && first.includes(",")) return "its cells stand between commas: let its name end in .csv";
  return format === "csv" && first.includes("\t") ? "its cells stand between tabs: let its name end in .tsv" : null;
}
