// Weights as int8 with a scale for each output channel, or as float16. Pure functions over arrays; compile/onnx/quantised.ts
// computes with them.

import type { HostTensor } from "./tensors";

/** What the codes of a weight reach to: 127, or 63 where products of larger ones would saturate (engines/onnx/saturation.ts). */
export const INT8_MOST = 127;
export const INT7_MOST = 63;

/** value = code x scale of its channel. */
export interface Int8Codes {
  readonly codes: Int8Array;
  readonly scales: Float32Array;
}

/** What an int8 weight is: a product's matrix, [in, out] with a scale an output, or a table, [rows, width] with a scale a row. */
export type Int8Layout = "matrix" | "table";

/**
 * Under which names the parts of a weight are stored: a matrix is turned to what integer products want, a table lies as it
 * did, and the name says which. `inverse`, [in], is what a row is multiplied by before it is quantised.
 */
export const int8Names = (weight: string) => ({
  matrix: `${weight}_int8`,
  table: `${weight}_int8_rows`,
  scales: `${weight}_scale`,
  inverse: `${weight}_inverse`,
});

/** Before the last two parts of a name, and these. */
const LAST_TWO = /^(.*\.)?([^.]+)\.([^.]+)$/;

/**
 * The name of several weights that are stored as one, or null where their names do not say that they belong together: they
 * differ in the last part but one alone. self.query.weight and self.key.weight are self.query+key.weight.
 */
export function joinedName(names: readonly string[]): string | null {
  const parts = names.map((name) => LAST_TWO.exec(name));
  const [first] = parts;
  if (!first || parts.some((found) => found?.[1] !== first[1] || found?.[3] !== first[3])) return null;
  return `${first[1] ?? ""}${parts.map((found) => found?.[2]).join("+")}.${first[3]}`;
}

/** Equal of names that {@link joinedName} joins; null for one that it joins with no other. */
export const familyOf = (name: string): string | null =>
  LAST_TWO.test(name) ? name.replace(LAST_TWO, "$1*.$3") : null;

/** The weights that a stored one holds: itself, or those that {@link joinedName} names. */
export function memberNames(name: string): string[] {
  const [, owner = "", members, last] = LAST_TWO.exec(name) ?? [];
  return members ? members.split("+").map((member) => `${owner}${member}.${last}`) : [name];
}
export const float16Name = (weight: string) => `${weight}_float16`;

/**
 * A matrix of a product, with a scale for each of its outputs: the largest value of a channel is the largest code.
 * @param weight [out, in]
 * @param columns what each input's column is multiplied by first, [in]; nothing by default
 * @returns codes [in, out], scales [out]
 */
export function quantiseMatrix(
  weight: Float32Array,
  [out, width]: readonly [number, number],
  columns?: Float32Array,
): Int8Codes {
  const codes = new Int8Array(weight.length);
  const scales = new Float32Array(out);
  const row = new Float32Array(width);
  for (let channel = 0; channel < out; channel++) {
    for (let i = 0; i < width; i++) {
      row[i] = (weight[channel * width + i] as number) * (columns ? (columns[i] as number) : 1);
    }
    const scale = scaleOf(row);
    scales[channel] = scale;
    for (let i = 0; i < width; i++) codes[i * out + channel] = code(row[i] as number, scale);
  }
  return { codes, scales };
}

/**
 * A table of which rows are taken, with a scale for each.
 * @param table [rows, width]
 * @returns codes [rows, width], scales [rows]
 */
export function quantiseTable(table: Float32Array, [rows, width]: readonly [number, number]): Int8Codes {
  const codes = new Int8Array(table.length);
  const scales = new Float32Array(rows);
  for (let row = 0; row < rows; row++) {
    const begin = row * width;
    const scale = scaleOf(table.subarray(begin, begin + width));
    scales[row] = scale;
    for (let i = begin; i < begin + width; i++) codes[i] = code(table[i] as number, scale);
  }
  return { codes, scales };
}

/** 1 for a channel of zeros: any scale gives them. */
function scaleOf(values: Float32Array): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) most = Math.max(most, Math.abs(values[i] as number));
  const scale = Math.fround(most / INT8_MOST);
  return scale > 0 ? scale : 1;
}

const code = (value: number, scale: number): number =>
  Math.max(-INT8_MOST, Math.min(INT8_MOST, Math.round(value / scale)));

