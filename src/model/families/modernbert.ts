// ModernBERT (Warner et al. 2024): norms before attention and feed-forward part, rotary positions, attention that is local in
// most layers, one product for query, key and value, a gated feed-forward part. The norm over the topmost layer is the
// head's: it stands behind whatever layer is topmost, and is trained with the branch.

import { shown } from "../../errors/printable";
import type { EncoderConfig } from "../config";
import { type HeadParameter, headSites } from "../head-parameters";
import { type Activation, activationOf, hiddenActs } from "../hidden-act";
import type { Family, HeadOperations, LayerOperations, LayerSite, Operations, Parameter } from "./family";
import { type ConfigFile, count, positive, rate, readFlag, readNumber, readWord, tokenId } from "./keys";
import { TOKEN } from "./post-norm";

export interface ModernBertConfig extends EncoderConfig {
  readonly embeddingDropoutProb: number;
  readonly classifierDropoutProb: number;
  /** Of this many layers the first attends to all tokens and the others to near ones; absent where no number says it. */
  readonly globalEvery?: number;
  /** A letter a layer, g or l: layers that attend to all tokens and to near ones, where no number says it. */
  readonly layerTypes?: string;
  /** Width of the window of local layers: half of it lies on each side. */
  readonly localAttention: number;
  /** Base of the rotary positions' wave lengths, of global and of local layers. */
  readonly globalTheta: number;
  readonly localTheta: number;
  readonly attentionBias: boolean;
  readonly feedForwardBias: boolean;
  readonly normBias: boolean;
  readonly classifierBias: boolean;
  readonly classifierAct: Activation | "gelu" | "tanh";
  /** What the head reads: the first token, or the mean over all. */
  readonly pooling: "cls" | "mean";
}

const EMBEDDINGS = "model.embeddings.";
const LAYERS = "model.layers.";
const words = `${EMBEDDINGS}tok_embeddings.weight`;
const EMBEDDINGS_NORM = `${EMBEDDINGS}norm`;
const FINAL_NORM = "model.final_norm";

const GLOBAL = "full_attention";
const LOCAL = "sliding_attention";

const isLocal = ({ globalEvery, layerTypes }: ModernBertConfig, index: number): boolean =>
  layerTypes === undefined ? index % (globalEvery as number) !== 0 : layerTypes[index] === "l";

const patternOf = (globalEvery: number, layers: number): string =>
  Array.from({ length: layers }, (_, index) => (index % globalEvery === 0 ? "g" : "l")).join("");

/** A number where one says it: a shallower model's list is then that of the base. */
function readPattern(file: ConfigFile, layers: number, problems: string[]) {
  const every = readNumber(file, count("global_attn_every_n_layers", 3), problems);
  const types = file["layer_types"] ?? null;
  if (types === null) return { globalEvery: every };
  if (!Array.isArray(types) || types.length !== layers || types.some((type) => type !== GLOBAL && type !== LOCAL)) {
    problems.push(`layer_types is ${shown(types)}; it must be ${GLOBAL} or ${LOCAL} for each of ${layers} layers`);
    return { globalEvery: every };
  }
  const given = types.map((type) => (type === GLOBAL ? "g" : "l")).join("");
  const numbers = [every, ...Array.from({ length: layers }, (_, i) => i + 1)];
  const fitting = numbers.find((number) => patternOf(number, layers) === given);
  return fitting === undefined ? { layerTypes: given } : { globalEvery: fitting };
}

