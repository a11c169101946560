// MPNet (Song et al. 2020): BERT's layers under names of its own, positions from 2 (its padding row is always 1), no token
// types, and one table of relative positions that is added to the scores of every layer (Raffel et al. 2020, T5's buckets).

import type { EncoderConfig } from "../config";
import type { Family, LayerNames } from "./family";
import { bertKeys } from "./keys";
import {
  bertDropout,
  postNormLayer,
  postNormParameters,
  postNormProducts,
  postNormRows,
  summedEmbeddings,
  tokenProduct,
  twoProducts,
} from "./post-norm";

const EMBEDDINGS = "mpnet.embeddings.";
const LAYERS = "mpnet.encoder.layer.";
const embeddings = summedEmbeddings<EncoderConfig>(EMBEDDINGS, { types: false });
const RELATIVE = "mpnet.encoder.relative_attention_bias.weight";

const names: LayerNames = {
  query: "attention.attn.q",
  key: "attention.attn.k",
  value: "attention.attn.v",
  attentionOutput: "attention.attn.o",
  attentionNorm: "attention.LayerNorm",
  intermediate: "intermediate.dense",
  output: "output.dense",
  outputNorm: "output.LayerNorm",
};

const head = twoProducts<EncoderConfig>("classifier.dense", "classifier.out_proj", "tanh");

/** transformers' MPNet has it in its code, whatever its config says. */
const PADDING_ROW = 1;

/** Rows of the table of relative positions: transformers' code takes no other number either, whatever a config says. */
const BUCKETS = 32;

/** Distances from which on all are one. */
const FARTHEST = 128;

/**
 * T5's rule in both directions: half of the rows for keys before the query, half for those behind it; of each half a row for
 * every near distance, and rows of ever more for the far ones, up to {@link FARTHEST}. The logarithm is in float32 there,
 * and so it is here.
 * @param distance the key's position minus the query's
 */
export function relativeBucket(distance: number): number {
  const half = BUCKETS / 2;
  const from = distance > 0 ? half : 0;
  const far = Math.abs(distance);
  const exact = half / 2;
  if (far < exact) return from + far;
  const part = Math.fround(Math.fround(Math.log(Math.fround(far / exact))) / Math.fround(Math.log(FARTHEST / exact)));
  return from + Math.min(half - 1, exact + Math.floor(Math.fround(part * (half - exact))));
}

const { typeVocabSize: _, ...numbers } = bertKeys({ vocab: 30527, positions: 512, epsilon: 1e-12, pad: 1 });

const relative = { table: RELATIVE, bucket: relativeBucket };

export const mpnet: Family = {
  title: "MPNet",
  className: "MPNet",
  config: {
    numbers,
    constants: { typeVocabSize: 0 },
    fixed: { relative_attention_num_buckets: BUCKETS },
    written: { relative_attention_num_buckets: BUCKETS },
    activation: "hidden_act",
  },
  names: {
    prefix: "mpnet.",
    bare: ["embeddings", "encoder", "pooler"],
    head: ["classifier"],
    layers: LAYERS,
    embeddings: [EMBEDDINGS, RELATIVE],
    shared: [RELATIVE],
    words: embeddings.words,
    afterNorm: postNormRows(names),
  },
  inputs: { types: false, positions: true, firstPosition: () => PADDING_ROW + 1 },
  dropout: bertDropout(head.sites),
  head,
  tokenHead: tokenProduct,
  embeddings: (config) => [
    ...embeddings.parameters(config),
    { name: RELATIVE, shape: [BUCKETS, config.numAttentionHeads], begins: "normal" },
  ],
  layerParameters: (config, index) => postNormParameters(config, `${LAYERS}${index}.`, names),
  products: postNormProducts,
  embed: embeddings.embed,
  adapts: names,
  layer: (ops, hidden, index, config) => postNormLayer(ops, hidden, `${LAYERS}${index}.`, names, config, { relative }),
};
