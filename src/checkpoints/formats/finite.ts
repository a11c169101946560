// Weights that are no numbers: one NaN makes every output NaN, and scores are then of nothing.

import { modelError } from "../../errors/errors";
import { printable } from "../../errors/printable";
import type { HostTensor, HostTensors } from "../../model/tensors";

/** Throws modelError (4) naming file, tensor, value and place of the first that is NaN or infinite. */
export function requireFinite(tensors: HostTensors, file: string): void {
  for (const [name, tensor] of Object.entries(tensors)) {
    if (tensor.dtype !== "float32" || isFiniteSum(tensor.data)) continue;
    const at = tensor.data.findIndex((value) => !Number.isFinite(value));
    if (at < 0) continue;
    const place = indexOf(tensor, at);
    throw modelError(
      `${file}: ${printable(name)} is ${tensor.data[at]} at [${place}]. A model with such weights computes nothing: take a checkpoint from before they came`,
    );
  }
}

/** The sum in double precision of finite float32 cannot overflow; that of others is not finite. One pass, no branch. */
function isFiniteSum(data: Float32Array): boolean {
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += data[i] as number;
  return Number.isFinite(sum);
}

function indexOf({ shape }: HostTensor, position: number): number[] {
  const place: number[] = [];
  let rest = position;
  for (const size of [...shape].reverse()) {
    place.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return place;
}
