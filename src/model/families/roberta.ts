// RoBERTa (Liu et al. 2019) and XLM-R (Conneau et al. 2020), which differ in vocabulary and training alone: BERT's layers,
// positions that begin behind the padding token's row, no token types in calls (one row for all), and a head of two
// products that is the classifier's alone.

import type { EncoderConfig } from "../config";
import type { Family } from "./family";
import { bertKeys } from "./keys";
import {
  bertDropout,
  bertLayer,
  postNormLayer,
  postNormParameters,
  postNormProducts,
  postNormRows,
  summedEmbeddings,
  tokenProduct,
  twoProducts,
} from "./post-norm";

const EMBEDDINGS = "roberta.embeddings.";
const LAYERS = "roberta.encoder.layer.";
const embeddings = summedEmbeddings<EncoderConfig>(EMBEDDINGS, { types: true });

const head = twoProducts<EncoderConfig>("classifier.dense", "classifier.out_proj", "tanh");

export const roberta: Family = {
  title: "RoBERTa",
  className: "Roberta",
  config: {
    numbers: bertKeys({ vocab: 50265, positions: 512, epsilon: 1e-12, pad: 1 }),
    fixed: { position_embedding_type: "absolute", is_decoder: false, add_cross_attention: false },
    written: { position_embedding_type: "absolute" },
    activation: "hidden_act",
  },
  names: {
    prefix: "roberta.",
    bare: ["embeddings", "encoder", "pooler"],
    head: ["classifier"],
    layers: LAYERS,
    embeddings: [EMBEDDINGS],
    shared: [],
    words: embeddings.words,
    afterNorm: postNormRows(bertLayer),
  },
  inputs: { types: false, positions: true, firstPosition: ({ padTokenId }) => padTokenId + 1 },
  dropout: bertDropout(head.sites),
  head,
  tokenHead: tokenProduct,
  embeddings: embeddings.parameters,
  layerParameters: (config, index) => postNormParameters(config, `${LAYERS}${index}.`, bertLayer),
  products: postNormProducts,
  embed: embeddings.embed,
  adapts: bertLayer,
  layer: (ops, hidden, index, config) => postNormLayer(ops, hidden, `${LAYERS}${index}.`, bertLayer, config),
};

export const xlmRoberta: Family = { ...roberta, title: "XLM-R", className: "XLMRoberta" };
