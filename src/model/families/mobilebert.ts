// MobileBERT (Sun et al. 2020): narrow words, of which each position reads three; layers that compute in a bottleneck, with
// several feed-forward parts one after another, and a scale and an offset in the place of layer norms.

import type { EncoderConfig } from "../config";
import { outputParameters, poolerParameters } from "../head-parameters";
import type { Family, LayerOperations, LayerProducts, LayerSite, Operations, Parameter } from "./family";
import { bertKeys, type ConfigFile, count, rate, readFlag, readWord } from "./keys";
import { bertDropout, denseParameters, normParameters, tokenProduct } from "./post-norm";

export interface MobileBertConfig extends EncoderConfig {
  /** Of words. Positions and token types have the hidden size. */
  readonly embeddingSize: number;
  /** Between bottlenecks. */
  readonly bottleneckSize: number;
  /** One after another in a layer, the last one, which BERT has, included. */
  readonly numFeedForwards: number;
  /** Whether a position reads the words before and behind it too. */
  readonly trigramInput: boolean;
  readonly useBottleneck: boolean;
  /** Whether values, as queries and keys, are made of what the layer's own bottleneck leaves. */
  readonly bottleneckAttention: boolean;
  /** Whether queries and keys are made of what a second bottleneck leaves. */
  readonly sharedBottleneck: boolean;
  readonly norms: "no_norm" | "layer_norm";
  /** Whether there is a tanh pooler under the classifier. */
  readonly hasPooler: boolean;
}

const EMBEDDINGS = "mobilebert.embeddings.";
const LAYERS = "mobilebert.encoder.layer.";
const words = `${EMBEDDINGS}word_embeddings.weight`;
const positions = `${EMBEDDINGS}position_embeddings.weight`;
const types = `${EMBEDDINGS}token_type_embeddings.weight`;
const PROJECTION = `${EMBEDDINGS}embedding_transformation`;
const NORM = `${EMBEDDINGS}LayerNorm`;
const POOLER = "mobilebert.pooler.dense";

/** transformers' code leaves PyTorch's own at the embeddings' and the last feed-forward part's layer norm, whatever a config says. */
const OWN_EPSILON = 1e-5;

const keys = bertKeys({ vocab: 30522, positions: 512, epsilon: 1e-12, pad: 0 });

/** Width in which a layer computes. */
const innerSize = ({ useBottleneck, bottleneckSize, hiddenSize }: MobileBertConfig) =>
  useBottleneck ? bottleneckSize : hiddenSize;

/** What queries and keys are made of, and as what: [hidden] itself where no bottleneck is theirs. */
const enters = (config: MobileBertConfig): "hidden" | "input" | "attention" => {
  if (!config.useBottleneck) return "hidden";
  if (config.bottleneckAttention) return "input";
  return config.sharedBottleneck ? "attention" : "hidden";
};

function readOthers(file: ConfigFile, sizes: MobileBertConfig, problems: string[]): Partial<MobileBertConfig> {
  const flag = (name: string, fallback: boolean) => readFlag(file, name, fallback, problems);
  const own = {
    trigramInput: flag("trigram_input", true),
    useBottleneck: flag("use_bottleneck", true),
    bottleneckAttention: flag("use_bottleneck_attention", false),
    sharedBottleneck: flag("key_query_shared_bottleneck", true),
    norms: readWord(file, "normalization_type", ["no_norm", "layer_norm"], problems),
    hasPooler: flag("classifier_activation", true),
  };
  const config = { ...sizes, ...own };
  const inner = innerSize(config);
  if (inner % config.numAttentionHeads !== 0) {
    problems.push(`intra_bottleneck_size ${inner} is not divisible by num_attention_heads ${config.numAttentionHeads}`);
  }
  // What transformers' class holds and nothing reads has no gradient, and a file of ours would lack it.
  if (own.useBottleneck && own.bottleneckAttention && own.sharedBottleneck) {
    problems.push(
      "use_bottleneck_attention and key_query_shared_bottleneck are both true: nothing reads the shared bottleneck then. Only one of them is supported",
    );
  }
  if (config.useBottleneck && enters(config) === "hidden" && inner !== config.hiddenSize) {
    problems.push(
      `use_bottleneck_attention and key_query_shared_bottleneck are both false: queries and keys of the hidden size ${config.hiddenSize} do not fit intra_bottleneck_size ${inner}`,
    );
  }
  if (!own.trigramInput && config.embeddingSize === config.hiddenSize) {
    problems.push(
      "trigram_input is false and embedding_size is hidden_size: nothing reads embedding_transformation then",
    );
  }
  return own;
}

