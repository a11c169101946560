// Tokens of any number of rows in a scratch file: in memory are their lengths alone, a few bytes a row. Read as rows that are
// in memory are, so synchronously: a batch's rows are a few hundred bytes each, which the system has in its cache.

import { closeSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import type { EncodedRows } from "../../batches/rows";
import { failure } from "../../errors/errors";
import type { Encoding } from "../../tokenizer/tokenizer";
import { freeBytes, scratchFile } from "./activation-store";

/** Tokens that are written at once. */
const BUFFERED = 2 ** 20;

/** Beside an id, of a token that a loss reads. No vocabulary has so many. */
const READ = 1 << 30;

export interface TokenStore {
  /** Rows without labels. */
  readonly rows: EncodedRows;
  dispose(): void;
}

export interface TokenWriter {
  /** @param read where words have labels: whether a loss reads each token */
  add(encoding: Encoding, read?: (token: number) => boolean): void;
  /** Throws failure (1) where the disk was too small. */
  finish(padId: number): TokenStore;
  /** Instead of `finish`, after an error. */
  abandon(): void;
}

/**
 * A scratch file in `folder` for at most `rows` rows of `longest` tokens.
 * Throws failure (1) where the disk has no room for them.
 */
export async function openTokenStore(folder: string, rows: number, longest: number): Promise<TokenWriter> {
  const free = await freeBytes(folder);
  if (rows * longest * 4 > free) throw noRoom(folder, rows * longest * 4);
  const file = scratchFile(folder);
  const handle = openSync(file, "wx+");
  const buffer = new Int32Array(BUFFERED);
  const lengths = new Int32Array(rows);
  /** Where each row's second text begins; its length where there is none. */
  const seconds = new Int32Array(rows);
  let [count, tokens, truncatedRows, filled] = [0, 0, 0, 0];
  const flush = () => {
    writeSync(handle, buffer, 0, filled * 4);
    filled = 0;
  };
  const dispose = () => {
    closeSync(handle);
    rmSync(file, { force: true });
  };
  return {
    add({ ids, typeIds, truncated }, read) {
      if (filled + ids.length > BUFFERED) flush();
      buffer.set(read ? ids.map((id, token) => (read(token) ? id | READ : id)) : ids, filled);
      filled += ids.length;
      const second = typeIds.indexOf(1);
      lengths[count] = ids.length;
      seconds[count++] = second < 0 ? ids.length : second;
      tokens += ids.length;
      if (truncated > 0) truncatedRows++;
    },
    finish(padId) {
      flush();
      const known = lengths.subarray(0, count);
      const rowsOf = valuesIn(handle, known, seconds);
      return {
        rows: { ...rowsOf, lengths: known, padId, labels: new Float32Array(0), tokens, truncatedRows },
        dispose,
      };
    },
    abandon: dispose,
  };
}

type StoredValues = Required<Pick<EncodedRows, "ids" | "typeIds" | "readTokens">>;

function valuesIn(handle: number, lengths: Int32Array, seconds: Int32Array): StoredValues {
  const starts = new Float64Array(lengths.length); // bytes: more than 32 bits hold
  for (let row = 1; row < lengths.length; row++) {
    starts[row] = (starts[row - 1] as number) + 4 * (lengths[row - 1] as number);
  }
  const { length } = lengths;
  const stored = (row: number) => {
    const values = new Int32Array(lengths[row] as number);
    readSync(handle, values, 0, values.byteLength, starts[row] as number);
    return values;
  };
  return {
    ids: { length, at: (row) => stored(row).map((value) => value & ~READ) },
    readTokens: { length, at: (row) => stored(row).map((value) => (value & READ ? 0 : -1)) },
    typeIds: {
      length,
      at: (row) => new Int32Array(lengths[row] as number).fill(1, seconds[row]),
    },
  };
}

const noRoom = (folder: string, bytes: number) =>
  failure(
    `the tokens of --transfer may take ${(bytes / 1e9).toFixed(1)} GB, which the disk of ${folder} does not have. ` +
      "Free space there, or give fewer --transfer-rows",
  );
