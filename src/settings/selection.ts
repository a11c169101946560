// How a task's teacher is chosen, and by which rules one candidate a task is.

import { option, optional, toggle } from "../options/option";
import { bytes, choice, decimal, integer } from "../options/readers";
import type { SettingsOf } from "../options/settings";

export const chooseBy = {
  chooseBy: option(choice(["max", "mean"]), {
    flag: "--choose-by",
    value: "<max|mean>",
    help: "choose k by its best seed or by the mean over seeds",
    fallback: "max",
  }),
};

/** How the seeds of a k become its score. */
export type ChooseBy = SettingsOf<typeof chooseBy>["chooseBy"];

/** Rules of `select` beside a choice by name. A price, a share to keep and limits choose for all tasks together. */
export const selectRules = {
  threshold: optional(decimal({ min: 0 }), {
    flag: "--threshold",
    value: "<c>",
    help: "points that every added layer must gain (default 1)",
  }),
  price: optional(decimal({ min: 0 }), {
    flag: "--price",
    value: "<c>",
    help: "points that each layer of the merged model must be worth",
  }),
  keep: optional(decimal({ min: 0, max: 1000 }), {
    flag: "--keep",
    value: "<%>",
    help: "the fewest layers with this share of the teachers' average",
  }),
  maxLayers: optional(integer({ min: 1 }), {
    flag: "--max-layers",
    value: "<layers>",
    help: "layers of the merged model, shared ones included",
  }),
  maxLatency: optional(decimal({ min: 0 }), {
    flag: "--max-latency",
    value: "<ms>",
    help: "milliseconds of one pass over all tasks",
  }),
  maxBytes: optional(bytes(), {
    flag: "--max-bytes",
    value: "<size>",
    help: "size of the merged model's parameters, such as 100MB",
  }),
};

export type SelectRules = SettingsOf<typeof selectRules>;

/** Whether all tasks are chosen for together, among every place that was trained. */
export const isJoint = ({ threshold: _, ...joint }: Partial<SelectRules>): boolean =>
  Object.keys(selectRules).some((name) => joint[name as keyof typeof joint] !== undefined);

/** What any of them may have beside it. */
export const selectExtras = {
  withinNoise: toggle({
    flag: "--within-noise",
    help: "count a difference of one standard error of the seeds as none",
  }),
  cross: toggle({
    flag: "--cross",
    help: "also choose on half of dev and score on the other half",
  }),
};