const others = {
  read: readOthers,
  write: (config: MobileBertConfig): ConfigFile => ({
    trigram_input: config.trigramInput,
    use_bottleneck: config.useBottleneck,
    use_bottleneck_attention: config.bottleneckAttention,
    key_query_shared_bottleneck: config.sharedBottleneck,
    normalization_type: config.norms,
    classifier_activation: config.hasPooler,
  }),
};

const bottleneckParameters = (name: string, out: number, width: number): Parameter[] => [
  ...denseParameters(`${name}.dense`, out, width),
  ...normParameters(`${name}.LayerNorm`, out),
];

function layerParameters(config: MobileBertConfig, index: number): Parameter[] {
  const { hiddenSize: hidden, intermediateSize: wide, numFeedForwards } = config;
  const [name, inner] = [`${LAYERS}${index}.`, innerSize(config)];
  const value = config.useBottleneck && config.bottleneckAttention ? inner : hidden;
  const bottlenecks = config.useBottleneck ? (config.sharedBottleneck ? ["input", "attention"] : ["input"]) : [];
  return [
    ...denseParameters(`${name}attention.self.query`, inner, inner),
    ...denseParameters(`${name}attention.self.key`, inner, inner),
    ...denseParameters(`${name}attention.self.value`, inner, value),
    ...bottleneckParameters(`${name}attention.output`, inner, inner),
    ...denseParameters(`${name}intermediate.dense`, wide, inner),
    ...bottleneckParameters(`${name}output`, inner, wide),
    ...(config.useBottleneck ? bottleneckParameters(`${name}output.bottleneck`, hidden, inner) : []),
    ...bottlenecks.flatMap((which) => bottleneckParameters(`${name}bottleneck.${which}`, inner, hidden)),
    ...Array.from({ length: numFeedForwards - 1 }, (_, i) => [
      ...denseParameters(`${name}ffn.${i}.intermediate.dense`, wide, inner),
      ...bottleneckParameters(`${name}ffn.${i}.output`, inner, wide),
    ]).flat(),
  ];
}

function products(config: MobileBertConfig): LayerProducts {
  const { hiddenSize: h, intermediateSize: f, numFeedForwards: parts } = config;
  const t = innerSize(config);
  const rest = t * t + 2 * parts * t * f; // attention's output and the feed-forward parts
  if (!config.useBottleneck) {
    return { every: 2 * h * h, asking: h * h + rest, entering: { every: 2 * h * h, asking: h * h }, attention: t };
  }
  const leaving = rest + t * t + t * h; // and the query, and the bottleneck behind them
  if (enters(config) === "input") {
    return { every: h * t + 2 * t * t, asking: leaving, entering: { every: h * t, asking: 0 }, attention: t };
  }
  const own = { every: 2 * h * t, asking: h * t }; // of the shared bottleneck, or keys, and values; the layer's own
  if (enters(config) === "hidden") {
    return { every: own.every, asking: own.asking + leaving, entering: { ...own, asking: 2 * h * t }, attention: t };
  }
  return { every: own.every + t * t, asking: own.asking + leaving, entering: own, attention: t };
}

function normalise<X>(ops: Operations<X>, x: X, name: string, config: MobileBertConfig, epsilon: number): X {
  return config.norms === "no_norm" ? ops.scale(x, name) : ops.norm(x, name, epsilon);
}

function layer<X>(ops: LayerOperations<X>, hidden: X, index: number, config: MobileBertConfig): X {
  const prefix = `${LAYERS}${index}.`;
  const dense = (x: X, name: string) => ops.dense(x, prefix + name);
  const norm = (x: X, name: string, epsilon = config.layerNormEps) =>
    normalise(ops, x, `${prefix}${name}.LayerNorm`, config, epsilon);
  const narrow = (x: X, which: string) => norm(dense(x, `bottleneck.${which}.dense`), `bottleneck.${which}`);
  const forward = (x: X, part: string) => {
    const expanded = ops.activate(dense(x, `${part}intermediate.dense`), config.hiddenAct ?? "gelu");
    return dense(expanded, `${part}output.dense`);
  };
  const from = enters(config);
  const asking = ops.asking(hidden);
  const entering = from === "hidden" ? hidden : narrow(hidden, from);
  const own = from === "input" ? ops.asking(entering) : config.useBottleneck ? narrow(asking, "input") : asking;
  const context = ops.attend({
    query: () => dense(from === "hidden" ? asking : ops.asking(entering), "attention.self.query"),
    key: () => dense(entering, "attention.self.key"),
    value: () => dense(from === "input" ? entering : hidden, "attention.self.value"),
  });
  const attended = dense(context, "attention.output.dense");
  const dropped = config.useBottleneck ? attended : ops.drop(attended, "attention_output");
  let middle = norm(ops.add(dropped, own), "attention.output");
  for (let part = 0; part < config.numFeedForwards - 1; part++) {
    middle = norm(ops.add(forward(middle, `ffn.${part}.`), middle), `ffn.${part}.output`);
  }
  const output = forward(middle, "");
  if (!config.useBottleneck) return norm(ops.add(ops.drop(output, "output"), middle), "output", OWN_EPSILON);
  const inner = norm(ops.add(output, middle), "output", OWN_EPSILON);
  const widened = ops.drop(dense(inner, "output.bottleneck.dense"), "output");
  return norm(ops.add(widened, asking), "output.bottleneck");
}

