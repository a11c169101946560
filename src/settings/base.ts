// The pre-trained model that branches fork off.

import { option, optional } from "../options/option";
import { text, truth } from "../options/readers";
import { offline } from "./call";

export const DEFAULT_BASE = "bert-base-uncased";

export const baseOptions = {
  base: option(text, {
    flag: "--base",
    short: "-b",
    value: "<name>",
    help: "pre-trained encoder: a name in the cache or a folder",
    fallback: DEFAULT_BASE,
  }),
  lowerCase: optional(truth, {
    flag: "--lower-case",
    value: "<true|false>",
    help: "whether the base lower-cases its input, where its files do not say",
  }),
  ...offline,
};
