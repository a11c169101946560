// Pieces lowered here, from weights at hand in whatever form: for what is measured before it is stored, and for processors
// that need other int8 weights than those that are stored.

import type { Constant } from "../../compile/onnx/constants";
import { forSaturating, type HeldInt8 } from "../../compile/onnx/packed";
import type { Engine, GraphProgram } from "../../engines/engine";
import {
  lowerPiece,
  type TracedPiece,
  traceBranch,
  traceRamp,
  traceStretch,
  typesOf,
} from "../../export/pieces/piece-graph";
import type { EncoderConfig } from "../../model/config";
import { restTensors, scope, stretchTensors, unscoped } from "../../model/parameters";
import { ownLayers, type Place } from "../../model/place";
import { isRampOf, withoutRamps } from "../../model/ramp-names";
import type { Stretch } from "../../model/stretches";
import type { Kind } from "../../tasks/kinds/kind";
import type { SegmentedTask } from "./pieces";

/** Weights by name: embeddings and trunk layers under their own names, branches scoped by task. */
export interface PieceModel<Weight> {
  readonly config: EncoderConfig;
  readonly tasks: readonly (SegmentedTask & { readonly kind: Kind })[];
  readonly tensors: Readonly<Record<string, Weight>>;
}

/** What is made of each piece. */
export interface Made<Piece> {
  stretch(stretch: Stretch): Promise<Piece>;
  branch(task: string): Promise<Piece>;
  readonly exits: {
    stretch(stretch: Stretch): Promise<Piece>;
    part(task: string, stretch: Stretch): Promise<Piece>;
    rest(task: string, from: number): Promise<Piece>;
    ramp(task: string, layer: number): Promise<Piece>;
  };
}

/** @param open lowers a piece, and opens it. `prefix` is what stands before its weights' names in the model's */
export function piecesBy<Weight extends { readonly shape: readonly number[] }, Piece = GraphProgram>(
  { config, tasks, tensors }: PieceModel<Weight>,
  open: (piece: TracedPiece, weights: Readonly<Record<string, Weight>>, prefix: string) => Promise<Piece>,
): Made<Piece> {
  const taskOf = (name: string) => tasks.find((known) => known.name === name) as (typeof tasks)[number];
  const headOf = (name: string) => taskOf(name).kind.head(config);
  const over = (stretch: Stretch, all: Readonly<Record<string, Weight>>, prefix: string) => {
    const own = stretchTensors(all, stretch);
    return open(traceStretch(config, stretch, typesOf(own)), own, prefix);
  };
  const branchAt = async (name: string, place: Place) => {
    const own = restTensors(withoutRamps(unscoped(name, tensors)), place);
    return open(traceBranch(config, place, await headOf(name), typesOf(own)), own, scope(name));
  };
  const stretch = (of: Stretch) => over(of, tensors, "");
  return {
    stretch,
    branch: (name) => branchAt(name, taskOf(name)),
    exits: {
      stretch,
      part: (name, of) => over(of, unscoped(name, tensors), scope(name)),
      rest: (name, from) => branchAt(name, { fork: from, layers: ownLayers(taskOf(name))[1] - from }),
      async ramp(name, layer) {
        const all = Object.entries(unscoped(name, tensors));
        const own = Object.fromEntries(all.filter(([tensor]) => isRampOf(tensor, layer)));
        return open(traceRamp(config, layer, await headOf(name), typesOf(own)), own, scope(name));
      },
    },
  };
}

/** Lowers a piece and opens it. */
export function openPiece(
  engine: Engine,
  piece: TracedPiece,
  constants: Readonly<Record<string, Constant>>,
): Promise<GraphProgram> {
  if (!engine.openGraph) throw new Error(`the engine ${engine.name} runs no lowered graphs`);
  return engine.openGraph(Buffer.concat(lowerPiece(piece, constants)));
}

/** Pieces of weights as they are, int8 ones with 7 bits where all 8 are too many for the processor. */
export const loweredPieces = (
  engine: Engine,
  model: PieceModel<Constant | HeldInt8>,
  saturates: boolean,
): Made<GraphProgram> => piecesBy(model, (piece, weights) => openPiece(engine, piece, constantsOf(weights, saturates)));

/** The same as files, whose weights are within them. */
export const loweredGraphs = (model: PieceModel<Constant | HeldInt8>, saturates: boolean): Made<Uint8Array> =>
  piecesBy(model, async (piece, weights) => Buffer.concat(lowerPiece(piece, constantsOf(weights, saturates))));

/** Weights as they are, int8 ones with 7 bits where all 8 are too many for the processor. */
export const constantsOf = (
  weights: Readonly<Record<string, Constant | HeldInt8>>,
  saturates: boolean,
): Readonly<Record<string, Constant>> =>
  Object.fromEntries(
    Object.entries(weights).map(([name, weight]) => [
      name,
      saturates && "codes" in weight ? forSaturating(weight as HeldInt8) : weight,
    ]),
  );
