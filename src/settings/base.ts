// The pre-trained model that branches fork off.

import { option } from "../options/option";
import { text } from "../options/readers";
import { offline } from "./call";

export const DEFAULT_BASE = "bert-base-uncased";

export const baseOptions = {
  base: option(text, {
    flag: "--base",
    short: "-b",
    value: "<name>",
    help: "pre-trained BERT: a name in the cache or a folder",
    fallback: DEFAULT_BASE,
  }),
  ...offline,
};
