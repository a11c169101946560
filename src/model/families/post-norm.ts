// The layer of Vaswani et al. 2017 as BERT has it (Devlin et al. 2019), which most families keep under names of their own:
// attention and a feed-forward part, each added to what enters it and normalised after that.

import type { EncoderConfig } from "../config";
import { type HeadParameter, outputParameters, poolerParameters } from "../head-parameters";
import { aroundNorm, behindPart } from "./bottleneck";
import type {
  AttentionForm,
  DropoutRates,
  EmbeddingOperations,
  FamilyHead,
  HeadSite,
  LayerNames,
  LayerOperations,
  LayerProducts,
  Parameter,
  TokenHead,
} from "./family";
import { ATTENTION_ADAPTER, NORMED_ADAPTER, OUTPUT_ADAPTER } from "./small-names";

export const bertLayer: LayerNames = {
  query: "attention.self.query",
  key: "attention.self.key",
  value: "attention.self.value",
  attentionOutput: "attention.output.dense",
  attentionNorm: "attention.output.LayerNorm",
  intermediate: "intermediate.dense",
  output: "output.dense",
  outputNorm: "output.LayerNorm",
};

/** What reads a layer norm's output: of the layer below, and of attention's. */
export const postNormRows = ({ query, key, value, intermediate }: LayerNames) => [[query, key, value], [intermediate]];

export const denseParameters = (name: string, out: number, width: number): Parameter[] => [
  { name: `${name}.weight`, shape: [out, width], begins: "normal" },
  { name: `${name}.bias`, shape: [out], begins: "zero" },
];

export const normParameters = (name: string, width: number): Parameter[] => [
  { name: `${name}.weight`, shape: [width], begins: "one" },
  { name: `${name}.bias`, shape: [width], begins: "zero" },
];

/**
 * Embeddings as BERT has them: rows of tables that are summed, and a norm.
 * @param prefix "bert.embeddings."
 * @param types whether there is a table of token types
 * @param width of the tables; the hidden size by default
 */
export function summedEmbeddings<C extends EncoderConfig>(
  prefix: string,
  { types, width = ({ hiddenSize }) => hiddenSize }: { readonly types: boolean; width?(config: C): number },
) {
  const tables = {
    words: `${prefix}word_embeddings.weight`,
    positions: `${prefix}position_embeddings.weight`,
    ...(types ? { types: `${prefix}token_type_embeddings.weight` } : {}),
  };
  const norm = `${prefix}LayerNorm`;
  return {
    words: tables.words,
    parameters: (config: C): Parameter[] => [
      { name: tables.words, shape: [config.vocabSize, width(config)], begins: "normal" },
      { name: tables.positions, shape: [config.maxPositionEmbeddings, width(config)], begins: "normal" },
      ...(tables.types === undefined
        ? []
        : [{ name: tables.types, shape: [config.typeVocabSize, width(config)], begins: "normal" } satisfies Parameter]),
      ...normParameters(norm, width(config)),
    ],
    embed: <X>(ops: EmbeddingOperations<X>, { layerNormEps }: C): X =>
      ops.drop(ops.norm(ops.lookUp(tables), norm, layerNormEps), "embeddings"),
  };
}

/** @param prefix the layer's name with a dot */
export function postNormParameters(
  { hiddenSize: hidden, intermediateSize: wide }: EncoderConfig,
  prefix: string,
  names: LayerNames,
): Parameter[] {
  const dense = (name: string, out: number, width: number) => denseParameters(prefix + name, out, width);
  return [
    ...[names.query, names.key, names.value].flatMap((name) => dense(name, hidden, hidden)),
    ...dense(names.attentionOutput, hidden, hidden),
    ...normParameters(prefix + names.attentionNorm, hidden),
    ...dense(names.intermediate, wide, hidden),
    ...dense(names.output, hidden, wide),
    ...normParameters(prefix + names.outputNorm, hidden),
  ];
}

