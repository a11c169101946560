// Pieces lowered here, from weights at hand in whatever form: for what is measured before it is stored, and for processors
// that need other int8 weights than those that are stored.

import type { Constant } from "../../compile/onnx/constants";
import { forSaturating, type HeldInt8 } from "../../compile/onnx/packed";
import type { Engine, GraphProgram } from "../../engines/engine";
import { lowerPiece, type TracedPiece, traceBranch, traceStretch, typesOf } from "../../export/pieces/piece-graph";
import type { EncoderConfig } from "../../model/config";
import { scope, stretchTensors, unscoped } from "../../model/parameters";
import type { Stretch } from "../../model/stretches";
import type { Kind } from "../../tasks/kinds/kind";
import type { PieceSource, SegmentedTask } from "./pieces";

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
}

/** @param open lowers a piece, and opens it. `prefix` is what stands before its weights' names in the model's */
export function piecesBy<Weight extends { readonly shape: readonly number[] }, Piece = GraphProgram>(
  { config, tasks, tensors }: PieceModel<Weight>,
  open: (piece: TracedPiece, weights: Readonly<Record<string, Weight>>, prefix: string) => Promise<Piece>,
): Made<Piece> {
  return {
    stretch(stretch) {
      const own = stretchTensors(tensors, stretch);
      return open(traceStretch(config, stretch, typesOf(own)), own, "");
    },
    async branch(name) {
      const task = tasks.find((known) => known.name === name) as (typeof tasks)[number];
      const own = unscoped(name, tensors);
      return open(traceBranch(config, task, await task.kind.head(config), typesOf(own)), own, scope(name));
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
): PieceSource => piecesBy(model, (piece, weights) => openPiece(engine, piece, constantsOf(weights, saturates)));

/** The same as files, whose weights are within them. */
export const loweredGraphs = (model: PieceModel<Constant | HeldInt8>, saturates: boolean): Made<Uint8Array> =>
  piecesBy(model, async (piece, weights) => Buffer.concat(lowerPiece(piece, constantsOf(weights, saturates))));

const constantsOf = (
  weights: Readonly<Record<string, Constant | HeldInt8>>,
  saturates: boolean,
): Readonly<Record<string, Constant>> =>
  Object.fromEntries(
    Object.entries(weights).map(([name, weight]) => [
      name,
      saturates && "codes" in weight ? forSaturating(weight as HeldInt8) : weight,
    ]),
  );
