// How a student is taught, as options: what is compared with its teacher, and texts without labels. Those that came later than
// runs without them are in no id at their default.

import { option, optional, silentDefault, toggle, type Values } from "../options/option";
import { choice, decimal, integer, list } from "../options/readers";
import { recorded, settingsOf } from "../options/settings";
import type { TransferRequest } from "./trial/transfer";

export const teaching = {
  temperature: option(decimal({ min: 0.01 }), {
    flag: "--temperature",
    value: "<T>",
    help: "softens both distributions",
    fallback: 2,
  }),
  alpha: option(decimal({ min: 0, max: 1 }), {
    flag: "--alpha",
    value: "<share>",
    help: "weight of the teacher's outputs against the labels",
    fallback: 0.5,
  }),
  alphaEnd: optional(decimal({ min: 0, max: 1 }), {
    flag: "--alpha-end",
    value: "<share>",
    help: "what that weight becomes by the last step, in a line (default it stays)",
  }),
  match: silentDefault(
    option(choice(["none", "pooled", "cls", "tokens"]), {
      flag: "--match",
      value: "<state>",
      help: "draws a state of the last layer to the teacher's too: pooled, cls or tokens",
      fallback: "none",
    }),
  ),
  matchWeight: silentDefault(
    option(decimal({ min: 0 }), {
      flag: "--match-weight",
      value: "<weight>",
      help: "of that state's squared error",
      fallback: 1,
    }),
  ),
  teachers: silentDefault(
    option(teacherCount, {
      flag: "--teachers",
      value: "<best|n>",
      help: "learn from the best seed, or from the mean of n seeds' outputs",
      fallback: "best",
    }),
  ),
};

/** Texts without labels, beside which they are. Ids hash the texts themselves, wherever they lie. */
export const transferring = {
  transfer: optional(list, {
    flag: "--transfer",
    value: "<texts>",
    help: "texts without labels for the teacher to label: files, task:NAME, or all other tasks of the same shape",
  }),
  transferRows: optional(integer({ min: 1 }), {
    flag: "--transfer-rows",
    value: "<n>",
    help: "take so many of them, drawn evenly (default all)",
  }),
  transferShare: silentDefault(
    option(decimal({ min: 0.01, max: 1 }), {
      flag: "--transfer-share",
      value: "<share>",
      help: "of each batch; the rest are the task's own rows",
      fallback: 0.5,
    }),
  ),
  transferConfidence: silentDefault(
    option(decimal({ min: 0, max: 1 }), {
      flag: "--transfer-confidence",
      value: "<p>",
      help: "leave out those that the teacher gives less probability",
      fallback: 0,
    }),
  ),
  transferBalance: silentDefault(
    toggle({
      flag: "--transfer-balance",
      help: "as many of each class that the teacher gives: fewer of the larger ones",
    }),
  ),
};

/** Seeds of the teacher; "best" is the teacher alone. */
function teacherCount(given: unknown): number {
  if (given === "best") return 1;
  try {
    return integer({ min: 1, max: 1000 })(given);
  } catch {
    throw new Error("best, or a number of seeds");
  }
}

/** What variants have of these options: those that ids hash, and what must be found before there is one. */
export function taughtAs(values: Values<typeof teaching & typeof transferring>): Taught {
  const { match, matchWeight, ...options } = recorded(teaching, settingsOf(teaching, values));
  const matched = match ? { match, ...(matchWeight === undefined ? {} : { matchWeight }) } : {};
  const several = options.teachers ? { teachers: options.teachers } : {};
  const { transfer: from, transferRows: rows, transferShare: share } = values;
  if (!from) return { ...several, options: { ...options, ...matched } };
  const { transfer: _, ...ofTransfer } = recorded(transferring, settingsOf(transferring, values));
  const transfer = { from, share, ...(rows === undefined ? {} : { rows }) };
  return { ...several, transfer, options: { ...options, ...matched, ...ofTransfer } };
}

interface Taught {
  readonly teachers?: number;
  readonly transfer?: TransferRequest;
  readonly options: Readonly<Record<string, unknown>>;
}
