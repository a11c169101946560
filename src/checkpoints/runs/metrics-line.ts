// A line of metrics.jsonl as its readers take it. The last one may be cut off in a run that was killed, and any may be
// damaged: it is no line then, as nothing rests on it but a curve and how early a search stops.

import { isCount, parseJson } from "../../files/json";

export interface MetricsLine {
  readonly step: number;
  /** From 0. */
  readonly epoch?: number;
  readonly loss?: number;
  /** Scores on the dev rows by metric, once an epoch. */
  readonly dev?: Readonly<Record<string, number | null>>;
}

/** null for what is no line of it. A value that training did not write is left out, and one among scores is null. */
export function parseMetricsLine(text: string): MetricsLine | null {
  let parsed: unknown;
  try {
    parsed = parseJson(text);
  } catch {
    return null;
  }
  const { step, epoch, loss, dev } = Object(parsed) as Readonly<Record<string, unknown>>;
  if (!isCount(step)) return null;
  return {
    step,
    ...(isCount(epoch) ? { epoch } : {}),
    ...(isNumber(loss) ? { loss } : {}),
    ...(typeof dev === "object" && dev !== null && !Array.isArray(dev) ? { dev: scoresOf(dev) } : {}),
  };
}

const isNumber = (value: unknown): value is number => Number.isFinite(value);

const scoresOf = (dev: object) =>
  Object.fromEntries(Object.entries(dev).map(([metric, score]) => [metric, isNumber(score) ? score : null]));
