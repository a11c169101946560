// BERT (Devlin et al. 2019): words, token types and positions from 0, summed and normalised; a tanh pooler under the
// classifier, which comes with the base.

import type { EncoderConfig } from "../config";
import { pooledParameters } from "../head-parameters";
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
} from "./post-norm";

const EMBEDDINGS = "bert.embeddings.";
const LAYERS = "bert.encoder.layer.";
const embeddings = summedEmbeddings<EncoderConfig>(EMBEDDINGS, { types: true });

export const bert: Family = {
  title: "BERT",
  className: "Bert",
  config: {
    numbers: bertKeys({ vocab: 30522, positions: 512, epsilon: 1e-12, pad: 0 }),
    fixed: { position_embedding_type: "absolute", is_decoder: false, add_cross_attention: false },
    written: { position_embedding_type: "absolute" },
    activation: "hidden_act",
  },
  names: {
    prefix: "bert.",
    bare: ["embeddings", "encoder", "pooler"],
    head: ["classifier"],
    layers: LAYERS,
    embeddings: [EMBEDDINGS],
    shared: [],
    words: embeddings.words,
    afterNorm: postNormRows(bertLayer),
  },
  inputs: { types: true, positions: true, firstPosition: () => 0 },
  dropout: bertDropout(({ hiddenDropoutProb: rate, hiddenSize: width }) => [{ name: "pooled", rate, width }]),
  head: {
    parameters: ({ hiddenSize }, outputs) => pooledParameters(hiddenSize, outputs),
    output: "classifier",
    logits(ops, first) {
      const pooled = ops.activate(ops.dense(first, "bert.pooler.dense"), "tanh");
      return ops.dense(ops.drop(ops.pooled(pooled), "pooled"), "classifier");
    },
  },
  tokenHead: tokenProduct,
  embeddings: embeddings.parameters,
  layerParameters: (config, index) => postNormParameters(config, `${LAYERS}${index}.`, bertLayer),
  products: postNormProducts,
  embed: embeddings.embed,
  adapts: bertLayer,
  layer: (ops, hidden, index, config) => postNormLayer(ops, hidden, `${LAYERS}${index}.`, bertLayer, config),
};
