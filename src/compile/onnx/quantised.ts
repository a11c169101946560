// Products of rows with an int8 matrix, and rows of an int8 table. A product's rows are quantised as they come, each with a
// scale of its own, so that no row's result depends on the others: onnxruntime's dynamic quantisation has one scale for
// the whole tensor, neighbours and padding included. Rows are uint8 around 128 and matrices int8 because that pair alone
// has kernels as fast (docs/decisions.md).

import { INT8_MOST } from "../../model/int8";
import { type Node, only, type Value } from "../graph/graph";
import type { Emitter } from "./lowering";
import { ElementType } from "./proto";

/** The code of 0 where values lie on both sides of it, as far to either. */
const MIDDLE = 128;
const HIGHEST = 255;

/**
 * The code of 0 after GELU, whose values reach down to -0.17 alone: a row that reaches up to 5 has steps half as large as
 * around the middle. One that reaches to 0.9 and less would have smaller ones there, and matters little.
 */
const NEAR_LOWEST = 24;

/**
 * x W^T, and + b, where W is stored as int8: its nodes are written. False for any other product.
 * @throws Error where such a matrix stands elsewhere in a product
 */
export function quantisedProduct(node: Node, emitter: Emitter): boolean {
  const [x, weight, bias] = node.inputs as [Value, Value, Value?];
  const packed = emitter.packed(weight);
  if (!packed) return false;
  const { transposeA, transposeB, alpha } = node.attributes;
  if (packed.layout !== "matrix" || transposeA || !transposeB || alpha !== undefined || x.shape.length !== 2) {
    throw new Error(`${packed.codes} is no matrix of a plain product, and only that reads int8`);
  }
  const { codes, column, zero } = quantised(x, packed.inverse, emitter);
  const inputs = [codes, packed.codes, emitter.scalar(1, "float32"), packed.scales, emitter.scalar(zero, "uint8")];
  const unscaled = emitter.node("MatMulIntegerToFloat", inputs);
  if (!bias) {
    emitter.node("Mul", [unscaled, column], {}, only(node));
    return true;
  }
  emitter.node("Add", [emitter.node("Mul", [unscaled, column]), emitter.name(bias)], {}, only(node));
  return true;
}

/** A product's rows: codes [rows, in], scales [rows, 1], and the code of 0. Query, key and value have the same. */
function quantised(x: Value, inverse: string | null, emitter: Emitter) {
  const given = emitter.name(x);
  const lowest = inverse === null ? emitter.lowest(x) : null; // what it is multiplied by may be anything
  const zero = lowest === null ? MIDDLE : lowest < 0 ? NEAR_LOWEST : 0;
  const [codes, column] = emitter.once(`quantised ${given} ${inverse}`, () => {
    const name = inverse === null ? given : emitter.node("Mul", [given, inverse]);
    const [rows, width] = x.shape as [number, number];
    const scales = rowScales(name, lowest, zero, emitter);
    const [zeros] = emitter.once(`zero points ${zero} ${rows}`, () => [
      emitter.node("Expand", [emitter.scalar(zero, "uint8"), emitter.shape([rows, 1])]),
    ]) as [string];
    // A block is a row: onnxruntime shares blocks out among its threads, and rows of axis 0 not.
    return [
      emitter.node("QuantizeLinear", [name, scales, zeros], { axis: { int: 1 }, block_size: { int: width } }),
      scales,
    ];
  }) as [string, string];
  return { codes, column, zero };
}

/** [rows, 1]. Of a row of zeros it may be 0: whatever its codes become then, they are multiplied by 0. */
function rowScales(x: string, lowest: number | null, zero: number, emitter: Emitter): string {
  const largest = lowest === null ? emitter.node("Abs", [x]) : x;
  const most = emitter.node("ReduceMax", [largest, emitter.integers([1])], { keepdims: { int: 1 } });
  const reach = lowest === null ? INT8_MOST : HIGHEST - zero;
  const scales = emitter.node("Mul", [most, emitter.scalar(1 / reach, "float32")]);
  return lowest === null || lowest === 0
    ? scales
    : emitter.node("Max", [scales, emitter.scalar(-lowest / zero, "float32")]);
}

/** Rows of a table that is stored as int8: its nodes are written. False for any other. */
export function quantisedRows(node: Node, emitter: Emitter): boolean {
  const [table, ids] = node.inputs as [Value, Value];
  const packed = emitter.packed(table);
  if (!packed) return false;
  if (packed.layout !== "table" || node.attributes["axis"] !== 0) {
    throw new Error(`${packed.codes} is no table of rows, and only that is read as one`);
  }
  const taken = emitter.node("Gather", [packed.codes, emitter.name(ids)]);
  const scales = emitter.node("Gather", [packed.scales, emitter.name(ids)]);
  const last = emitter.integers([ids.shape.length]);
  const values = emitter.node("Cast", [taken], { to: { int: ElementType.float32 } });
  emitter.node("Mul", [values, emitter.node("Unsqueeze", [scales, last])], {}, only(node));
  return true;
}
