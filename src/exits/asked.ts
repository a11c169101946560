// What is asked of exits: a share to keep and how surely, or so many layers on average. One of them: a budget promises nothing.

import { usageError } from "../errors/errors";
import { CONFIDENCE, KEEP } from "../settings/exits";

export interface Promised {
  /** Of what the kind counts, a fraction. */
  readonly keep: number;
  readonly confidence: number;
}

export type Asked = { readonly promise: Promised } | { readonly budget: number };

/** @param given shares in percent. Throws usageError (2) for a budget beside them. */
export function askedOf(given: {
  readonly keep?: number | undefined;
  readonly confidence?: number | undefined;
  readonly budget?: number | undefined;
}): Asked {
  const { keep = KEEP, confidence = CONFIDENCE, budget } = given;
  if (budget === undefined) return { promise: { keep: keep / 100, confidence: confidence / 100 } };
  const beside = (["keep", "confidence"] as const).filter((name) => given[name] !== undefined);
  if (beside.length === 0) return { budget };
  throw usageError(
    `--budget ${budget} beside ${beside.map((name) => `--${name} ${given[name]}`).join(" and ")}: a budget takes so many layers, whatever is ` +
      "lost, and promises nothing. Leave it out, or them",
  );
}
