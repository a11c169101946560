// The heads that a family puts over a text and over every token, for those who load no tfjs.

import type { EncoderConfig } from "../config";
import type { HeadParameter } from "../head-parameters";
import { familyOf } from "./families";

/** Of a text: a classifier's or regressor's. */
export const familyHead = (config: EncoderConfig, outputs: number): readonly HeadParameter[] =>
  familyOf(config).head.parameters(config, outputs);

export const familyTokenHead = (config: EncoderConfig, outputs: number): readonly HeadParameter[] =>
  familyOf(config).tokenHead.parameters(config, outputs);

/** Which of them a kind of task has. */
export interface Reading {
  readonly perWord?: true;
}

export const headUnder = (config: EncoderConfig, { perWord }: Reading) => {
  const { head, tokenHead } = familyOf(config);
  return perWord ? tokenHead : head;
};

/** transformers' class of a model with it: BertForSequenceClassification. */
export const classNameOf = (config: EncoderConfig, { perWord }: Reading): string =>
  `${familyOf(config).className}For${perWord ? "Token" : "Sequence"}Classification`;
