// What a rule is made of: from a kernel's inputs, by their names in tfjs, to the node that the graph records.

import type { Attributes, DType, Shape, Value, ValueType } from "./graph";

export interface RecordedOp {
  readonly op: string;
  readonly inputs: readonly Value[];
  readonly attributes: Attributes;
  readonly types: readonly ValueType[];
}

export type Inputs = Readonly<Record<string, Value>>;
type RawAttributes = Readonly<Record<string, unknown>>;
export type KernelRule = (inputs: Inputs, attributes: RawAttributes) => RecordedOp;

export const result = (
  op: string,
  inputs: readonly Value[],
  shape: Shape,
  dtype: DType,
  attributes: Attributes = {},
): RecordedOp => ({ op, inputs, attributes, types: [{ shape, dtype }] });

export function input(inputs: Inputs, name: string): Value {
  const value = inputs[name];
  if (!value) throw new Error(`a kernel was called without its input ${name}`);
  return value;
}