export const mobilebert: Family<MobileBertConfig> = {
  title: "MobileBERT",
  className: "MobileBert",
  config: {
    numbers: {
      ...keys,
      hiddenSize: count("hidden_size", 512),
      numHiddenLayers: count("num_hidden_layers", 24),
      numAttentionHeads: count("num_attention_heads", 4),
      intermediateSize: count("intermediate_size", 512),
      hiddenDropoutProb: rate("hidden_dropout_prob", 0),
      embeddingSize: count("embedding_size", 128),
      bottleneckSize: count("intra_bottleneck_size", 128),
      numFeedForwards: count("num_feedforward_networks", 4),
    },
    fixed: {},
    activation: "hidden_act",
    activationFallback: "relu",
    others,
  },
  names: {
    prefix: "mobilebert.",
    bare: ["embeddings", "encoder", "pooler"],
    head: ["classifier"],
    layers: LAYERS,
    embeddings: [EMBEDDINGS],
    shared: [],
    words,
    // With either norm: what moves outliers asks for nothing of it. More feed-forward parts than these have no checkpoint.
    afterNorm: [
      ["attention.self.query", "attention.self.key"],
      ["intermediate.dense"],
      ...Array.from({ length: 7 }, (_, i) => [`ffn.${i}.intermediate.dense`]),
    ],
  },
  inputs: {
    types: true,
    positions: true,
    neighbours: ({ trigramInput }) => trigramInput,
    firstPosition: () => 0,
  },
  dropout: {
    ...bertDropout(({ hiddenDropoutProb: rate, hiddenSize: width }) => [{ name: "pooled", rate, width }]),
    layer: ({ useBottleneck, attentionProbsDropoutProb, hiddenDropoutProb: rate, hiddenSize: width }) => [
      { name: "attention_probabilities", rate: attentionProbsDropoutProb, width: "attention" } satisfies LayerSite,
      ...(useBottleneck ? [] : [{ name: "attention_output", rate, width }]),
      { name: "output", rate, width },
    ],
  },
  head: {
    parameters: ({ hasPooler, hiddenSize: hidden }, outputs) => [
      ...(hasPooler ? poolerParameters(POOLER, hidden, true) : []),
      ...outputParameters("classifier", hidden, outputs),
    ],
    output: "classifier",
    logits(ops, first, { hasPooler }) {
      const pooled = hasPooler ? ops.activate(ops.dense(first, POOLER), "tanh") : first;
      return ops.dense(ops.drop(ops.pooled(pooled), "pooled"), "classifier");
    },
  },
  tokenHead: tokenProduct,
  embeddings: ({ hiddenSize: hidden, embeddingSize: width, trigramInput, ...config }) => [
    { name: words, shape: [config.vocabSize, width], begins: "normal" },
    { name: positions, shape: [config.maxPositionEmbeddings, hidden], begins: "normal" },
    { name: types, shape: [config.typeVocabSize, hidden], begins: "normal" },
    ...denseParameters(PROJECTION, hidden, trigramInput ? 3 * width : width),
    ...normParameters(NORM, hidden),
  ],
  layerParameters,
  products,
  embeddingProducts: ({ trigramInput, embeddingSize, hiddenSize }) =>
    (trigramInput ? 3 : 1) * embeddingSize * hiddenSize,
  embed(ops, config) {
    const taken = config.trigramInput ? ops.trigrams(words) : ops.lookUp({ words });
    const embedded = ops.add(ops.add(ops.dense(taken, PROJECTION), ops.positions(positions)), ops.types(types));
    return ops.drop(normalise(ops, embedded, NORM, config, OWN_EPSILON), "embeddings");
  },
  layer,
};