/** Of `rope_parameters` by kind of layer, as transformers 5 writes them, or of the two keys that stood there before. */
function readThetas(file: ConfigFile, problems: string[]) {
  const scaling = file["rope_scaling"] ?? null;
  if (scaling !== null) problems.push(`rope_scaling is ${shown(scaling)}; only null is supported`);
  const given = Object(file["rope_parameters"] ?? {}) as ConfigFile;
  const unknown = Object.keys(given).find((key) => key !== GLOBAL && key !== LOCAL);
  if (unknown !== undefined)
    problems.push(`rope_parameters has ${shown(unknown)}; only ${GLOBAL} and ${LOCAL} are known`);
  const theta = (type: string, old: unknown, fallback: number): number => {
    const { rope_theta, rope_type = "default" } = Object(given[type]) as ConfigFile;
    if (rope_type !== "default") {
      problems.push(`rope_type of ${type} is ${shown(rope_type)}; only "default" is supported`);
    }
    return readNumber({ rope_theta: rope_theta ?? old }, positive("rope_theta", fallback), problems);
  };
  const globalTheta = theta(GLOBAL, file["global_rope_theta"], 160_000);
  // null meant the global one's.
  const local = file["local_rope_theta"] === null ? globalTheta : file["local_rope_theta"];
  return { globalTheta, localTheta: theta(LOCAL, local, 10_000) };
}

function readOthers(file: ConfigFile, sizes: ModernBertConfig, problems: string[]): Partial<ModernBertConfig> {
  const size = sizes.hiddenSize / sizes.numAttentionHeads;
  if (Number.isInteger(size) && size % 2 !== 0) {
    problems.push(`a head of hidden_size / num_attention_heads = ${size} has no two halves for rotary positions`);
  }
  const act = file["classifier_activation"] ?? "gelu";
  const classifierAct = act === "tanh" ? act : activationOf(act);
  if (classifierAct === null) {
    problems.push(`classifier_activation is ${shown(act)}; supported are ${[...hiddenActs, "tanh"].join(", ")}`);
  }
  return {
    ...readPattern(file, sizes.numHiddenLayers, problems),
    ...readThetas(file, problems),
    attentionBias: readFlag(file, "attention_bias", false, problems),
    feedForwardBias: readFlag(file, "mlp_bias", false, problems),
    normBias: readFlag(file, "norm_bias", false, problems),
    classifierBias: readFlag(file, "classifier_bias", false, problems),
    classifierAct: classifierAct ?? "gelu",
    pooling: readWord(file, "classifier_pooling", ["cls", "mean"], problems),
  };
}

/** The old keys too: a transformers that knows no others would take its defaults in their place. */
const writeOthers = (config: ModernBertConfig): ConfigFile => ({
  layer_types: Array.from({ length: config.numHiddenLayers }, (_, i) => (isLocal(config, i) ? LOCAL : GLOBAL)),
  ...(config.globalEvery === undefined ? {} : { global_attn_every_n_layers: config.globalEvery }),
  rope_parameters: {
    [GLOBAL]: { rope_type: "default", rope_theta: config.globalTheta },
    [LOCAL]: { rope_type: "default", rope_theta: config.localTheta },
  },
  global_rope_theta: config.globalTheta,
  local_rope_theta: config.localTheta,
  attention_bias: config.attentionBias,
  mlp_bias: config.feedForwardBias,
  norm_bias: config.normBias,
  classifier_bias: config.classifierBias,
  classifier_activation: config.classifierAct,
  classifier_pooling: config.pooling,
});

const dense = (name: string, out: number, width: number, bias: boolean): Parameter[] => [
  { name: `${name}.weight`, shape: [out, width], begins: "normal" },
  ...(bias ? [{ name: `${name}.bias`, shape: [out], begins: "zero" } satisfies Parameter] : []),
];

const norm = (name: string, width: number, bias: boolean): Parameter[] => [
  { name: `${name}.weight`, shape: [width], begins: "one" },
  ...(bias ? [{ name: `${name}.bias`, shape: [width], begins: "zero" } satisfies Parameter] : []),
];

