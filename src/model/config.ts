// An encoder's hyperparameters, whatever its family (families/): the same names for all, beside what only one of them has.

import type { Activation } from "./hidden-act";

/** Families beside BERT, by config.json's model_type. */
export type FamilyName = "roberta" | "xlm-roberta" | "mpnet" | "distilbert" | "electra" | "mobilebert" | "modernbert";

/** Names and meaning as in transformers' BertConfig. A family adds what it has beside them; rates of dropout end in DropoutProb, for --dropout. */
export interface EncoderConfig {
  /** Absent for BERT, so that its bases keep their hashes. */
  readonly family?: FamilyName;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly intermediateSize: number;
  /** Rows of the position table, or the most tokens of a family without one. */
  readonly maxPositionEmbeddings: number;
  /** 0 where the family has no table of token types. */
  readonly typeVocabSize: number;
  readonly hiddenDropoutProb: number;
  readonly attentionProbsDropoutProb: number;
  readonly layerNormEps: number;
  readonly initializerRange: number;
  readonly padTokenId: number;
  /** Between the two products of the feed-forward part. Absent for exact GELU, so that BERT's bases keep their hashes. */
  readonly hiddenAct?: Activation;
}

/** What files that leave a key out mean, as in BertConfig: Google's have neither layer_norm_eps nor pad_token_id. */
export const bertDefaults = {
  hiddenDropoutProb: 0.1,
  attentionProbsDropoutProb: 0.1,
  layerNormEps: 1e-12,
  initializerRange: 0.02,
  padTokenId: 0,
} satisfies Partial<EncoderConfig>;

/** No encoder is deeper: what has a part for each layer is made before any weight is compared. */
export const MOST_LAYERS = 1000;
