// BERT-of-Theseus (Xu et al. 2020, section 3): in each step every layer of the student takes the place of its block of the teacher's with
// a probability, constant or rising in a line to 1; then the student alone is tuned. Labels alone teach. The teacher's layers, embeddings
// and head are frozen, in the second stage too, as in the authors' code (JetRunner/BERT-of-Theseus, run_glue.py, whose optimizer has the
// successor's layers alone), and drop nothing out, unlike there. Left out: a weight of its own for each module's rate.

import type { Method } from "./method";

export const theseus: Method = {
  name: "theseus",
  short: "Theseus",
  meaning: "layers that take the place of the teacher's one by one, towards the labels, from its first layers",
  start: { init: "teacher", initLayers: "bottom" },
  firstStage: 0.5,
  replaces: true,
};

/** How the probability of a replacement goes on in the first stage. */
export type Replacing = "constant" | "linear";

/** Where it stands, or begins, if --replacing-rate says nothing: the paper's constant rate, and where its lines begin. */
export const firstRates: Readonly<Record<Replacing, number>> = { constant: 0.5, linear: 0.3 };

/**
 * The probability of a replacement at a step, counted from 1; 1 behind the first stage.
 * @param stage share of the steps that are the first stage
 */
export function replacingRate(
  step: number,
  total: number,
  { stage, schedule, rate }: { readonly stage: number; readonly schedule: Replacing; readonly rate: number },
): number {
  const steps = Math.round(stage * total);
  if (step > steps) return 1;
  return schedule === "constant" ? rate : rate + ((1 - rate) * (step - 1)) / steps;
}
