// Products of rows with an int8 matrix, and rows of an int8 table. A product's rows are quantised as they come, each with a
// scale of its own, so that no row's result depends on the others: onnxruntime's dynamic quantisation has one scale for
// the whole tensor, neighbours and padding included. Rows are uint8 around 128 and matrices int8 because that pair alone
// has kernels as fast (docs/decisions.md).

import { INT8_MOST } from "../../model/int8";
import { type Node, only, type Value } from "../graph/graph";
import type { Emitter } from "./lowering";
import { ElementType } from "./proto";

/** The code of 0. */
const ZERO_POINT = 128;

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
  const [codes, column] = quantised(x, packed.inverse, emitter);
  const one = emitter.scalar(1, "float32");
  const inputs = [codes, packed.codes, one, packed.scales, emitter.scalar(ZERO_POINT, "uint8")];
  const unscaled = emitter.node("MatMulIntegerToFloat", inputs);
  if (!bias) {
    emitter.node("Mul", [unscaled, column], {}, only(node));
    return true;
  }
  emitter.node("Add", [emitter.node("Mul", [unscaled, column]), emitter.name(bias)], {}, only(node));
  return true;
}

/** Codes [rows, in] and scales [rows, 1] of a product's rows: query, key and value have the same. */
function quantised(x: Value, inverse: string | null, emitter: Emitter): readonly [string, string] {
  const given = emitter.name(x);
  return emitter.once(`quantised ${given} ${inverse}`, () => {
    const name = inverse === null ? given : emitter.node("Mul", [given, inverse]);
    const axis = emitter.integers([1]);
    const most = emitter.node("ReduceMax", [emitter.node("Abs", [name]), axis], { keepdims: { int: 0 } });
    // Of a row of zeros it is 0: whatever its codes become then, they are multiplied by 0.
    const scales = emitter.node("Mul", [most, emitter.scalar(1 / INT8_MOST, "float32")]); // [rows]
    const [zeros] = emitter.once(`zero points ${x.shape[0]}`, () => [
      emitter.node("Expand", [emitter.scalar(ZERO_POINT, "uint8"), emitter.shape(x.shape.slice(0, 1))]),
    ]) as [string];
    const codes = emitter.node("QuantizeLinear", [name, scales, zeros], { axis: { int: 0 } });
    return [codes, emitter.node("Unsqueeze", [scales, axis])];
  }) as readonly [string, string];
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
