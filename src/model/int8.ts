// Weights as int8 with a scale for each output channel, or as float16. Pure functions over arrays; compile/onnx/quantised.ts
// computes with them.

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

/** Factors below this part of their mean stay there: what is divided by them would become the next outlier. */
const LEAST_FACTOR = 0.1;

/**
 * What a layer norm's scale is moved by (Wei et al. 2022, Outlier Suppression, section 4.1): it is what makes some of the norm's
 * outputs much larger than the others, and multiplied into the columns of the next product it costs nothing, because there
 * each channel has a scale anyway. Rows are divided by it before they are quantised, in place of the norm, so that what else
 * reads the norm, the residual connection or another task's branch, need not know.
 * @param gamma [hidden]
 */
export function movedFactors(gamma: Float32Array): { readonly columns: Float32Array; readonly inverse: Float32Array } {
  const mean = gamma.reduce((sum, value) => sum + Math.abs(value), 0) / gamma.length;
  const least = mean * LEAST_FACTOR || 1;
  const columns = gamma.map((value) => Math.max(Math.abs(value), least));
  return { columns, inverse: columns.map((value) => 1 / value) };
}
