// The graphs of a merged model's pieces (model/segment.ts): which there are, in the manifest, and where they lie, among the
// blobs whose weights they name. They are named by their content like these, so a change of one task writes one graph.

import type { Stretch } from "../../model/stretches";

/** What the inputs of a stored graph mean: graphs of another number are not read. */
export const PIECE_INTERFACE = 1;

/** A file under the folder, and the hash of its bytes. */
export interface GraphFile {
  readonly file: string;
  readonly sha256: string;
}

export interface StretchGraph extends GraphFile, Stretch {}

export interface Pieces {
  readonly interface: typeof PIECE_INTERFACE;
  /** From the bottom up. */
  readonly stretches: readonly StretchGraph[];
  /** By task. */
  readonly branches: Readonly<Record<string, GraphFile>>;
}

/** Pieces for an interface that this flexbert does not know. */
export interface ForeignPieces {
  readonly interface: number;
}

/** By the numbers that their weights are: "float32", for one. */
export type PiecesByPrecision = Readonly<Record<string, Pieces | ForeignPieces>>;

/** The pieces of a precision that can be run here; null where there are none. */
export function piecesOf(pieces: PiecesByPrecision | undefined, precision = "float32"): Pieces | null {
  const found = pieces?.[precision];
  return found?.interface === PIECE_INTERFACE ? (found as Pieces) : null;
}
