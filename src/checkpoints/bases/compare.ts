// Whether a checkpoint's tensor is a base's. Checkpoints may hold it at half precision, and pad the vocabulary to a multiple
// of 8 or 64 for speed: such rows and digits are no difference of the models.

import { families } from "../../model/families/families";
import type { HostTensor } from "../../model/tensors";
import { roundTo } from "../formats/number-formats";

/** Tables of words in all families. */
const WORDS: ReadonlySet<string> = new Set(Object.values(families).map(({ names }) => names.words));

/** A tensor and the format in which a file holds it; absent for float32. */
export interface Compared {
  readonly tensor: HostTensor;
  readonly dtype: string | undefined;
}

/** How a checkpoint's tensor differs from the base's of that name, in words that follow its name; null where it does not. */
export function compareTensors(name: string, base: Compared, other: Compared | null): string | null {
  if (other === null) return "is missing";
  const [ours, theirs] = [base.tensor, other.tensor];
  const width = ours.shape.at(-1) ?? 1;
  const shapes = [ours, theirs].map(({ shape }) => String(WORDS.has(name) ? shape.slice(1) : shape));
  if (shapes[0] !== shapes[1]) return `has the shape [${theirs.shape}], the base's has [${ours.shape}]`;
  const count = Math.min(ours.data.length, theirs.data.length);
  const first = firstDifference(ours.data.subarray(0, count), theirs.data.subarray(0, count), base.dtype, other.dtype);
  if (first === null) return null;
  const place = ours.shape.length === 2 ? ` in row ${Math.floor(first / width)}` : "";
  return `differs${place} (${theirs.data[first]}, the base's ${ours.data[first]})`;
}

type Numbers = Float32Array | Int32Array;

function firstDifference(ours: Numbers, theirs: Numbers, ourDtype?: string, theirDtype?: string): number | null {
  const bytes = ({ buffer, byteOffset, byteLength }: Numbers) => Buffer.from(buffer, byteOffset, byteLength);
  if (bytes(ours).equals(bytes(theirs))) return null;
  // Each is rounded to what the other's file could hold.
  const [a, b] = [rounded(ours, theirDtype), rounded(theirs, ourDtype)];
  const at = a.findIndex((value, i) => !Object.is(value, b[i]));
  return at < 0 ? null : at;
}

const rounded = (values: Numbers, dtype: string | undefined): Numbers =>
  values instanceof Float32Array && (dtype === "F16" || dtype === "BF16") ? roundTo(dtype, values) : values;
