// The frames of a batch: rows in, each task's logits out, and what it was.

import type { TokenRows } from "../../batches/rows";
import type { BatchPart, BatchRow, BatchRun, PieceTime } from "./inference";
import { emptyFrame, FrameKind, payloadReader, WireError } from "./wire";

/** More than a model has, and few enough for a frame's sums to stay whole numbers. */
const MOST_TASKS = 4096;

/** What a batch is known by. */
export interface BatchHead {
  /** Its number, in its parts and its end. */
  readonly call: number;
  /** The number under which its version was opened. */
  readonly version: number;
}

/** The rows as packing reads them. */
export interface DecodedBatch extends BatchHead {
  readonly rows: TokenRows;
  /** Names of tasks, a list for each row. */
  readonly wants: readonly (readonly string[])[];
  /** Of each row as much doubt as may be left where it leaves: {@link BatchRow.exit}, Infinity where that is absent. */
  readonly exits: Float64Array;
}

/**
 * u32 call, version, rows, words of tasks a row, tokens; u32 tokens of each row; u32 tasks of each row, a bit each; f64 doubt of each
 * row, as two u32; i32 ids; u8 type ids.
 * @param tasks the version's, in their order
 */
export function encodeBatch(
  { call, version }: BatchHead,
  rows: readonly BatchRow[],
  tasks: readonly string[],
): Uint8Array {
  const words = Math.ceil(tasks.length / 32);
  const tokens = rows.reduce((sum, { ids }) => sum + ids.length, 0);
  const { frame, at } = emptyFrame(FrameKind.batch, 4 * (5 + rows.length * (3 + words) + tokens) + tokens);
  const { buffer } = frame;
  new Uint32Array(buffer, at, 5).set([call, version, rows.length, words, tokens]);
  const lengths = new Uint32Array(buffer, at + 20, rows.length);
  const wants = new Uint32Array(buffer, at + 20 + 4 * rows.length, rows.length * words);
  const doubts = Float64Array.from(rows, ({ exit = Number.POSITIVE_INFINITY }) => exit);
  const doubtsAt = at + 20 + 4 * rows.length * (1 + words);
  new Uint32Array(buffer, doubtsAt, 2 * rows.length).set(new Uint32Array(doubts.buffer));
  const ids = new Int32Array(buffer, doubtsAt + 8 * rows.length, tokens);
  const typeIds = new Uint8Array(buffer, ids.byteOffset + 4 * tokens, tokens);
  const bits = new Map(tasks.map((task, i) => [task, i]));
  let token = 0;
  for (const [row, { ids: own, typeIds: types, tasks: asked }] of rows.entries()) {
    if (types.length !== own.length) {
      throw new Error(`row ${row} has ${own.length} ids and ${types.length} type ids`);
    }
    lengths[row] = own.length;
    ids.set(own, token);
    typeIds.set(types, token);
    token += own.length;
    for (const task of asked) {
      const bit = bits.get(task);
      if (bit === undefined) throw new Error(`row ${row} asks for ${task}, which the version has not`);
      const word = row * words + (bit >>> 5);
      wants[word] = ((wants[word] as number) | (1 << (bit & 31))) >>> 0;
    }
  }
  return frame;
}

/** @param tasksOf the tasks of a version by its number; null where it is not open */
export function decodeBatch(
  payload: ArrayBuffer,
  tasksOf: (version: number) => readonly string[] | null,
): DecodedBatch | BatchHead {
  const read = payloadReader(payload);
  const [call, version, count, words, tokens] = read.u32s(5) as unknown as [number, number, number, number, number];
  const tasks = tasksOf(version);
  if (!tasks) return { call, version };
  if (words !== Math.ceil(tasks.length / 32) || words > MOST_TASKS / 32) {
    throw new WireError(`a batch has ${32 * words} bits of tasks for ${tasks.length} tasks`);
  }
  const lengths = read.u32s(count);
  const masks = read.u32s(count * words);
  const exits = new Float64Array(read.u32s(2 * count).slice().buffer);
  const ids = read.i32s(tokens);
  const types = read.u8s(tokens);
  read.end();
  const rows = rowsOf(lengths, ids, Int32Array.from(types));
  return { call, version, rows, wants: wantsOf(masks, words, count, tasks), exits };
}

/** Rows as parts of the arrays in which they came. */
function rowsOf(lengths: Uint32Array, ids: Int32Array, typeIds: Int32Array): TokenRows {
  const starts = new Float64Array(lengths.length + 1);
  for (const [row, length] of lengths.entries()) {
    if (length === 0) throw new WireError(`row ${row} of a batch has no tokens`);
    starts[row + 1] = (starts[row] as number) + length;
  }
  const tokens = starts[lengths.length] as number;
  if (tokens !== ids.length) throw new WireError(`rows of ${tokens} tokens came with ${ids.length}`);
  const parts = (all: Int32Array) => Array.from(lengths, (_, row) => all.subarray(starts[row], starts[row + 1]));
  return { ids: parts(ids), typeIds: parts(typeIds), lengths: Int32Array.from(lengths), padId: 0 };
}

function wantsOf(masks: Uint32Array, words: number, rows: number, tasks: readonly string[]): (readonly string[])[] {
  // Most rows ask for the same.
  const known = new Map<string, readonly string[]>();
  return Array.from({ length: rows }, (_, row) => {
    const own = masks.subarray(row * words, (row + 1) * words);
    const key = own.join();
    let found = known.get(key);
    if (!found) {
      found = tasks.filter((_, bit) => ((own[bit >>> 5] as number) >>> (bit & 31)) & 1);
      const bits = own.reduce((sum, word) => sum + bitsIn(word), 0);
      if (bits !== found.length) throw new WireError(`row ${row} of a batch asks for tasks that there are not`);
      known.set(key, found);
    }
    return found;
  });
}

