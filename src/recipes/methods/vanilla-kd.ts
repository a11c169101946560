// Vanilla knowledge distillation of a whole encoder (Hinton et al. 2015; the paper's Vanilla-KD row): softened outputs and labels,
// from the pre-trained base's first layers. Well-Read Students (Turc et al. 2019, PD-BERT) distil so too, but begin as small models
// that were pre-trained, and on texts without labels: where no such base is to be had, this is what is left of it.

import type { Method } from "./method";

export const vanillaKd: Method = {
  name: "vanilla-kd",
  short: "Vanilla-KD",
  meaning: "outputs and labels, from the base's first layers; PD-BERT without its small pre-trained base",
  start: { init: "pretrained", initLayers: "bottom" },
};
