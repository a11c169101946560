// The parameter tree of an encoder: typed views over tensors that carry Hugging Face's names, layout and orientation
// (weights are [out, in]). Freezing is data: a branch is the part of the tree above its fork.

import type { Tensor, Tensor1D, Tensor2D } from "@tensorflow/tfjs-core";
import type { EncoderConfig } from "./config";
import { familyOf, isEmbedding, isShared, layerOf } from "./families/families";
import type { Parameter } from "./families/family";
import { ownLayers, type Place } from "./place";
import type { Stretch } from "./stretches";
import { sizeOf } from "./tensors";

export interface DenseParams {
  /** [out, in] */
  readonly weight: Tensor2D;
  /** [out]; null: there is none */
  readonly bias: Tensor1D | null;
}

export interface LayerNormParams {
  /** [hidden] */
  readonly weight: Tensor1D;
  /** null: there is none */
  readonly bias: Tensor1D | null;
}

/** Device tensors by name, read alone. */
export type Tensors = Readonly<Record<string, Tensor>>;

export const denseParameters = (tensors: Tensors, name: string, offset = true): DenseParams => ({
  weight: parameter(tensors, `${name}.weight`) as Tensor2D,
  bias: offset ? (parameter(tensors, `${name}.bias`) as Tensor1D) : null,
});

export const normParameters = (tensors: Tensors, name: string, offset = true): LayerNormParams => ({
  weight: parameter(tensors, `${name}.weight`) as Tensor1D,
  bias: offset ? (parameter(tensors, `${name}.bias`) as Tensor1D) : null,
});

export function parameter(tensors: Tensors, name: string): Tensor {
  const tensor = tensors[name];
  if (!tensor) throw new Error(`no parameter ${name} among ${Object.keys(tensors).length} given`);
  return tensor;
}

function select<T>(tensors: Readonly<Record<string, T>>, keep: (name: string) => boolean): Record<string, T> {
  return Object.fromEntries(Object.entries(tensors).filter(([name]) => keep(name)));
}

/** The embeddings, and what else lies under all layers. */
export const embeddingTensors = <T>(tensors: Readonly<Record<string, T>>): Record<string, T> =>
  select(tensors, isEmbedding);

/** Whether a tensor is of no layer and does not lie under them. */
export const isOfHead = (name: string): boolean => !isEmbedding(name) && Number.isNaN(layerOf(name));

/** A branch with what its layers read of the trunk's, which a full one has of its own. */
export const withShared = <T>(trunk: Readonly<Record<string, T>>, branch: Readonly<Record<string, T>>) => ({
  ...sharedTensors(trunk),
  ...branch,
});

/** Of those, what layers read too: a program of layers alone is given them beside its own. */
export const sharedTensors = <T>(tensors: Readonly<Record<string, T>>): Record<string, T> => select(tensors, isShared);

/** The tensors of encoder layers `from` to `to` - 1, under their own names. */
export const layerTensors = <T>(tensors: Readonly<Record<string, T>>, from: number, to: number): Record<string, T> =>
  select(tensors, (name) => layerOf(name) >= from && layerOf(name) < to);

/** What a program of those layers reads: their tensors, and the embeddings, or what layers read of them. */
export const stretchTensors = <T>(
  tensors: Readonly<Record<string, T>>,
  { from, to, bottom }: Stretch,
): Record<string, T> => ({
  ...(bottom ? embeddingTensors(tensors) : sharedTensors(tensors)),
  ...layerTensors(tensors, from, to),
});

/**
 * The tensors that a branch trains and stores: its layers and head; its embeddings when full.
 * @param head names of the head's tensors; without them, whatever is of no layer and does not lie under them
 */
export function branchTensors<T>(
  tensors: Readonly<Record<string, T>>,
  place: Place,
  head?: readonly string[],
): Record<string, T> {
  return {
    ...(place.fork === null ? embeddingTensors(tensors) : {}),
    ...layerTensors(tensors, ...ownLayers(place)),
    ...select(tensors, head ? (name) => head.includes(name) : isOfHead),
  };
}

/** What the upper part of a branch reads: its layers and head, and what layers share. @param place of that part */
export const restTensors = <T>(tensors: Readonly<Record<string, T>>, place: Place): Record<string, T> => ({
  ...sharedTensors(tensors),
  ...branchTensors(tensors, place),
});

/** Prefix of a task's own tensors where several branches lie beside shared ones, which keep their names. */
export const scope = (task: string) => `task/${task}/`;

/** The own name of a task's tensor, and of one of all. */
export const withoutScope = (name: string): string => name.replace(/^task\/[^/]+\//, "");

/** A task's own tensors under prefixed names. */
export const scoped = <T>(task: string, tensors: Readonly<Record<string, T>>): Record<string, T> =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [scope(task) + name, tensor]));

/** What a task's branch reads among the tensors of all, under their own names: its own, and what the trunk's layers share. */
export function unscoped<T>(task: string, tensors: Readonly<Record<string, T>>): Record<string, T> {
  const prefix = scope(task);
  const own = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  return {
    ...sharedTensors(tensors),
    ...Object.fromEntries(own.map(([name, tensor]) => [name.slice(prefix.length), tensor])),
  };
}

/** Every parameter of a base: embeddings, layers from the bottom, and what of its head comes with it. */
export function baseParameters(config: EncoderConfig): Parameter[] {
  const family = familyOf(config);
  const layers = Array.from({ length: config.numHiddenLayers }, (_, index) => family.layerParameters(config, index));
  const head = family.head.parameters(config, 1).filter(({ ofBase }) => ofBase);
  return [
    ...family.embeddings(config),
    ...layers.flat(),
    ...head.map(({ name, shape, site, fill }): Parameter => {
      return { name, shape, begins: site !== null ? "normal" : fill === 1 ? "one" : "zero" };
    }),
  ];
}

const counted = (parameters: readonly Parameter[]): number =>
  parameters.reduce((sum, { shape }) => sum + sizeOf(shape), 0);

/** Of BERT 4 h^2 + 2 h f for the products, the rest biases and layer norms. */
export const layerParameterCount = (config: EncoderConfig): number =>
  counted(familyOf(config).layerParameters(config, 1));

export const embeddingParameterCount = (config: EncoderConfig): number => counted(familyOf(config).embeddings(config));
