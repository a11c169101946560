// What students are and what they learn from, for the command and for experiment files.

import { layerRange } from "../options/layers";
import { option } from "../options/option";
import { choice, decimal } from "../options/readers";
import type { SettingsOf } from "../options/settings";

export const studentLayersOption = {
  studentLayers: option(layerRange({ full: false }), {
    flag: "--student-layers",
    short: "-l",
    value: "<layers>",
    help: "layers of the students: 2, 1-3 or 1,2,3",
    fallback: "2",
  }),
};

export const distillationSettings = {
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

/** Options of distillation beside the training options. */
export type DistillationOptions = SettingsOf<typeof distillationSettings>;
