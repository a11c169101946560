// BERT's hyperparameters, from Hugging Face's config.json or Google's bert_config.json (the same keys, fewer of them).
// Variants of BERT that the model code does not compute are refused here, by name, before any weight is read.

import { modelError } from "../errors/errors";

/** Names and meaning as in transformers' BertConfig. */
export interface BertConfig {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  readonly intermediateSize: number;
  readonly maxPositionEmbeddings: number;
  readonly typeVocabSize: number;
  readonly hiddenDropoutProb: number;
  readonly attentionProbsDropoutProb: number;
  readonly layerNormEps: number;
  readonly initializerRange: number;
  readonly padTokenId: number;
}

/** What files that leave a key out mean, as in BertConfig: Google's have neither layer_norm_eps nor pad_token_id. */
export const bertDefaults = {
  hiddenDropoutProb: 0.1,
  attentionProbsDropoutProb: 0.1,
  layerNormEps: 1e-12,
  initializerRange: 0.02,
  padTokenId: 0,
} satisfies Partial<BertConfig>;

interface Key {
  readonly name: string;
  /** What a file without the key means; files must have the keys without one. */
  readonly fallback?: number;
  readonly accepts: (value: number) => boolean;
  readonly expected: string;
}

const count = (name: string): Key => ({
  name,
  accepts: (value) => Number.isSafeInteger(value) && value > 0,
  expected: "a positive integer",
});

const rate = (name: string, fallback: number): Key => ({
  name,
  fallback,
  accepts: (value) => value >= 0 && value < 1,
  expected: "at least 0 and below 1",
});

const positive = (name: string, fallback: number): Key => ({
  name,
  fallback,
  accepts: (value) => value > 0 && Number.isFinite(value),
  expected: "a positive number",
});

const keys = {
  vocabSize: count("vocab_size"),
  hiddenSize: count("hidden_size"),
  numHiddenLayers: count("num_hidden_layers"),
  numAttentionHeads: count("num_attention_heads"),
  intermediateSize: count("intermediate_size"),
  maxPositionEmbeddings: count("max_position_embeddings"),
  typeVocabSize: count("type_vocab_size"),
  hiddenDropoutProb: rate("hidden_dropout_prob", bertDefaults.hiddenDropoutProb),
  attentionProbsDropoutProb: rate("attention_probs_dropout_prob", bertDefaults.attentionProbsDropoutProb),
  layerNormEps: positive("layer_norm_eps", bertDefaults.layerNormEps),
  initializerRange: positive("initializer_range", bertDefaults.initializerRange),
  padTokenId: {
    name: "pad_token_id",
    fallback: bertDefaults.padTokenId,
    accepts: (value) => Number.isSafeInteger(value) && value >= 0,
    expected: "an integer of at least 0",
  },
} satisfies Record<keyof BertConfig, Key>;

/** The only values for which the model code computes what the checkpoint's authors trained. */
const fixed: Readonly<Record<string, { readonly value: unknown; readonly required?: boolean }>> = {
  model_type: { value: "bert" },
  hidden_act: { value: "gelu", required: true },
  position_embedding_type: { value: "absolute" },
  is_decoder: { value: false },
  add_cross_attention: { value: false },
};

/**
 * Reads a parsed config.json or bert_config.json; `source` names it in errors.
 * Throws modelError (4) naming key, value and source for a missing key, a wrong type or an unsupported variant.
 */
export function parseBertConfig(json: unknown, source: string): BertConfig {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw modelError(`${source} is no JSON object: give the config.json of a BERT model`);
  }
  const file = json as Readonly<Record<string, unknown>>;
  for (const [name, { value, required }] of Object.entries(fixed)) {
    const given = file[name] ?? undefined;
    if (given === undefined && !required) continue;
    if (given !== value) {
      throw modelError(
        `${source}: ${name} is ${JSON.stringify(given) ?? "missing"}; only ${JSON.stringify(value)} is supported`,
      );
    }
  }
  const read = ([property, key]: [string, Key]) => [property, readNumber(file, key, source)];
  const config = Object.fromEntries(Object.entries(keys).map(read)) as unknown as BertConfig;
  if (config.hiddenSize % config.numAttentionHeads !== 0) {
    throw modelError(
      `${source}: hidden_size ${config.hiddenSize} is not divisible by num_attention_heads ${config.numAttentionHeads}`,
    );
  }
  return config;
}

function readNumber(file: Readonly<Record<string, unknown>>, key: Key, source: string): number {
  const value = file[key.name] ?? key.fallback; // pad_token_id may be null
  if (value === undefined) throw modelError(`${source} has no ${key.name}: give the config of a whole BERT model`);
  if (typeof value !== "number" || !key.accepts(value)) {
    throw modelError(`${source}: ${key.name} is ${JSON.stringify(value)}; it must be ${key.expected}`);
  }
  return value;
}

/** A config.json that transformers reads; `parseBertConfig` gives the same config back. */
export function bertConfigJson(config: BertConfig): Record<string, string | number> {
  const numbers = Object.entries(keys).map(([property, { name }]) => [name, config[property as keyof BertConfig]]);
  return {
    model_type: "bert",
    hidden_act: "gelu",
    position_embedding_type: "absolute",
    ...Object.fromEntries(numbers),
  };
}
