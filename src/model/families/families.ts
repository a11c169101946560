// The families of encoders that are read, trained and served, by config.json's model_type.

import type { EncoderConfig, FamilyName } from "../config";
import { bert } from "./bert";
import { distilbert } from "./distilbert";
import { electra } from "./electra";
import type { Family } from "./family";
import { mobilebert } from "./mobilebert";
import { modernbert } from "./modernbert";
import { mpnet } from "./mpnet";
import { roberta, xlmRoberta } from "./roberta";

export const families = {
  bert,
  roberta,
  "xlm-roberta": xlmRoberta,
  mpnet,
  distilbert,
  electra,
  mobilebert,
  modernbert,
} as const satisfies Readonly<Record<"bert" | FamilyName, Family>>;

/** All but BERT. */
export const familyNames = Object.keys(families).filter((name) => name !== "bert") as FamilyName[];

export type ModelType = keyof typeof families;

/** config.json's model_type of an encoder. */
export const modelTypeOf = ({ family }: Pick<EncoderConfig, "family">): ModelType => family ?? "bert";

export const familyOf = (config: Pick<EncoderConfig, "family">): Family => families[modelTypeOf(config)];

/** The most tokens that the encoder takes: a table of positions may begin with rows of no token. */
export const mostTokens = (config: EncoderConfig): number =>
  config.maxPositionEmbeddings - familyOf(config).inputs.firstPosition(config);

/** Why a family that people ask for is not among them. */
export const refused: Readonly<Record<string, string>> = {
  albert: "its layers share one set of weights, and a branch must have its own above a frozen trunk",
  deberta: "its attention reads contents and positions apart (disentangled attention), which is not computed here",
  "deberta-v2": "its attention reads contents and positions apart (disentangled attention), which is not computed here",
};

const all: readonly Family[] = Object.values(families);

/** Beginnings of the names of encoder layers in all families: no two of them have one in common. */
const layerPrefixes = [...new Set(all.map(({ names }) => names.layers))];

/** The encoder layer that a tensor belongs to, counted from 0; NaN where it belongs to none. */
export function layerOf(name: string): number {
  const prefix = layerPrefixes.find((one) => name.startsWith(one));
  const found = prefix === undefined ? null : /^(\d+)\./.exec(name.slice(prefix.length));
  return Number(found?.[1]);
}

/** The name of the same tensor in another encoder layer. */
export function inLayer(name: string, index: number): string {
  const prefix = layerPrefixes.find((one) => name.startsWith(one)) ?? "";
  return prefix + name.slice(prefix.length).replace(/^\d+/, String(index));
}

/** A layer's tensor without the layer's own name: attention.self.query.weight. */
export function inLayerName(name: string): string {
  const prefix = layerPrefixes.find((one) => name.startsWith(one)) ?? "";
  return name.slice(prefix.length).replace(/^\d+\./, "");
}

const prefixes = [...new Set(all.map(({ names }) => names.prefix))];

/** embeddings.word_embeddings of bert.embeddings.word_embeddings. */
export function withoutPrefix(name: string): string {
  const prefix = prefixes.find((one) => name.startsWith(one)) ?? "";
  return name.slice(prefix.length);
}

const embeddingPrefixes = [...new Set(all.flatMap(({ names }) => names.embeddings))];

/** Whether a tensor is of the embeddings, or of what else lies under all layers. */
export const isEmbedding = (name: string): boolean => embeddingPrefixes.some((prefix) => name.startsWith(prefix));

const sharedNames = new Set(all.flatMap(({ names }) => names.shared));

/** Whether layers read a tensor that lies under them: it belongs to the trunk. */
export const isShared = (name: string): boolean => sharedNames.has(name);
