// What can be said of a split's file without holding it in memory: its rows, its broken rows and its hash. MNLI's train
// file is hundreds of megabytes, and a download looks at it only to see that it is whole.

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { dataError, UserError } from "../../errors/errors";
import type { SplitSource } from "../../tasks/task";
import { openRows } from "../rows";

export interface Inspection {
  /** Rows with all columns of the header, or of the first row of a file without one: loaders count these. */
  readonly rows: number;
  readonly broken: number;
  readonly sha256: string;
}

const TAB = 0x09;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const HEAD_BYTES = 1 << 16;

/** Reads a TSV file once. Throws dataError (3) for one that cannot be read, is empty, not UTF-8 at its head, or lacks a column. */
export async function inspectSplit(file: string, source: SplitSource): Promise<Inspection> {
  try {
    const { lines, broken, sha256 } = await countLines(file);
    const bytes = await head(file);
    const { rows } = await openRows(
      {
        name: file,
        open: async function* () {
          yield bytes;
        },
      },
      source,
    );
    await rows.next();
    return { rows: lines - (source.header ? 1 : 0) - broken, broken, sha256 };
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw dataError(`${file}: cannot be read (${(error as NodeJS.ErrnoException).code})`, error);
  }
}

async function countLines(file: string): Promise<{ lines: number; broken: number; sha256: string }> {
  const hash = createHash("sha256");
  const counts = { lines: 0, broken: 0, blank: 0 };
  let width: number | null = null;
  let tabs = 0;
  let empty = true;
  const endLine = () => {
    if (empty) counts.blank++;
    else {
      width ??= tabs;
      counts.lines += 1 + counts.blank; // a blank line counts once a row follows: files may end with some
      counts.broken += counts.blank + (tabs < width ? 1 : 0);
      counts.blank = 0;
    }
    tabs = 0;
    empty = true;
  };
  for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
    const bytes = chunk as Buffer;
    hash.update(bytes);
    for (const byte of bytes) {
      if (byte === LINE_FEED) endLine();
      else {
        if (byte === TAB) tabs++;
        if (byte !== CARRIAGE_RETURN) empty = false;
      }
    }
  }
  endLine();
  return { lines: counts.lines, broken: counts.broken, sha256: hash.digest("hex") };
}

/** The file's first whole lines. */
async function head(file: string): Promise<Buffer> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const bytes = buffer.subarray(0, bytesRead);
    return bytesRead < HEAD_BYTES ? bytes : bytes.subarray(0, bytes.lastIndexOf(LINE_FEED) + 1);
  } finally {
    await handle.close();
  }
}

/**
 * Throws dataError (3) unless a file has the rows that were published. Broken rows may or may not have been counted
 * there: loaders differ.
 */
export function requireRows(file: string, { rows, broken }: Inspection, expected: number | undefined, advice: string) {
  if (expected === undefined || rows === expected || rows + broken === expected) return;
  throw dataError(
    `${file} has ${rows} rows${broken > 0 ? ` and ${broken} broken ones` : ""}, the published file ${expected}. ${advice}`,
  );
}
