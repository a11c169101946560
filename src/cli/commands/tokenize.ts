// flexbert tokenize: texts to ids and segment ids, as JSON lines.

import { openTokenizer, tokenizerOptions } from "../../api/tokenizer";
import { usageError } from "../../errors/errors";
import { optional, toggle } from "../../options/option";
import { text } from "../../options/readers";
import { settingsOf } from "../../options/settings";
import { maxLength } from "../../settings/training";
import { offsetsIn } from "../../tasks/offset-unit";
import type { Offset } from "../../tokenizer/tokenizer";
import { defineCommand } from "../command";
import { offsetUnit } from "../offset-unit";

export const tokenizeCommand = defineCommand({
  description:
    "One JSON object a text: input_ids, token_type_ids, tokens. Texts are arguments, or the lines of stdin; with " +
    "--pairs a tab divides the two texts of a line; offset_unit says what --offsets count. Without --base the embedded vocabulary of bert-base-uncased is used.",
  arguments: [{ name: "[texts...]", help: "texts; stdin where there are none" }],
  options: {
    base: tokenizerOptions.base,
    lowerCase: tokenizerOptions.lowerCase,
    pair: optional(text, { flag: "--pair", value: "<text>", help: "second text, for one text given as argument" }),
    pairs: toggle({ flag: "--pairs", help: "split each text at its first tab into a pair" }),
    ...maxLength,
    offsets: toggle({ flag: "--offsets", help: "add where each token stands in its text" }),
    ...offsetUnit,
    cased: tokenizerOptions.cased,
  },
  examples: [
    'tokenize "a moving film"',
    'tokenize "A man plays." --pair "Someone plays." --offsets',
    "tokenize --pairs < pairs.tsv",
  ],
  async run(values, terminal, args) {
    if (values.pair !== undefined && args.length !== 1)
      throw usageError("--pair goes with exactly one text as argument");
    const tokenizer = await openTokenizer(settingsOf(tokenizerOptions, values), terminal);
    const inUnit = (offsets: readonly (Offset | null)[], texts: readonly [string, string]) => {
      const at = texts.map((one) => offsetsIn(one, values.offsetUnit));
      return offsets.map((offset) => {
        if (!offset) return null;
        const { text: which, start, end } = offset;
        const turn = at[which] as (utf16: number) => number;
        return { text: which, start: turn(start), end: turn(end) };
      });
    };
    const line = (written: string) => {
      const tab = values.pairs ? written.indexOf("\t") : -1;
      const first = tab < 0 ? written : written.slice(0, tab);
      const second = values.pair ?? (tab < 0 ? null : written.slice(tab + 1));
      const encoding = tokenizer.encodeWithOffsets(first, second, values.maxLength);
      const output = {
        input_ids: Array.from(encoding.ids),
        token_type_ids: Array.from(encoding.typeIds),
        tokens: Array.from(encoding.ids, tokenizer.token),
        truncated: encoding.truncated,
        ...(values.offsets
          ? { offset_unit: values.offsetUnit, offsets: inUnit(encoding.offsets, [first, second ?? ""]) }
          : {}),
      };
      terminal.print(JSON.stringify(output));
    };
    if (args.length > 0) for (const text of args) line(text);
    else {
      const { linesOf } = await import("../../data/rows/text-blocks.js");
      for await (const text of linesOf({ name: "stdin", open: () => process.stdin })) line(text);
    }
  },
});
