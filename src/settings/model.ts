// The folder of a model: one that merge made or, where a command takes those too, a run's.

import { option, optional } from "../options/option";
import { text } from "../options/readers";

/** Which state of a merged folder. */
export const versionOption = {
  version: optional(text, {
    flag: "--version",
    value: "<version>",
    help: "of a merged folder: a version's hash, its beginning, or a tag (default the current one)",
  }),
};

/** The two spellings that every command takes, and the one that its help shows. */
export const modelFolder = (shown: "--model" | "--merged") => ({
  flag: shown,
  alias: shown === "--model" ? "--merged" : "--model",
  short: "-m",
  value: "<folder>",
});

/** The merged folder of a command that changes or shows its versions. */
export const mergedOption = {
  merged: option(text, { ...modelFolder("--merged"), help: "the merged folder", fallback: "merged" }),
};
