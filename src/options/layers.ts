// Ranges of layers: `3-9`, `2`, `1,2,3`, and `full` where it is allowed.

import { usageError } from "../errors/errors";
import { asText } from "../errors/printable";

/** A value of --k: this many top layers, or every layer and the embeddings. */
export type K = number | "full";

/** What --k or --student-layers asked for, before the base is known. */
export interface LayerRange {
  readonly text: string;
  readonly values: readonly K[];
  /** Those named one by one: above the base's layers they are an error, where a range is cut. */
  readonly singles: readonly number[];
}

/** Reader of a layer range. */
export function layerRange({ full }: { full: boolean }) {
  const allowed = `layers such as 3-9, 2 or 1,2,3${full ? ", or full" : ""}`;
  return (given: unknown): LayerRange => {
    if (isRange(given)) return given;
    const written = asText(given);
    const singles: number[] = [];
    const values = written.split(",").flatMap((part): K[] => {
      const word = part.trim();
      if (word === "full" && full) return ["full"];
      const match = /^(\d+)(?:\s*-\s*(\d+))?$/.exec(word);
      const first = Number(match?.[1]);
      const last = Number(match?.[2] ?? match?.[1]);
      if (!match || first < 1 || last < first || last > 1000) throw new Error(allowed);
      if (match[2] === undefined) singles.push(first);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
    return { text: written, values: [...new Set(values)], singles };
  };
}

/** One that was read before. */
const isRange = (given: unknown): given is LayerRange =>
  typeof given === "object" && given !== null && "singles" in given && "values" in given;

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
