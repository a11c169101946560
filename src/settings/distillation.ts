// The options of distillation, for the command and for experiment files.

import { option } from "../options/option";
import { choice, decimal } from "../options/readers";

export const distillationOptions = {
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
  init: option(choice(["teacher", "pretrained"]), {
    flag: "--init",
    value: "<from>",
    help: "students begin as the teacher's bottom layers, or the base's",
    fallback: "teacher",
  }),
};
