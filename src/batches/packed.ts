// Rows as the pieces of a model read them: their tokens one after another, without padding, and where each row's lie for
// attention (model/packed.ts). Which rows of a batch go through attention together.

import { int32 } from "../model/tensors";
import type { TokenRows } from "./rows";

/** Some rows of a batch, packed in the order of `rows`. */
export interface PackedRows {
  readonly rows: readonly number[];
  readonly tokens: number;
  /** Where each row's tokens begin. */
  readonly starts: Int32Array;
  /** Inputs by name: token ids, positions, and where rows lie. What a piece does not read it is not given. */
  readonly inputs: Readonly<Record<string, ReturnType<typeof int32>>>;
}

/**
 * Attention's rows are a multiple of this long. onnxruntime's product of one row (the first position's probabilities with the values, in
 * the topmost layer) adds four terms at a time and the rest one by one: at other lengths a row's last bit hangs on its padding.
 */
const LENGTH_STEP = 4;

/** How long attention's rows are where the longest has so many tokens. */
const paddedLength = (longest: number): number => Math.ceil(longest / LENGTH_STEP) * LENGTH_STEP;

/**
 * @param heads attention heads, each of which is laid out by row
 * @param around also where the tokens next to each stand
 */
export function packRows(all: TokenRows, rows: readonly number[], heads: number, around = false): PackedRows {
  const { lengths } = all;
  const starts = new Int32Array(rows.length);
  let [tokens, longest] = [0, 0];
  for (const [i, row] of rows.entries()) {
    const own = lengths[row] as number;
    starts[i] = tokens;
    tokens += own;
    longest = Math.max(longest, own);
  }
  const length = paddedLength(longest);
  const ids = new Int32Array(tokens);
  const typeIds = new Int32Array(tokens);
  const positions = new Int32Array(tokens);
  const mask = new Int32Array(rows.length * length);
  const toRows = new Int32Array(rows.length * heads * length);
  const toTokens = new Int32Array(tokens * heads);
  for (const [i, row] of rows.entries()) {
    const [start, own] = [starts[i] as number, lengths[row] as number];
    ids.set(all.ids.at(row) as Int32Array, start);
    typeIds.set(all.typeIds.at(row) as Int32Array, start);
    mask.fill(1, i * length, i * length + own);
    for (let position = 0; position < length; position++) {
      // Padding is the row's first token again: attention masks it, and any number will do.
      const token = start + (position < own ? position : 0);
      if (position < own) positions[token] = position;
      for (let head = 0; head < heads; head++) {
        const cell = (i * heads + head) * length + position;
        toRows[cell] = token * heads + head;
        if (position < own) toTokens[token * heads + head] = cell;
      }
    }
  }
  const inputs = {
    ...{ input_ids: int32([tokens], ids), token_type_ids: int32([tokens], typeIds) },
    ...{ position_ids: int32([tokens], positions), attention_mask: int32([rows.length, length], mask) },
    to_rows: int32([rows.length, heads, length], toRows),
    to_tokens: int32([tokens, heads], toTokens),
    first: int32([rows.length], starts),
    ...(around ? { neighbours: int32([tokens, 2], neighboursOf(starts, tokens)) } : {}),
  };
  return { rows, tokens, starts, inputs };
}

/** Of each token the next and the one before it in its row, -1 where there is none. */
function neighboursOf(starts: Int32Array, tokens: number): Int32Array {
  const places = new Int32Array(2 * tokens);
  for (const [i, start] of starts.entries()) {
    const end = starts[i + 1] ?? tokens;
    for (let token = start; token < end; token++) {
      places[2 * token] = token + 1 < end ? token + 1 : -1;
      places[2 * token + 1] = token > start ? token - 1 : -1;
    }
  }
  return places;
}

/** Of the tokens of `below`, those of the rows above it, in their order: [tokens] */
export function chosenTokens(below: PackedRows, above: PackedRows, lengths: ArrayLike<number>) {
  const at = new Map(below.rows.map((row, i) => [row, below.starts[i] as number]));
  const chosen = new Int32Array(above.tokens);
  let next = 0;
  for (const row of above.rows) {
    const start = at.get(row);
    if (start === undefined) throw new Error(`row ${row} is not among those of the piece below`);
    for (let i = 0; i < (lengths[row] as number); i++) chosen[next++] = start + i;
  }
  return int32([above.tokens], chosen);
}

/** Where the first tokens of rows above lie among the tokens of `below`: [rows] */
export function firstTokens(below: PackedRows, rows: readonly number[]) {
  const at = new Map(below.rows.map((row, i) => [row, below.starts[i] as number]));
  return int32(
    [rows.length],
    Int32Array.from(rows, (row) => {
      const start = at.get(row);
      if (start === undefined) throw new Error(`row ${row} is not among those of the piece below`);
      return start;
    }),
  );
}

/** What a layer costs beside its products with weights, in those of a token. */
export interface LayerCost {
  /** Attention of one token to one other. */
  readonly cell: number;
  /** A call, however few its tokens are. */
  readonly call: number;
}

/**
 * Rows in groups of like length, longest first: attention alone computes padding, with the square of the length, so one long text among
 * short ones would cost more than all products, and each group costs a call. The partition that costs least, by the lengths that there are.
 * Order in a group is that of `rows` where lengths are equal.
 */
export function groupRows(lengths: ArrayLike<number>, rows: readonly number[], { cell, call }: LayerCost): number[][] {
  const sorted = [...rows].sort((a, b) => (lengths[b] as number) - (lengths[a] as number));
  // Where each length begins among them, and the end.
  const starts = [...sorted.keys()].filter(
    (i) => i === 0 || lengths[sorted[i - 1] as number] !== lengths[sorted[i] as number],
  );
  starts.push(sorted.length);
  const costs = new Float64Array(starts.length);
  /** Where the last group of those up to a length begins. */
  const last = new Int32Array(starts.length);
  for (let to = 1; to < starts.length; to++) {
    costs[to] = Number.POSITIVE_INFINITY;
    for (let from = 0; from < to; from++) {
      const [begin, end] = [starts[from] as number, starts[to] as number];
      const length = paddedLength(lengths[sorted[begin] as number] as number);
      const cost = (costs[from] as number) + call + cell * (end - begin) * length * length;
      if (cost < (costs[to] as number)) [costs[to], last[to]] = [cost, from];
    }
  }
  const groups: number[][] = [];
  for (let to = starts.length - 1; to > 0; to = last[to] as number) {
    groups.unshift(sorted.slice(starts[last[to] as number], starts[to]));
  }
  return groups;
}
