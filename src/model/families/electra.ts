// ELECTRA (Clark et al. 2020): BERT's layers over embeddings of a width of their own, which one product brings to the layers'
// width, and a head of two products with GELU between them that is the classifier's alone.

import type { EncoderConfig } from "../config";
import type { Family } from "./family";
import { bertKeys, count } from "./keys";
import {
  bertDropout,
  bertLayer,
  denseParameters,
  postNormLayer,
  postNormParameters,
  postNormProducts,
  postNormRows,
  summedEmbeddings,
  tokenProduct,
  twoProducts,
} from "./post-norm";

export interface ElectraConfig extends EncoderConfig {
  readonly embeddingSize: number;
}

const EMBEDDINGS = "electra.embeddings.";
const PROJECTION = "electra.embeddings_project";
const LAYERS = "electra.encoder.layer.";
const embedded = summedEmbeddings<ElectraConfig>(EMBEDDINGS, {
  types: true,
  width: ({ embeddingSize }) => embeddingSize,
});

const head = twoProducts<ElectraConfig>("classifier.dense", "classifier.out_proj", "gelu");

/** Equal widths need no product, and its files have none. */
const isProjected = ({ embeddingSize, hiddenSize }: ElectraConfig) => embeddingSize !== hiddenSize;

export const electra: Family<ElectraConfig> = {
  title: "ELECTRA",
  className: "Electra",
  config: {
    numbers: {
      ...bertKeys({ vocab: 30522, positions: 512, epsilon: 1e-12, pad: 0 }),
      hiddenSize: count("hidden_size", 256),
      numAttentionHeads: count("num_attention_heads", 4),
      intermediateSize: count("intermediate_size", 1024),
      embeddingSize: count("embedding_size", 128),
    },
    fixed: { position_embedding_type: "absolute", is_decoder: false, add_cross_attention: false },
    written: { position_embedding_type: "absolute" },
    activation: "hidden_act",
  },
  names: {
    prefix: "electra.",
    bare: ["embeddings", "embeddings_project", "encoder"],
    head: ["classifier"],
    layers: LAYERS,
    embeddings: [EMBEDDINGS, PROJECTION],
    shared: [],
    words: embedded.words,
    afterNorm: postNormRows(bertLayer),
  },
  inputs: { types: true, positions: true, firstPosition: () => 0 },
  dropout: { ...bertDropout(head.sites), embeddingsWidth: ({ embeddingSize }) => embeddingSize },
  head,
  tokenHead: tokenProduct,
  embeddings: (config) => [
    ...embedded.parameters(config),
    ...(isProjected(config) ? denseParameters(PROJECTION, config.hiddenSize, config.embeddingSize) : []),
  ],
  layerParameters: (config, index) => postNormParameters(config, `${LAYERS}${index}.`, bertLayer),
  products: postNormProducts,
  embeddingProducts: (config) => (isProjected(config) ? config.embeddingSize * config.hiddenSize : 0),
  embed(ops, config) {
    const narrow = embedded.embed(ops, config);
    return isProjected(config) ? ops.dense(narrow, PROJECTION) : narrow;
  },
  adapts: bertLayer,
  layer: (ops, hidden, index, config) => postNormLayer(ops, hidden, `${LAYERS}${index}.`, bertLayer, config),
};
