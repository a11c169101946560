// A piece of the merged model (model/segment.ts) as an ONNX graph whose weights are external data: the blobs beside it. Lowered
// once, where the piece is stored; who opens it traces nothing and needs no tfjs. For onnxruntime alone: products carry
// transposes and factors as com.microsoft's operators have them, and no other pass is left for its optimiser but its own.

import type { StoredTensor } from "../../checkpoints/formats/safetensors-header";
import { inputPrefix, outputPrefix, statePrefix, traceEntry, unprefixed, type ValueTypes } from "../../compile/entry";
import type { Graph, Shape } from "../../compile/graph/graph";
import type { SymbolicSize } from "../../compile/graph/symbols";
import type { Constant } from "../../compile/onnx/constants";
import { toOnnxModel } from "../../compile/onnx/onnx";
import { modelChunks } from "../../compile/onnx/proto";
import { fromPlaces } from "../../compile/onnx/stored";
import { optimise } from "../../compile/passes/passes";
import type { EncoderConfig } from "../../model/config";
import type { EntryPoint } from "../../model/entry-point";
import type { HeadForward } from "../../model/heads";
import { packedAxes } from "../../model/packed";
import { restTensors } from "../../model/parameters";
import type { Place } from "../../model/place";
import { branchCall, branchEntry, rampCall, rampEntry, stretchCall, stretchEntry } from "../../model/segment";
import type { Stretch } from "../../model/stretches";

/** A weight by where it lies: a file in the graph's own folder. */
export interface WeightPlace extends StoredTensor {
  readonly file: string;
}

/** By the names that the piece has for its tensors. */
export type Weights = ReadonlyMap<string, WeightPlace>;

/** The bytes of a stretch's graph. Equal stretches over equal blobs give equal bytes. */
export const stretchGraph = (config: EncoderConfig, stretch: Stretch, weights: Weights): readonly Uint8Array[] =>
  lowerPlaced(weights, (types) => traceStretch(config, stretch, types));

export const branchGraph = (
  config: EncoderConfig,
  place: Place,
  head: HeadForward,
  weights: Weights,
): readonly Uint8Array[] => lowerPlaced(weights, (types) => traceBranch(config, place, head, types));

/** The rest of a branch above a stop, up to `top`. @param weights of the whole branch */
export function restGraph(
  config: EncoderConfig,
  from: number,
  top: number,
  head: HeadForward,
  weights: Readonly<Record<string, WeightPlace>>,
): readonly Uint8Array[] {
  const place = { fork: from, layers: top - from };
  return branchGraph(config, place, head, new Map(Object.entries(restTensors(weights, place))));
}

/** @param weights of the ramp alone */
export const rampGraph = (
  config: EncoderConfig,
  layer: number,
  head: HeadForward,
  weights: Weights,
): readonly Uint8Array[] => lowerPlaced(weights, (types) => traceRamp(config, layer, head, types));

function lowerPlaced(weights: Weights, trace: (types: ValueTypes) => TracedPiece): readonly Uint8Array[] {
  const parts = [...weights].map(([name, { shape, file, position, bytes }]) => {
    const data = { location: file, offset: position, length: bytes };
    return [name, { shape, data }] as const;
  });
  const constants = fromPlaces(new Map(parts));
  return lowerPiece(trace(typesOf(constants)), constants);
}

/** A piece's graph before it is lowered. Its inputs are its weights and what a call gives, all under their own names. */
export interface TracedPiece {
  readonly graph: Graph;
  readonly symbols: readonly SymbolicSize[];
}

/** @param types of the weights */
export const traceStretch = (config: EncoderConfig, stretch: Stretch, types: ValueTypes): TracedPiece =>
  tracePiece(stretchEntry(config, stretch), stretchCall(config, stretch), types);

export const traceBranch = (config: EncoderConfig, place: Place, head: HeadForward, types: ValueTypes): TracedPiece =>
  tracePiece(branchEntry(config, place, head), branchCall(config, place, head), types);

export const traceRamp = (config: EncoderConfig, layer: number, head: HeadForward, types: ValueTypes): TracedPiece =>
  tracePiece(rampEntry(layer, head), rampCall(config), types);

function tracePiece(entry: EntryPoint, call: ValueTypes, types: ValueTypes): TracedPiece {
  const { graph, symbols } = traceEntry(entry, types, call, packedAxes);
  const { nodes, inputs, outputs } = optimise(graph);
  const state = unprefixed(inputs, statePrefix);
  const named = {
    inputs: new Map(Object.entries({ ...state, ...unprefixed(inputs, inputPrefix) })),
    outputs: new Map(Object.entries(unprefixed(outputs, outputPrefix))),
  };
  return { graph: { nodes, ...named }, symbols };
}

export const lowerPiece = (
  { graph, symbols }: TracedPiece,
  constants: Readonly<Record<string, Constant>>,
): readonly Uint8Array[] => modelChunks(toOnnxModel(graph, { constants, symbols }));

export const typesOf = (weights: Readonly<Record<string, { readonly shape: Shape }>>): ValueTypes =>
  Object.fromEntries(Object.entries(weights).map(([name, { shape }]) => [name, { shape, dtype: "float32" as const }]));
