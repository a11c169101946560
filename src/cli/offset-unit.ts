// What offsets in texts count, where a command writes them.

import { option } from "../options/option";
import { choice } from "../options/readers";
import { offsetUnits } from "../tasks/offset-unit";

export const offsetUnit = {
  offsetUnit: option(choice(offsetUnits), {
    flag: "--offset-unit",
    value: "<unit>",
    help: "what offsets in a text count: codepoint, or utf16 as JavaScript's strings do",
    fallback: "codepoint",
  }),
};