/** The bottom layer reads what the embeddings' norm leaves, and has none before its attention. */
function layerParameters(config: ModernBertConfig, index: number): Parameter[] {
  const { hiddenSize: hidden, intermediateSize: wide, attentionBias, feedForwardBias, normBias } = config;
  const name = `${LAYERS}${index}.`;
  return [
    ...(index === 0 ? [] : norm(`${name}attn_norm`, hidden, normBias)),
    ...dense(`${name}attn.Wqkv`, 3 * hidden, hidden, attentionBias),
    ...dense(`${name}attn.Wo`, hidden, hidden, attentionBias),
    ...norm(`${name}mlp_norm`, hidden, normBias),
    ...dense(`${name}mlp.Wi`, 2 * wide, hidden, feedForwardBias),
    ...dense(`${name}mlp.Wo`, hidden, wide, feedForwardBias),
  ];
}

function layer<X>(ops: LayerOperations<X>, hidden: X, index: number, config: ModernBertConfig): X {
  const { attentionBias, feedForwardBias, normBias, layerNormEps: epsilon } = config;
  const name = `${LAYERS}${index}.`;
  const entering = index === 0 ? hidden : ops.norm(hidden, `${name}attn_norm`, epsilon, normBias);
  const three = ops.parts(ops.dense(entering, `${name}attn.Wqkv`, attentionBias), 3);
  const [query, key, value] = three as [X, X, X];
  const form = isLocal(config, index)
    ? { rotary: { theta: config.localTheta }, window: Math.floor(config.localAttention / 2) }
    : { rotary: { theta: config.globalTheta } };
  const context = ops.attend({ query: () => ops.asking(query), key: () => key, value: () => value }, form);
  const attended = ops.drop(ops.dense(context, `${name}attn.Wo`, attentionBias), "attention_output");
  const middle = ops.add(ops.asking(hidden), attended);
  const wide = ops.dense(ops.norm(middle, `${name}mlp_norm`, epsilon, normBias), `${name}mlp.Wi`, feedForwardBias);
  const [expanded, gate] = ops.parts(wide, 2) as [X, X];
  const gated = ops.multiply(ops.activate(expanded, config.hiddenAct ?? "gelu"), gate);
  return ops.add(middle, ops.dense(ops.drop(gated, "gated"), `${name}mlp.Wo`, feedForwardBias));
}

/** The norm is every base's; product and norm after it are those of its pre-training, where a base has them. */
function headParameters(config: ModernBertConfig, outputs: number): HeadParameter[] {
  const { hiddenSize: hidden, initializerRange, numHiddenLayers, normBias, classifierBias } = config;
  const normed = (name: string, own: Pick<HeadParameter, "required">): HeadParameter[] => [
    { name: `${name}.weight`, shape: [hidden], site: null, fill: 1, ofBase: true, ...own },
    ...(normBias ? [{ name: `${name}.bias`, shape: [hidden], site: null, ofBase: true, ...own }] : []),
  ];
  const { classifier, pooler } = headSites;
  const deviation = initializerRange / Math.sqrt(2 * numHiddenLayers);
  return [
    ...normed(FINAL_NORM, { required: true }),
    { name: "head.dense.weight", shape: [hidden, hidden], site: pooler, deviation, ofBase: true },
    ...(classifierBias ? [{ name: "head.dense.bias", shape: [hidden], site: null, ofBase: true }] : []),
    ...normed("head.norm", {}),
    { name: "classifier.weight", shape: [outputs, hidden], site: classifier, deviation: hidden ** -0.5, ofBase: false },
    { name: "classifier.bias", shape: [outputs], site: null, ofBase: false },
  ];
}

const finalNorm = <X>(ops: Operations<X>, states: X, { layerNormEps, normBias }: ModernBertConfig): X =>
  ops.norm(states, FINAL_NORM, layerNormEps, normBias);

/** What the last product reads, before its dropout. */
function predicting<X>(ops: Operations<X>, normed: X, config: ModernBertConfig): X {
  const product = ops.activate(ops.dense(normed, "head.dense", config.classifierBias), config.classifierAct);
  return ops.norm(product, "head.norm", config.layerNormEps, config.normBias);
}

