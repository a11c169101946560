// The graphs of a merged model's pieces (model/segment.ts): which there are, in the manifest, and where they lie, among the
// blobs whose weights they name. They are named by their content like these, so a change of one task writes one graph.

import type { TaskExits } from "../../exits/exits";
import type { Place } from "../../model/place";
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
  /** By which texts leave early; absent where no task has ramps. */
  readonly exits?: ExitPieces | undefined;
}

export interface ExitPieces {
  /** Of the trunk, cut at the forks and at every task's stops, from the bottom up. */
  readonly stretches: readonly StretchGraph[];
  /** By task, of those that have ramps. */
  readonly tasks: Readonly<Record<string, TaskExitPieces>>;
}

/** A task's own layers between its stops, and its ramps. */
export interface TaskExitPieces {
  readonly parts: readonly StretchGraph[];
  /** Above the last stop among its own layers, with its head; null where there is none: its branch runs whole. */
  readonly rest: GraphFile | null;
  /** By the number of layers under them. */
  readonly ramps: Readonly<Record<string, GraphFile>>;
}

/** Where a task's ramps are asked. */
export const stopsOf = (exits: TaskExits | undefined): readonly number[] => exits?.rule?.stops ?? [];

/** Where the trunk is cut while any task's texts leave early. */
export function exitCuts(tasks: readonly (Place & { readonly exits?: TaskExits | undefined })[]): number[] {
  const forks = tasks.flatMap(({ fork }) => fork ?? []);
  const stops = tasks.flatMap(({ fork, exits }) => stopsOf(exits).filter((stop) => fork !== null && stop <= fork));
  return [...forks, ...stops];
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
