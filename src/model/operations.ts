// The operations that a family's description is written in (families/family.ts), as far as rows and packed tokens have them
// in common: over the last axis, whatever stands before it.

import type { Tensor, Tensor2D } from "@tensorflow/tfjs-core";
import * as tf from "@tensorflow/tfjs-core";
import { activate } from "./activations";
import type { Dropout } from "./dropout";
import type { EmbeddingOperations, HeadOperations, Operations } from "./families/family";
import { LORA_SCALING, loraNames } from "./families/small-names";
import { dense, layerNorm } from "./ops";
import { denseParameters, normParameters, parameter, type Tensors } from "./parameters";

/**
 * @param dropout at sites by whole name; absent: none
 * @param site the whole name of a family's own
 */
export const operationsOn = (
  tensors: Tensors,
  dropout: Dropout | undefined,
  site: (name: string) => string,
): Operations<Tensor> => ({
  dense(x, name, offset = true) {
    const product = dense(x, denseParameters(tensors, name, offset));
    const [a, b] = loraNames(name);
    return a in tensors ? tf.add(product, lowRank(x, tensors, [a, b])) : product;
  },
  norm: (x, name, epsilon, offset = true) => layerNorm(x, normParameters(tensors, name, offset), epsilon),
  scale: (x, name) => tf.add(tf.mul(x, parameter(tensors, `${name}.weight`)), parameter(tensors, `${name}.bias`)),
  add: (a, b) => tf.add(a, b),
  multiply: (a, b) => tf.mul(a, b),
  parts(x, count) {
    const whole = x.shape.map(() => -1);
    const width = (x.shape.at(-1) as number) / count;
    return Array.from({ length: count }, (_, i) =>
      tf.slice(x, [...whole.slice(1).map(() => 0), i * width], [...whole.slice(1), width]),
    );
  },
  activate(x, activation) {
    if (activation === "tanh") return tf.tanh(x);
    return activate(x, activation === "gelu" ? undefined : activation);
  },
  drop: (x, name) => (dropout ? dropout(site(name), x) : x),
  holds: (name) => name in tensors,
});

/** scaling x B (A x), what LoRA adds to a product (adapters/lora.ts). */
function lowRank(x: Tensor, tensors: Tensors, [a, b]: ReturnType<typeof loraNames>): Tensor {
  const product = (x: Tensor, name: string) => dense(x, { weight: parameter(tensors, name) as Tensor2D, bias: null });
  return tf.mul(product(product(x, a), b), parameter(tensors, LORA_SCALING));
}

/** What padded rows and packed tokens take of tables, each in its own way. */
interface Taking extends Pick<EmbeddingOperations<Tensor>, "trigrams" | "positions" | "types"> {
  /** Of every token its row. */
  words(table: string): Tensor;
}

export const embeddingOperations = (
  tensors: Tensors,
  dropout: Dropout | undefined,
  { words, trigrams, positions, types }: Taking,
): EmbeddingOperations<Tensor> => ({
  ...operationsOn(tensors, dropout, (name) => name),
  lookUp(tables) {
    const taken = words(tables.words);
    const places = tables.positions === undefined ? undefined : positions(tables.positions);
    const sum = tables.types === undefined ? taken : tf.add(taken, types(tables.types));
    return places ? tf.add(sum, places) : sum;
  },
  trigrams,
  positions,
  types,
});

/**
 * @param onPooled takes note of what the last product reads
 * @param mask [batch, length], 1 for tokens and 0 for padding: for a head that reads all positions
 */
export const headOperations = (
  tensors: Tensors,
  dropout: Dropout | undefined,
  onPooled: ((pooled: Tensor) => void) | undefined,
  mask: Tensor | undefined,
): HeadOperations<Tensor> => ({
  ...operationsOn(tensors, dropout, (name) => name),
  mean(x) {
    if (!mask) throw new Error("a head that reads all positions was run without a mask");
    const weights = tf.expandDims(tf.cast(mask, "float32"), 2); // [batch, length, 1]
    return tf.div(tf.sum(tf.mul(x, weights), 1), tf.sum(weights, 1));
  },
  pooled(x) {
    onPooled?.(x);
    return x;
  },
});