const bitsIn = (word: number): number => (word === 0 ? 0 : (word & 1) + bitsIn(word >>> 1));

/** A part as the process has it: the task by its number among the version's. */
export interface OwnPart extends Pick<BatchPart, "rows" | "outputs" | "at" | "layer"> {
  readonly task: number;
  readonly logits: ArrayLike<number>;
}

/** u32 call, task; f32 milliseconds; u32 rows, outputs, layers passed or 0; u32 positions; f32 logits, a list a row or a list a token of theirs. */
export function encodePart(call: number, { task, rows, logits, outputs, layer = 0, at: ms }: OwnPart): Uint8Array {
  const { frame, at } = emptyFrame(FrameKind.part, 4 * (6 + rows.length + logits.length));
  const head = new Uint32Array(frame.buffer, at, 6);
  head.set([call, task, 0, rows.length, outputs, layer]);
  new Float32Array(frame.buffer, at + 8, 1)[0] = ms;
  new Uint32Array(frame.buffer, at + 24, rows.length).set(rows);
  new Float32Array(frame.buffer, at + 24 + 4 * rows.length, logits.length).set(logits);
  return frame;
}

export const callOf = (payload: ArrayBuffer): number => payloadReader(payload).u32();

/**
 * @param tasks the version's, in their order
 * @param batch the rows of the batch
 */
export function decodePart(
  payload: ArrayBuffer,
  tasks: readonly string[],
  batch: readonly Pick<BatchRow, "ids">[],
): BatchPart {
  const read = payloadReader(payload);
  read.u32();
  const number = read.u32();
  const ms = read.f32();
  const [own, outputs, layer] = [read.u32(), read.u32(), read.u32()];
  const rows = Array.from(read.u32s(own));
  const tokens = rows.reduce((sum, row) => sum + (batch[row]?.ids.length ?? 0), 0);
  // A list of logits a row, or one a token: a row has two tokens at least.
  const perToken = payload.byteLength === 4 * (6 + own + tokens * outputs);
  const logits = read.f32s((perToken ? tokens : own) * outputs);
  read.end();
  const task = tasks[number];
  if (task === undefined) throw new WireError(`logits came for task ${number} of ${tasks.length}`);
  if (rows.some((row) => row >= batch.length)) {
    throw new WireError(`logits came for a row beyond the batch's ${batch.length}`);
  }
  return { task, rows, logits, outputs, ...(layer === 0 ? {} : { layer }), at: ms };
}

/** u32 call; f32 milliseconds; u32 pieces; of each u32 rows, tokens, layers, f32 milliseconds, u32 bytes of its name; names. */
export function encodeDone(call: number, { ms, pieces }: BatchRun): Uint8Array {
  const encoder = new TextEncoder();
  const names = pieces.map(({ piece }) => encoder.encode(piece));
  const bytes = names.reduce((sum, { length }) => sum + length, 0);
  const { frame, at } = emptyFrame(FrameKind.done, 4 * (3 + 5 * pieces.length) + bytes);
  const u32 = new Uint32Array(frame.buffer, at, 3 + 5 * pieces.length);
  const f32 = new Float32Array(frame.buffer, at, u32.length);
  u32.set([call, 0, pieces.length]);
  f32[1] = ms;
  let name = at + 4 * u32.length;
  for (const [i, piece] of pieces.entries()) {
    const own = names[i] as Uint8Array;
    u32.set([piece.rows, piece.tokens, piece.layers, 0, own.length], 3 + 5 * i);
    f32[3 + 5 * i + 3] = piece.ms;
    frame.set(own, name);
    name += own.length;
  }
  return frame;
}

export function decodeDone(payload: ArrayBuffer): BatchRun {
  const read = payloadReader(payload);
  read.u32();
  const ms = read.f32();
  const count = read.u32();
  const numbers = payload.slice(12, 12 + read.u32s(5 * count).byteLength);
  const [u32, f32] = [new Uint32Array(numbers), new Float32Array(numbers)];
  const decoder = new TextDecoder();
  const pieces = Array.from({ length: count }, (_, i): PieceTime => {
    const [rows, tokens, layers] = u32.subarray(5 * i, 5 * i + 3) as unknown as [number, number, number];
    const piece = decoder.decode(read.u8s(u32[5 * i + 4] as number));
    return { piece, rows, tokens, layers, ms: f32[5 * i + 3] as number };
  });
  read.end();
  return { ms, pieces };
}

/** What a process says of itself. */
export interface Pulse {
  readonly rssBytes: number;
  /** Graphs that its engine has open. */
  readonly graphs: number;
  /** Files, sockets and timers that its loop has open. */
  readonly handles: number;
}

/** u32 kibibytes, graphs, handles. */
export function encodePong({ rssBytes, graphs, handles }: Pulse): Uint8Array {
  const { frame, at } = emptyFrame(FrameKind.pong, 12);
  new Uint32Array(frame.buffer, at, 3).set([Math.round(rssBytes / 1024), graphs, handles]);
  return frame;
}

export function decodePong(payload: ArrayBuffer): Pulse {
  const read = payloadReader(payload);
  const [kibibytes, graphs, handles] = [read.u32(), read.u32(), read.u32()];
  read.end();
  return { rssBytes: 1024 * kibibytes, graphs, handles };
}
