// When texts may leave early, as it is asked for: what is kept and how surely, or how many layers they may take.

import { optional } from "../options/option";
import { choice, decimal } from "../options/readers";

/** Of a promise where nobody says, in percent. */
export const KEEP = 99;
export const CONFIDENCE = 95;

/** A share of 100 that is neither nothing nor all. */
const percent = (given: unknown): number => {
  const value = decimal({ min: 0, max: 100 })(given);
  if (value > 0 && value < 100) return value;
  throw new Error("a number above 0 and below 100");
};

export const exitSettings = {
  criterion: optional(choice(["entropy", "probability", "spread"]), {
    flag: "--criterion",
    value: "<name>",
    help: "how a ramp's doubt is measured: entropy or probability; spread for values (default entropy, spread)",
  }),
  keep: optional(percent, {
    flag: "--keep",
    value: "<%>",
    help: `share to keep of what the whole model answers rightly; of values, of their variance (default ${KEEP})`,
  }),
  confidence: optional(percent, {
    flag: "--confidence",
    value: "<%>",
    help: `how sure it must be, judged on dev, that so much is kept (default ${CONFIDENCE})`,
  }),
  budget: optional(decimal({ min: 1 }), {
    flag: "--budget",
    value: "<layers>",
    help: "layers that a text may take on average, in place of --keep: what loses least on dev, and no promise",
  }),
};

/** Of training where it differs: ramps are small and the model under them stands still, so they take a rate that would ruin a model. */
export const rampDefaults = { epochs: 5, learningRate: 1e-3 };

/** What a caller says of early exits: on, off, or how much doubt may be left. */
export type ExitChoice = "on" | "off" | number;

export const exitOption = {
  exit: optional(exitChoice, {
    flag: "--exit",
    value: "<on|off|threshold>",
    help: "whether texts leave at a ramp that is sure, or how much doubt may be left (default on where a rule was decided)",
  }),
};

function exitChoice(given: unknown): ExitChoice {
  if (given === "on" || given === "off") return given;
  // YAML reads a bare on and off as words; a library's caller may give either.
  if (given === true || given === false) return given ? "on" : "off";
  try {
    return decimal({ min: 0 })(given);
  } catch {
    throw new Error("on, off, or a threshold such as 0.1");
  }
}
