// Predictions as files and HTTP have them: offsets of spans count code points there, and UTF-16 units in the library.

import type { Prediction } from "../tasks/kinds/kind";
import { type OffsetUnit, offsetsIn } from "../tasks/offset-unit";

/** The prediction with the offsets of its spans, if it has any, in a unit. */
export function inUnit(prediction: Prediction, text: string, unit: OffsetUnit): Prediction {
  if (unit === "utf16" || !("spans" in prediction)) return prediction;
  const at = offsetsIn(text, unit);
  return { spans: prediction.spans.map((span) => ({ ...span, start: at(span.start), end: at(span.end) })) };
}
