// BERT's hyperparameters, from Hugging Face's config.json or Google's bert_config.json (the same keys, fewer of them).
// Variants of BERT that the model code does not compute are refused here, by name, before any weight is read.

import { modelError } from "../errors/errors";
import { shown } from "../errors/printable";
import { type Activation, activationOf, hiddenActs } from "./hidden-act";

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
  /** Between the two products of the feed-forward part. Absent for exact GELU, so that its bases keep their hashes. */
  readonly hiddenAct?: Activation;
}

/** The numbers among them. */
type Sizes = Omit<BertConfig, "hiddenAct">;

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
  /** What a file without the key means. */
  readonly fallback: number;
  readonly accepts: (value: number) => boolean;
  readonly expected: string;
}

/** No encoder is deeper: what has a part for each layer is made before any weight is compared. */
export const MOST_LAYERS = 1000;

const count = (name: string, fallback: number): Key => ({
  name,
  fallback,
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

/** Keys that a file leaves out have BertConfig's value: BERT-base's size. */
const keys = {
  vocabSize: count("vocab_size", 30522),
  hiddenSize: count("hidden_size", 768),
  numHiddenLayers: count("num_hidden_layers", 12),
  numAttentionHeads: count("num_attention_heads", 12),
  intermediateSize: count("intermediate_size", 3072),
  maxPositionEmbeddings: count("max_position_embeddings", 512),
  typeVocabSize: count("type_vocab_size", 2),
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
} satisfies Record<keyof Sizes, Key>;

/** The only values for which the model code computes what the checkpoint's authors trained. */
const fixed: Readonly<Record<string, unknown>> = {
  model_type: "bert",
  position_embedding_type: "absolute",
  is_decoder: false,
  add_cross_attention: false,
};

/**
 * Reads a parsed config.json or bert_config.json; `source` names it in errors.
 * Throws modelError (4) naming every key with its value that has a wrong type or asks for another model than BERT.
 */
export function parseBertConfig(json: unknown, source: string): BertConfig {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw modelError(`${source} is no JSON object: give the config.json of a BERT model`);
  }
  const file = json as Readonly<Record<string, unknown>>;
  const problems = variantProblems(file);
  const read = ([property, key]: [string, Key]) => [property, readNumber(file, key, problems)];
  const sizes = Object.fromEntries(Object.entries(keys).map(read)) as unknown as Sizes;
  if (sizes.numHiddenLayers > MOST_LAYERS) {
    problems.push(`num_hidden_layers is ${sizes.numHiddenLayers}; it must be at most ${MOST_LAYERS}`);
  }
  if (problems.length === 0 && sizes.hiddenSize % sizes.numAttentionHeads !== 0) {
    problems.push(`hidden_size ${sizes.hiddenSize} is not divisible by num_attention_heads ${sizes.numAttentionHeads}`);
  }
  if (problems.length > 0) throw modelError(`${source}: ${problems.join("; ")}`);
  const hiddenAct = activationOf(file["hidden_act"] ?? "gelu");
  return hiddenAct === "gelu" || hiddenAct === null ? sizes : { ...sizes, hiddenAct };
}

/** What the file asks for that the model code does not compute. */
function variantProblems(file: Readonly<Record<string, unknown>>): string[] {
  const problems: string[] = [];
  for (const [name, value] of Object.entries(fixed)) {
    const given = file[name] ?? value;
    if (given !== value) problems.push(`${name} is ${shown(given)}; only ${shown(value)} is supported`);
  }
  const architectures = [file["architectures"] ?? []].flat();
  const other = architectures.find((name) => typeof name === "string" && !/^(TF|Flax)?Bert[A-Z]/.test(name));
  if (other !== undefined && problems.length === 0 && file["model_type"] === undefined) {
    problems.push(`its architecture is ${shown(other)}; only BERT's are supported`);
  }
  const act = file["hidden_act"] ?? "gelu";
  if (activationOf(act) === null) {
    problems.push(`hidden_act is ${shown(act)}; supported are ${hiddenActs.join(", ")}`);
  }
  const quantised = file["quantization_config"] ?? null;
  if (quantised !== null) problems.push("quantization_config: its weights are quantised. Take those that are not");
  const isKnown = file["model_type"] === "bert" || Object.values(keys).some(({ name }) => name in file);
  if (problems.length === 0 && !isKnown)
    problems.push("it has none of BERT's keys: give the config.json of a BERT model");
  return problems;
}

function readNumber(file: Readonly<Record<string, unknown>>, key: Key, problems: string[]): number {
  const value = file[key.name] ?? key.fallback; // pad_token_id may be null
  if (typeof value === "number" && key.accepts(value)) return value === 0 ? 0 : value; // -0 too
  problems.push(`${key.name} is ${shown(value)}; it must be ${key.expected}`);
  return key.fallback;
}

/** A config.json that transformers reads; `parseBertConfig` gives the same config back. */
export function bertConfigJson(config: BertConfig): Record<string, string | number> {
  const numbers = Object.entries(keys).map(([property, { name }]) => [name, config[property as keyof Sizes]]);
  return {
    model_type: "bert",
    hidden_act: config.hiddenAct ?? "gelu",
    position_embedding_type: "absolute",
    ...Object.fromEntries(numbers),
  };
}