export function postNormLayer<X>(
  ops: LayerOperations<X>,
  hidden: X,
  prefix: string,
  names: LayerNames,
  config: EncoderConfig,
  form?: AttentionForm,
): X {
  const epsilon = config.layerNormEps;
  const asking = ops.asking(hidden);
  const products = {
    query: () => ops.dense(asking, prefix + names.query),
    key: () => ops.dense(hidden, prefix + names.key),
    value: () => ops.dense(hidden, prefix + names.value),
  };
  const context = ops.attend(products, form);
  const projected = ops.drop(ops.dense(context, prefix + names.attentionOutput), "attention_output");
  const attended = behindPart(ops, projected, prefix + ATTENTION_ADAPTER);
  const middle = ops.norm(ops.add(attended, asking), prefix + names.attentionNorm, epsilon);
  const expanded = ops.activate(ops.dense(middle, prefix + names.intermediate), config.hiddenAct ?? "gelu");
  const contracted = ops.drop(ops.dense(expanded, prefix + names.output), "output");
  const output = behindPart(ops, contracted, prefix + OUTPUT_ADAPTER);
  const norm = (x: X) => ops.norm(x, prefix + names.outputNorm, epsilon);
  return aroundNorm(ops, ops.add(output, middle), prefix + NORMED_ADAPTER, norm);
}

/** Keys and values of every position; query, attention's output and the feed-forward part of those that attend. */
export const postNormProducts = ({ hiddenSize: h, intermediateSize: f }: EncoderConfig): LayerProducts => ({
  every: 2 * h * h,
  asking: 2 * h * h + 2 * h * f,
  entering: { every: 2 * h * h, asking: h * h },
  attention: h,
});

/** @param head sites of the head */
export const bertDropout = <C extends EncoderConfig>(head: (config: C) => readonly HeadSite[]): DropoutRates<C> => ({
  embeddings: ({ hiddenDropoutProb }) => hiddenDropoutProb,
  layer: ({ hiddenDropoutProb: rate, attentionProbsDropoutProb, hiddenSize: width }) => [
    { name: "attention_probabilities", rate: attentionProbsDropoutProb, width: "attention" },
    { name: "attention_output", rate, width },
    { name: "output", rate, width },
  ],
  head,
});

/** Site of dropout on what enters a head of two products. */
const FEATURES = "features";

/**
 * A product with an activation, and one that gives the outputs, both of the classifier alone: nothing of it is the base's.
 * Dropout stands before each.
 */
export const twoProducts = <C extends EncoderConfig>(
  dense: string,
  output: string,
  activation: "tanh" | "gelu" | "relu",
): FamilyHead<C> & { readonly sites: (config: C) => readonly HeadSite[] } => ({
  parameters: ({ hiddenSize: hidden }, outputs): HeadParameter[] => [
    ...poolerParameters(dense, hidden, false),
    ...outputParameters(output, hidden, outputs),
  ],
  output,
  logits(ops, first) {
    const pooled = ops.activate(ops.dense(ops.drop(first, FEATURES), dense), activation);
    return ops.dense(ops.drop(ops.pooled(pooled), "pooled"), output);
  },
  sites: ({ hiddenDropoutProb: rate, hiddenSize: width }) => [
    { name: "pooled", rate, width },
    { name: FEATURES, rate, width },
  ],
});

/** Site of dropout before what gives a token's outputs: part of the format of runs, as all names of sites are. */
export const TOKEN = "token";

/** Dropout at the layers' rate and a product, of which nothing is the base's: no pooler. */
export const tokenProduct: TokenHead<EncoderConfig> = {
  parameters: ({ hiddenSize }, outputs) => outputParameters("classifier", hiddenSize, outputs),
  output: "classifier",
  sites: ({ hiddenDropoutProb: rate, hiddenSize: width }) => [{ name: TOKEN, rate, width }],
  logits: (ops, states) => ops.dense(ops.drop(states, TOKEN), "classifier"),
};
