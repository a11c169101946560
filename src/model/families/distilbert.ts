// DistilBERT (Sanh et al. 2019): BERT's layers under names of its own, positions from 0, no token types, and a head of two
// products with ReLU between them.

import type { EncoderConfig } from "../config";
import { outputParameters, poolerParameters } from "../head-parameters";
import type { Family, LayerNames } from "./family";
import { count, positive, rate, tokenId } from "./keys";
import {
  bertDropout,
  postNormLayer,
  postNormParameters,
  postNormProducts,
  postNormRows,
  summedEmbeddings,
  tokenProduct,
} from "./post-norm";

export interface DistilBertConfig extends EncoderConfig {
  /** Dropout before the last product of the head. */
  readonly classifierDropoutProb: number;
}

const EMBEDDINGS = "distilbert.embeddings.";
const LAYERS = "distilbert.transformer.layer.";
const embeddings = summedEmbeddings<DistilBertConfig>(EMBEDDINGS, { types: false });

const names: LayerNames = {
  query: "attention.q_lin",
  key: "attention.k_lin",
  value: "attention.v_lin",
  attentionOutput: "attention.out_lin",
  attentionNorm: "sa_layer_norm",
  intermediate: "ffn.lin1",
  output: "ffn.lin2",
  outputNorm: "output_layer_norm",
};

/** Its layer norms have it in transformers' code; no config says another. */
const EPSILON = 1e-12;

export const distilbert: Family<DistilBertConfig> = {
  title: "DistilBERT",
  className: "DistilBert",
  config: {
    numbers: {
      vocabSize: count("vocab_size", 30522),
      hiddenSize: { ...count("dim", 768), others: ["hidden_size"] },
      numHiddenLayers: { ...count("n_layers", 6), others: ["num_hidden_layers"] },
      numAttentionHeads: { ...count("n_heads", 12), others: ["num_attention_heads"] },
      intermediateSize: count("hidden_dim", 3072),
      maxPositionEmbeddings: count("max_position_embeddings", 512),
      hiddenDropoutProb: rate("dropout", 0.1),
      attentionProbsDropoutProb: rate("attention_dropout", 0.1),
      initializerRange: positive("initializer_range", 0.02),
      padTokenId: tokenId("pad_token_id", 0),
      classifierDropoutProb: rate("seq_classif_dropout", 0.2),
    },
    constants: { typeVocabSize: 0, layerNormEps: EPSILON },
    fixed: {},
    activation: "activation",
  },
  names: {
    prefix: "distilbert.",
    bare: ["embeddings", "transformer"],
    head: ["pre_classifier", "classifier"],
    layers: LAYERS,
    embeddings: [EMBEDDINGS],
    shared: [],
    words: embeddings.words,
    afterNorm: postNormRows(names),
  },
  inputs: { types: false, positions: true, firstPosition: () => 0 },
  dropout: {
    ...bertDropout(({ classifierDropoutProb: rate, hiddenSize: width }) => [{ name: "pooled", rate, width }]),
    // Attention's output has no dropout of its own.
    layer: ({ hiddenDropoutProb: rate, attentionProbsDropoutProb, hiddenSize: width }) => [
      { name: "attention_probabilities", rate: attentionProbsDropoutProb, width: "attention" },
      { name: "output", rate, width },
    ],
  },
  head: {
    parameters: ({ hiddenSize: hidden }, outputs) => [
      ...poolerParameters("pre_classifier", hidden, false),
      ...outputParameters("classifier", hidden, outputs),
    ],
    output: "classifier",
    logits(ops, first) {
      const pooled = ops.activate(ops.dense(first, "pre_classifier"), "relu");
      return ops.dense(ops.drop(ops.pooled(pooled), "pooled"), "classifier");
    },
  },
  tokenHead: tokenProduct,
  embeddings: embeddings.parameters,
  layerParameters: (config, index) => postNormParameters(config, `${LAYERS}${index}.`, names),
  products: postNormProducts,
  embed: embeddings.embed,
  adapts: names,
  layer: (ops, hidden, index, config) => postNormLayer(ops, hidden, `${LAYERS}${index}.`, names, config),
};
