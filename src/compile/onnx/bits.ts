// Inputs of two values that cross to a device as bits: dropout masks are most of what a step brings there. A table of all
// bytes is looked up, because the providers have no operators on bits.

import type { Value } from "../graph/graph";
import type { Emitter } from "./lowering";
import { ElementType, type OnnxValue } from "./proto";

const [BYTES, BITS] = [256, 8] as const;

/** As it is fed: [bytes], uint8; int32 for WebGPU, which has no bytes. */
export const declaredBits = (name: string, webgpu: boolean): OnnxValue => ({
  name,
  type: webgpu ? ElementType.int32 : ElementType.uint8,
  dims: [`${name}/bytes`],
});

/** Makes the value of an input's bits. */
export function unpackBits(name: string, value: Value, kept: number, emitter: Emitter): void {
  const [table] = emitter.once(`bits of ${kept}`, () => [emitter.constant(tableOf(kept), [BYTES, BITS], "float32")]);
  const codes = emitter.webgpu ? name : emitter.node("Cast", [name], { to: { int: ElementType.int32 } });
  const rows = emitter.node("Gather", [table as string, codes], { axis: { int: 0 } }); // [bytes, 8]
  const size = value.shape.reduce((product, dimension) => product * dimension, 1);
  if (size % BITS === 0) {
    emitter.node("Reshape", [rows, emitter.shape(value.shape)], {}, value);
    return;
  }
  const flat = emitter.node("Reshape", [rows, emitter.integers([-1])]);
  const whole = emitter.node("Slice", [flat, emitter.integers([0]), emitter.shape([size])]);
  emitter.node("Reshape", [whole, emitter.shape(value.shape)], {}, value);
}

function tableOf(kept: number): Float32Array {
  const table = new Float32Array(BYTES * BITS);
  for (let byte = 0; byte < BYTES; byte++) {
    for (let bit = 0; bit < BITS; bit++) table[byte * BITS + bit] = (byte >> bit) & 1 ? kept : 0;
  }
  return table;
}
