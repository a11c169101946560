// What a recipe's batches carry beside tokens and labels, each under the name of a step's input: a teacher's outputs,
// say, computed once for all students like the trunk's activations.

import type { Batch } from "../../batches/batches";
import type { RowValues } from "../../batches/rows";
import type { DynamicAxes } from "../../model/entry-point";
import { float32, type HostTensor, type HostTensors, int32, sizeOf } from "../../model/tensors";

/** One input of a train step. */
export interface BatchInput {
  /** As in {@link DynamicAxes}: "length" where the size is the batch's length, null elsewhere. */
  readonly axes: DynamicAxes[string];
  /** The input for a batch that is filled up to `size` rows, at a step counted from 1 to `total`. */
  read(batch: Batch, size: number, step: number, total: number): HostTensor | Promise<HostTensor>;
}

/** Values [rows, ...shape] of a split's rows, in its order: [size, ...shape], zero for filler rows. */
export const perRow = (
  values: Float32Array,
  shape: readonly number[],
  dtype: HostTensor["dtype"] = "float32",
): BatchInput => ({
  axes: [null, ...shape.map(() => null)],
  read(batch, size) {
    const width = sizeOf(shape);
    const rows = new Float32Array(size * width);
    for (const [i, row] of batch.rows.entries()) rows.set(values.subarray(row * width, (row + 1) * width), i * width);
    const whole = [size, ...shape];
    return dtype === "int32" ? int32(whole, Int32Array.from(rows)) : float32(whole, rows);
  },
});

/** What reads [size, batch.length, width], zero beyond each row's tokens: stored activations, say. */
interface TokenValues {
  read(batch: Batch, size: number): Promise<Float32Array>;
}

/** Values of each token: [size, length, width], zero for padding and filler rows. */
export const perToken = (stored: TokenValues, width: number): BatchInput => ({
  axes: [null, "length", null],
  read: async (batch, size) => float32([size, batch.length, width], await stored.read(batch, size)),
});

/** A whole number for each token: [size, length], `none` for padding and filler rows. */
export const tokenIds = (rows: Pick<RowValues, "at">, none: number): BatchInput => ({
  axes: [null, "length"],
  read(batch, size) {
    const ids = new Int32Array(size * batch.length).fill(none);
    for (const [i, row] of batch.rows.entries()) ids.set(rows.at(row) as Int32Array, i * batch.length);
    return int32([size, batch.length], ids);
  },
});

/** Stored values of each row, as one position: [size, 1, width], zero for filler rows. */
export const perPosition = (stored: TokenValues, width: number): BatchInput => ({
  axes: [null, null, null],
  read: async (batch, size) => float32([size, 1, width], await stored.read({ ...batch, length: 1 }, size)),
});

/** Stored values of each row: [size, width], zero for filler rows. */
export const perStoredRow = (stored: TokenValues, width: number): BatchInput => ({
  axes: [null, null],
  read: async (batch, size) => float32([size, width], await stored.read({ ...batch, length: 1 }, size)),
});

/** One value for every row, and 0 for filler rows: [size, ...shape]. */
export const everyRow = (
  value: number,
  shape: readonly number[] = [],
  dtype: HostTensor["dtype"] = "float32",
): BatchInput => ({
  axes: [null, ...shape.map(() => null)],
  read(batch, size) {
    const [whole, width] = [[size, ...shape], sizeOf(shape)];
    const filled = batch.rows.length * width;
    if (dtype === "int32") return int32(whole, new Int32Array(size * width).fill(value, 0, filled));
    return float32(whole, new Float32Array(size * width).fill(value, 0, filled));
  },
});

/** A number that changes from step to step. */
export const perStep = (value: (step: number, total: number) => number): BatchInput => ({
  axes: [],
  read: (_, __, step, total) => float32([], Float32Array.of(value(step, total))),
});

type Inputs = Readonly<Record<string, BatchInput>>;

export const axesOf = (inputs: Inputs): DynamicAxes =>
  Object.fromEntries(Object.entries(inputs).map(([name, { axes }]) => [name, axes]));

/** Every input for one batch. */
export async function readInputs(
  inputs: Inputs,
  batch: Batch,
  size: number,
  step: number,
  total: number,
): Promise<HostTensors> {
  const read: HostTensors = {};
  for (const [name, input] of Object.entries(inputs)) read[name] = await input.read(batch, size, step, total);
  return read;
}
