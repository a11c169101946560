// A task's exits, as files hold them: by what a text may leave, at which layers it is asked, and how that was decided.

import type { Promised } from "./asked";

/** Where a text may leave and how sure of it a ramp must be. */
export interface ExitRule {
  /** One of the kind's criteria. */
  readonly criterion: string;
  /** A text leaves where no more doubt than this is left. */
  readonly threshold: number;
  /** Encoder layers under the ramps that are asked, ascending; none where no exit pays. */
  readonly stops: readonly number[];
  /** The least threshold at which leaving is predicted to pay: a caller's below it lets none leave, and asks no ramp. Absent: any pays. */
  readonly pays?: number;
}

/** A rule with what it was decided by, and what dev rows did under it. */
export interface DecidedExits extends ExitRule {
  /** Of what the kind counts this share is kept, with this confidence; absent where a budget decided. */
  readonly promise?: Promised;
  /** Encoder layers that a text may take on average. */
  readonly budget?: number;
  readonly measured: MeasuredExits;
}

export interface MeasuredExits {
  readonly rows: number;
  /** Rows that the promise speaks of, and what they lost in sum. */
  readonly counted: number;
  readonly lost: number;
  /** Encoder layers that a row took on average, of `top`. */
  readonly layers: number;
  readonly top: number;
  /** Rows that left at each of the stops. */
  readonly left: readonly number[];
}

/**
 * What is wrong with a rule that a file holds for a way of `top` layers, in words; null where nothing is.
 * @param criteria of the task's kind; null where they are not known
 */
export function exitProblem(given: unknown, criteria: readonly string[] | null, top: number): string | null {
  const { criterion, threshold, stops, pays = 0 } = Object(given) as Readonly<Record<string, unknown>>;
  if (typeof criterion !== "string" || !(criteria?.includes(criterion) ?? true)) {
    return `its criterion is ${JSON.stringify(criterion)}, not ${criteria?.join(" or ") ?? "a word"}`;
  }
  if (typeof threshold !== "number" || !(threshold >= 0) || !Number.isFinite(threshold)) {
    return `its threshold is ${JSON.stringify(threshold)}`;
  }
  if (typeof pays !== "number" || !(pays >= 0 && pays <= threshold)) return `it pays from ${JSON.stringify(pays)} on`;
  const isStop = (stop: unknown, i: number, all: readonly unknown[]) =>
    Number.isInteger(stop) && (stop as number) > ((all[i - 1] as number | undefined) ?? 0) && (stop as number) < top;
  if (!Array.isArray(stops) || !stops.every(isStop)) return `its stops are ${JSON.stringify(stops)}, of ${top} layers`;
  return null;
}

/** A task's ramps and the rule that was decided of them; null where none held what was asked, or none was decided. */
export interface TaskExits {
  /** Encoder layers that ramps stand on, ascending. */
  readonly layers: readonly number[];
  readonly rule: DecidedExits | null;
}
