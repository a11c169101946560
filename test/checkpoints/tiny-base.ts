// A base of two layers of eight, random by seed, for tests that need no real weights.
import { randomBase } from "../../src/checkpoints/bases/random-base";
import type { EncoderConfig } from "../../src/model/config";

export const tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "##s", "é", "."];

export const tinyConfig: EncoderConfig = {
  vocabSize: 12,
  hiddenSize: 8,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
  intermediateSize: 16,
  maxPositionEmbeddings: 16,
  typeVocabSize: 2,
  hiddenDropoutProb: 0.1,
  attentionProbsDropoutProb: 0.1,
  layerNormEps: 1e-12,
  initializerRange: 0.02,
  padTokenId: 0,
};

export const tinyBase = (seed = 1) => randomBase("tiny", tinyConfig, { tokens, lowerCase: true }, seed);
