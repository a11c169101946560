// The parameter tree of BERT: typed views over tensors that carry Hugging Face's names, layout and orientation
// (weights are [out, in]). Freezing is data: a branch is the part of the tree above its fork.

import type { Tensor, Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import type { BertConfig } from "./config";
import { pooledParameters } from "./head-parameters";
import { ownLayers, type Place } from "./place";

export interface DenseParams {
  /** [out, in] */
  readonly weight: Tensor2D;
  /** [out] */
  readonly bias: Tensor1D;
}

export interface LayerNormParams {
  /** [hidden] */
  readonly weight: Tensor1D;
  readonly bias: Tensor1D;
}

export interface EmbeddingParams {
  /** [vocabulary, hidden] */
  readonly word: Tensor2D;
  /** [positions, hidden] */
  readonly position: Tensor2D;
  /** [types, hidden] */
  readonly tokenType: Tensor2D;
  readonly norm: LayerNormParams;
}

export interface LayerParams {
  readonly query: DenseParams;
  readonly key: DenseParams;
  readonly value: DenseParams;
  readonly attentionOutput: DenseParams;
  readonly attentionNorm: LayerNormParams;
  readonly intermediate: DenseParams;
  readonly output: DenseParams;
  readonly outputNorm: LayerNormParams;
}

const embeddingPrefix = "bert.embeddings.";
const layerPrefix = (index: number) => `bert.encoder.layer.${index}.`;

type Named = Readonly<Record<string, Tensor>>;

function dense(tensors: Named, name: string): DenseParams {
  return { weight: leaf(tensors, `${name}.weight`) as Tensor2D, bias: leaf(tensors, `${name}.bias`) as Tensor1D };
}

function layerNorm(tensors: Named, name: string): LayerNormParams {
  return { weight: leaf(tensors, `${name}.weight`) as Tensor1D, bias: leaf(tensors, `${name}.bias`) as Tensor1D };
}

function leaf(tensors: Named, name: string): Tensor {
  const tensor = tensors[name];
  if (!tensor) throw new Error(`no parameter ${name} among ${Object.keys(tensors).length} given`);
  return tensor;
}

export function embeddingParameters(tensors: Named): EmbeddingParams {
  return {
    word: leaf(tensors, `${embeddingPrefix}word_embeddings.weight`) as Tensor2D,
    position: leaf(tensors, `${embeddingPrefix}position_embeddings.weight`) as Tensor2D,
    tokenType: leaf(tensors, `${embeddingPrefix}token_type_embeddings.weight`) as Tensor2D,
    norm: layerNorm(tensors, `${embeddingPrefix}LayerNorm`),
  };
}

/** The parameters of encoder layer `index`, counted from 0 at the bottom of the base. */
export function layerParameters(tensors: Named, index: number): LayerParams {
  const prefix = layerPrefix(index);
  return {
    query: dense(tensors, `${prefix}attention.self.query`),
    key: dense(tensors, `${prefix}attention.self.key`),
    value: dense(tensors, `${prefix}attention.self.value`),
    attentionOutput: dense(tensors, `${prefix}attention.output.dense`),
    attentionNorm: layerNorm(tensors, `${prefix}attention.output.LayerNorm`),
    intermediate: dense(tensors, `${prefix}intermediate.dense`),
    output: dense(tensors, `${prefix}output.dense`),
    outputNorm: layerNorm(tensors, `${prefix}output.LayerNorm`),
  };
}

export const poolerParameters = (tensors: Named) => dense(tensors, "bert.pooler.dense");
export const classifierParameters = (tensors: Named) => dense(tensors, "classifier");

const pooledNames = pooledParameters(0, 0).map(({ name }) => name);

function select<T>(tensors: Readonly<Record<string, T>>, keep: (name: string) => boolean): Record<string, T> {
  return Object.fromEntries(Object.entries(tensors).filter(([name]) => keep(name)));
}

export function embeddingTensors<T>(tensors: Readonly<Record<string, T>>): Record<string, T> {
  return select(tensors, (name) => name.startsWith(embeddingPrefix));
}

/** The tensors of encoder layers `from` to `to` - 1, under their own names. */
export function layerTensors<T>(tensors: Readonly<Record<string, T>>, from: number, to: number): Record<string, T> {
  const prefixes = Array.from({ length: Math.max(0, to - from) }, (_, i) => layerPrefix(from + i));
  return select(tensors, (name) => prefixes.some((prefix) => name.startsWith(prefix)));
}

/** The encoder layer that a tensor belongs to. */
export const layerOf = (name: string): number => Number(/^bert\.encoder\.layer\.(\d+)\./.exec(name)?.[1]);

/** The name of the same tensor in another encoder layer. */
export const inLayer = (name: string, index: number): string =>
  name.replace(layerPrefix(layerOf(name)), () => layerPrefix(index));

/**
 * The tensors that a branch trains and stores: its layers and head; its embeddings when full.
 * @param head names of the head's tensors; without them, the pooler and the classifier
 */
export function branchTensors<T>(
  tensors: Readonly<Record<string, T>>,
  place: Place,
  head: readonly string[] = pooledNames,
): Record<string, T> {
  return {
    ...(place.fork === null ? embeddingTensors(tensors) : {}),
    ...layerTensors(tensors, ...ownLayers(place)),
    ...select(tensors, (name) => head.includes(name)),
  };
}

/** Prefix of a task's own tensors where several branches lie beside shared ones, which keep their names. */
export const scope = (task: string) => `task/${task}/`;

/** A task's own tensors under prefixed names. */
export const scoped = <T>(task: string, tensors: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [scope(task) + name, tensor]));

/** A task's own tensors among those of all, under their own names. */
export function unscoped<T>(task: string, tensors: Readonly<Record<string, T>>): Record<string, T> {
  const prefix = scope(task);
  const own = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** Weights of one encoder layer: 4 h^2 + 2 h f for the products, the rest biases and layer norms. */
export function layerParameterCount({ hiddenSize: h, intermediateSize: f }: BertConfig): number {
  return 4 * (h * h + h) + (h * f + f) + (f * h + h) + 4 * h;
}

export function embeddingParameterCount({ hiddenSize: h, ...config }: BertConfig): number {
  return (config.vocabSize + config.maxPositionEmbeddings + config.typeVocabSize + 2) * h;
}
