// Texts to token ids, with a base's vocabulary or the embedded one.

import { type Given, readGiven } from "../options/given";
import { toggle, type Values } from "../options/option";
import { baseOptions } from "../settings/base";
import type { Tokenizer } from "../tokenizer/tokenizer";
import { type Call, type Caller, callOf } from "./caller";
import { outlineBaseOf } from "./session";

/** A base that lends its vocabulary alone; "" for none. */
export const vocabularyBase = {
  ...baseOptions.base,
  fallback: "",
  read: (given: unknown) => String(given),
};

export const tokenizerOptions = {
  base: { ...vocabularyBase, help: "a base whose vocabulary is used" },
  lowerCase: baseOptions.lowerCase,
  cased: toggle({ flag: "--cased", help: "keep case and accents (with the embedded vocabulary)" }),
};

export type TokenizerOptions = Given<typeof tokenizerOptions>;

/** A base's tokenizer; BERT's without one. Throws UserError (4) for a base that is not there. */
export function openTokenizer(options: TokenizerOptions = {}, caller: Caller = {}): Promise<Tokenizer> {
  return tokenizerOf(readGiven(tokenizerOptions, options), callOf(caller));
}

export async function tokenizerOf(
  { base, cased, lowerCase }: Values<typeof tokenizerOptions>,
  call: Call,
): Promise<Tokenizer> {
  const { createTokenizer } = await import("../tokenizer/tokenizer.js");
  if (base !== "") return createTokenizer((await outlineBaseOf({ base, lowerCase }, call)).tokenizer);
  const { embeddedVocabulary } = await import("../tokenizer/vocabulary.js");
  return createTokenizer({ tokens: embeddedVocabulary(), lowerCase: !cased });
}
