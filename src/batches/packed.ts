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

/** @param heads attention heads, each of which is laid out by row */
export function packRows(all: TokenRows, rows: readonly number[], heads: number): PackedRows {
  const { lengths } = all;
  const starts = new Int32Array(rows.length);
  let [tokens, length] = [0, 0];
  for (const [i, row] of rows.entries()) {
    const own = lengths[row] as number;
    starts[i] = tokens;
    tokens += own;
    length = Math.max(length, own);
  }
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
  };
  return { rows, tokens, starts, inputs };
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

/** What a layer costs a token: of products with weights, and of attention for each token that it attends to. */
export interface TokenCost {
  readonly products: number;
  readonly attention: number;
  /** Attention on padding, as a part of the products with weights on real tokens, beyond which rows part. */
  readonly mostWaste: number;
}

/**
 * Rows in groups of like length, longest first: attention alone computes padding, with the square of the length, so one long
 * text among short ones would cost more than all products. Order in a group is that of `rows` where lengths are equal.
 */
export function groupRows(lengths: ArrayLike<number>, rows: readonly number[], cost: TokenCost): number[][] {
  const sorted = [...rows].sort((a, b) => (lengths[b] as number) - (lengths[a] as number));
  const groups: number[][] = [];
  let [group, longest, tokens, squares]: [number[], number, number, number] = [[], 0, 0, 0];
  for (const row of sorted) {
    const own = lengths[row] as number;
    const padded = (group.length + 1) * longest * longest - squares - own * own;
    if (group.length === 0 || padded * cost.attention > cost.mostWaste * (tokens + own) * cost.products) {
      group = [];
      groups.push(group);
      [longest, tokens, squares] = [own, 0, 0];
    }
    group.push(row);
    tokens += own;
    squares += own * own;
  }
  return groups;
}