function logits<X>(ops: HeadOperations<X>, states: X, config: ModernBertConfig): X {
  const normed = finalNorm(ops, states, config);
  const pooled = ops.pooled(predicting(ops, config.pooling === "mean" ? ops.mean(normed) : normed, config));
  return ops.dense(ops.drop(pooled, "pooled"), "classifier");
}

export const modernbert: Family<ModernBertConfig> = {
  title: "ModernBERT",
  className: "ModernBert",
  config: {
    numbers: {
      vocabSize: count("vocab_size", 50368),
      hiddenSize: count("hidden_size", 768),
      numHiddenLayers: count("num_hidden_layers", 22),
      numAttentionHeads: count("num_attention_heads", 12),
      intermediateSize: count("intermediate_size", 1152),
      maxPositionEmbeddings: count("max_position_embeddings", 8192),
      hiddenDropoutProb: rate("mlp_dropout", 0),
      attentionProbsDropoutProb: rate("attention_dropout", 0),
      embeddingDropoutProb: rate("embedding_dropout", 0),
      classifierDropoutProb: rate("classifier_dropout", 0),
      layerNormEps: positive("norm_eps", 1e-5),
      initializerRange: positive("initializer_range", 0.02),
      padTokenId: tokenId("pad_token_id", 50283),
      localAttention: count("local_attention", 128),
    },
    constants: { typeVocabSize: 0 },
    fixed: {},
    activation: "hidden_activation",
    others: { read: readOthers, write: writeOthers },
  },
  names: {
    prefix: "model.",
    bare: ["embeddings", "layers", "final_norm"],
    head: ["head", "classifier"],
    layers: LAYERS,
    embeddings: [EMBEDDINGS],
    shared: [],
    words,
    afterNorm: [["attn.Wqkv"], ["mlp.Wi"]],
  },
  inputs: { types: false, positions: false, firstPosition: () => 0 },
  dropout: {
    embeddings: ({ embeddingDropoutProb }) => embeddingDropoutProb,
    layer: ({ hiddenSize, intermediateSize, hiddenDropoutProb, attentionProbsDropoutProb: rate }): LayerSite[] => [
      { name: "attention_probabilities", rate, width: "attention" },
      { name: "attention_output", rate, width: hiddenSize },
      { name: "gated", rate: hiddenDropoutProb, width: intermediateSize },
    ],
    head: ({ classifierDropoutProb: rate, hiddenSize: width }) => [{ name: "pooled", rate, width }],
  },
  head: {
    parameters: headParameters,
    positions: ({ pooling }) => (pooling === "mean" ? "all" : "first"),
    output: "classifier",
    logits,
  },
  /** The same, of every token. */
  tokenHead: {
    parameters: headParameters,
    output: "classifier",
    sites: ({ classifierDropoutProb: rate, hiddenSize: width }) => [{ name: TOKEN, rate, width }],
    logits(ops, states, config) {
      const read = predicting(ops, finalNorm(ops, states, config), config);
      return ops.dense(ops.drop(read, TOKEN), "classifier");
    },
  },
  embeddings: ({ vocabSize, hiddenSize, normBias }) => [
    { name: words, shape: [vocabSize, hiddenSize], begins: "normal" },
    ...norm(EMBEDDINGS_NORM, hiddenSize, normBias),
  ],
  layerParameters,
  /** One product makes queries of all positions too, also where the first attends alone. */
  products: ({ hiddenSize: h, intermediateSize: f }, index) => ({
    every: 3 * h * h,
    asking: h * h + 3 * h * f,
    entering: { every: index === 0 ? 3 * h * h : 0, asking: 0 }, // a norm stands before, but in the bottom layer
    attention: h,
  }),
  embed: (ops, { layerNormEps, normBias }) =>
    ops.drop(ops.norm(ops.lookUp({ words }), EMBEDDINGS_NORM, layerNormEps, normBias), "embeddings"),
  layer,
};
