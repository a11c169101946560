// How an experiment goes through its trials: all of them, or those that a search chooses.

import { option, optional } from "../options/option";
import { choice, integer } from "../options/readers";
import type { SettingsOf } from "../options/settings";

/** 2h, 90min, 1h 30min, 45s, 1.5h: in seconds, as which a number counts. A flag's text without a unit is refused. */
function budget(given: unknown): number {
  if (typeof given === "number" && Number.isFinite(given) && given > 0) return given;
  const units: Readonly<Record<string, number>> = { h: 3600, m: 60, min: 60, s: 1 };
  const written = String(given).trim();
  const parts = [...written.matchAll(/(\d+(?:\.\d+)?)\s*(h|min|m|s)\s*/g)];
  const seconds = parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (units[unit as string] as number), 0);
  const whole = parts.map(([part]) => part).join("");
  if (whole.trim() !== written || !(seconds > 0)) throw new Error("a time such as 2h, 90min or 1h 30min");
  return seconds;
}

/** Of an experiment file; `flexbert search` is the last. */
export const searchSettings = {
  search: option(choice(["full", "halving", "auto"]), {
    flag: "--search",
    value: "<full|halving|auto>",
    help: "train every trial, stop the k that lag behind, or spend a budget where the front can move",
    fallback: "full",
  }),
};

export const budgetSettings = {
  budget: optional(budget, {
    flag: "--budget",
    value: "<time>",
    help: "time to spend, such as 2h or 90min",
  }),
  searchSeed: option(integer({ min: 0 }), {
    flag: "--search-seed",
    value: "<n>",
    help: "breaks ties between trials that promise the same",
    fallback: 1,
  }),
};

export type SearchMode = SettingsOf<typeof searchSettings>["search"];
