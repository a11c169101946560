// How several tasks are trained together, and what those get that are left out.

import { option, optional } from "../options/option";
import { choice, decimal, integer, names } from "../options/readers";

/** Of the joint model. */
export const jointSettings = {
  mixing: option(choice(["size", "sqrt"]), {
    flag: "--mixing",
    value: "<size|sqrt>",
    help: "how often a task has its turn: each batch once an epoch, or by the root of their number",
    fallback: "size",
  }),
};

/** Of heads over a joint model that was not trained on their task. */
export const headSettings = {
  headLearningRate: option(decimal({ min: 0 }), {
    flag: "--head-learning-rate",
    value: "<rate>",
    help: "of heads that are trained alone",
    fallback: 1e-3,
  }),
  headEpochs: optional(integer({ min: 1, max: 10000 }), {
    flag: "--head-epochs",
    value: "<n>",
    help: "of heads that are trained alone (default --epochs)",
  }),
};

/** Leaves every task out once. */
export const EACH = "each";

export const leavingOut = {
  leaveOut: optional(names, {
    flag: "--leave-out",
    value: "<names>",
    help: "train without these tasks, and then a head alone for each over the frozen model; each: one model a task",
  }),
};
