// What a sweep over k runs, for the command and for experiment files.

import { layerRange } from "../options/layers";
import { option } from "../options/option";
import { choice } from "../options/readers";
import type { SettingsOf } from "../options/settings";

export const kOption = {
  k: option(layerRange({ full: true }), {
    flag: "--k",
    short: "-k",
    value: "<layers>",
    help: "top layers to train: 3-9, 2, 1,2,3 or full",
    fallback: "3-9",
  }),
};

export const searchOption = {
  search: option(choice(["full", "halving"]), {
    flag: "--search",
    value: "<full|halving>",
    help: "train every k to the end, or stop those early that lag behind",
    fallback: "full",
  }),
};

export type Search = SettingsOf<typeof searchOption>["search"];
