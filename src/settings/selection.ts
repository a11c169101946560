// How a task's teacher is chosen.

import { option } from "../options/option";
import { choice } from "../options/readers";
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