/** Matrices of equal width, [in, out], side by side: codes [in, all out], scales [all out]. */
export function joinMatrices(matrices: readonly Int8Codes[]): Int8Codes {
  const total = matrices.reduce((sum, { scales }) => sum + scales.length, 0);
  const [{ codes: first, scales: own }] = matrices as readonly [Int8Codes];
  const width = first.length / own.length;
  const joined = { codes: new Int8Array(width * total), scales: new Float32Array(total) };
  let begin = 0;
  for (const { codes, scales } of matrices) {
    const out = scales.length;
    joined.scales.set(scales, begin);
    for (let i = 0; i < width; i++) joined.codes.set(codes.subarray(i * out, (i + 1) * out), i * total + begin);
    begin += out;
  }
  return joined;
}

/** What {@link joinMatrices} made of `count` matrices with as many outputs each. */
export function partMatrices({ codes, scales }: Int8Codes, count: number): Int8Codes[] {
  const [total, out] = [scales.length, scales.length / count];
  const width = codes.length / total;
  return Array.from({ length: count }, (_, at) => {
    const own = new Int8Array(width * out);
    for (let i = 0; i < width; i++) {
      const begin = i * total + at * out;
      own.set(codes.subarray(begin, begin + out), i * out);
    }
    return { codes: own, scales: scales.slice(at * out, (at + 1) * out) };
  });
}

/** The same channels in codes of 7 bits, to {@link INT7_MOST}: half as exact. */
export function sevenBits({ codes, scales }: Int8Codes): Int8Codes {
  const ratio = INT7_MOST / INT8_MOST;
  return { codes: codes.map((value) => Math.round(value * ratio)), scales: scales.map((scale) => scale / ratio) };
}

/**
 * The nearest float16 of each value, ties to even, as its bits. What is beyond 65504 becomes infinite.
 */
export function toFloat16(values: Float32Array): Uint16Array {
  const halves = new Uint16Array(values.length);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < values.length; i++) halves[i] = halfBits(bits[i] as number);
  return halves;
}

function halfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x7f800000) return sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00); // NaN, infinity
  if (magnitude >= 0x477ff000) return sign | 0x7c00; // rounds beyond the largest
  if (magnitude >= 0x38800000) {
    const rebiased = magnitude - 0x38000000;
    return sign | ((rebiased + 0x0fff + ((rebiased >>> 13) & 1)) >>> 13);
  }
  if (magnitude <= 0x33000000) return sign; // half of the smallest subnormal, and below
  const shift = 126 - (magnitude >>> 23); // a subnormal: the mantissa with its leading one, moved to units of 2^-24
  const mantissa = (magnitude & 0x7fffff) | 0x800000;
  const kept = mantissa >>> shift;
  const rest = mantissa & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  return sign | (kept + (rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0));
}

/** What a row is multiplied by before it is quantised, and the matrix's columns by the opposite. Both [in]. */
export interface ColumnFactors {
  readonly columns: Float32Array;
  readonly inverse: Float32Array;
}

/** How much of what makes a column of a product's rows large goes into the matrix (Xiao et al. 2022 take 0.5 to 0.75). */
const MOVED = 0.6;

/**
 * Moves outliers out of the rows of a product. Some columns of what leaves a layer norm are much larger than the others, and a
 * row's one scale is theirs: divided by these factors they take part as others do, and the matrix, where each output has
 * a scale of its own, is multiplied by them (Wei et al. 2022, Outlier Suppression, move gamma so; Xiao et al. 2022,
 * SmoothQuant, what was measured, which does more: docs/decisions.md).
 * @param largest of each column of the rows, the largest magnitude that was seen, [in]
 * @param matrices all that read these rows, each [out, in]: query, key and value have one set of factors
 */
export function columnFactors(largest: Float32Array, matrices: readonly HostTensor[]): ColumnFactors {
  const width = largest.length;
  const weights = new Float32Array(width);
  for (const { data } of matrices) {
    for (let i = 0; i < data.length; i++) {
      weights[i % width] = Math.max(weights[i % width] as number, Math.abs(data[i] as number));
    }
  }
  const [rowFloor, columnFloor] = [floorOf(largest), floorOf(weights)];
  const columns = largest.map((most, i) => {
    const [row, column] = [Math.max(most, rowFloor), Math.max(weights[i] as number, columnFloor)];
    return row ** MOVED / column ** (1 - MOVED);
  });
  return { columns, inverse: columns.map((value) => 1 / value) };
}

/** Columns that are nearly all 0 get no factor beyond the others'. */
const floorOf = (values: Float32Array): number => values.reduce((most, value) => Math.max(most, value), 0) * 1e-3 || 1;
