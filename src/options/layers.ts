// Ranges of layers: `3-9`, `2`, `1,2,3`, and `full` where it is allowed.

import { usageError } from "../errors/errors";
import { type Range, rangeReader } from "./ranges";

/** A value of --k: this many top layers, 0 for the head alone, or every layer and the embeddings. */
export type K = number | "full";

/** What --k or --student-layers asked for. */
export type LayerRange = Range<"full">;

/** Reader of a layer range. @param full of --k, which may be 0 too */
export const layerRange = ({ full }: { full: boolean }) =>
  rangeReader(
    full ? (["full"] as const) : [],
    full ? 0 : 1,
    `layers such as 3-9, 2 or 1,2,3${full ? ", or full" : ""}`,
  );

/**
 * The layers that a base of `total` layers can run, with the log line where the range was cut.
 * Throws usageError (2) for a single number above `total`, and where a range lies wholly above it.
 */
export function fitLayers(flag: string, range: LayerRange, total: number): { values: K[]; note: string | null } {
  const fitting = range.values.filter((value) => value === "full" || value <= total);
  if (fitting.length === range.values.length) return { values: [...fitting], note: null };
  if (fitting.length === 0 || range.singles.some((single) => single > total)) {
    throw usageError(`--${flag} ${range.text}: the base has ${total} layers. Give at most ${total}`);
  }
  return { values: fitting, note: `${flag} ${range.text}: the base has ${total} layers, running ${describe(fitting)}` };
}

/** 3-6 for consecutive numbers, else 3,5,full. */
function describe(values: readonly K[]): string {
  const numbers = values.filter((value) => typeof value === "number");
  const consecutive =
    numbers.length === values.length && numbers.every((value, i) => value === (numbers[0] as number) + i);
  if (consecutive && numbers.length > 1) return `${numbers[0]}-${numbers.at(-1)}`;
  return values.join(",");
}
