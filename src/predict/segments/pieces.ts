// A model's programs, each opened when it is first needed, and once: stretches of the trunk, and of each task its branch. Where texts
// leave early the trunk and a branch are cut at more places, and ramps stand there; those pieces are opened where a call first
// leaves.

import type { GraphProgram } from "../../engines/engine";
import { ownLayers, type Place } from "../../model/place";
import { type Stretch, stretchesOf } from "../../model/stretches";
import type { HostTensor } from "../../model/tensors";

/** Opens a piece's program. */
export type OpenPiece = () => Promise<GraphProgram>;

/** Of a model whose texts may leave early: pieces between more cuts than forks. */
export interface ExitSource {
  /** Where the trunk is cut while any task's texts leave early; absent: at the stops of those that do. */
  readonly cuts?: readonly number[];
  stretch(stretch: Stretch): Promise<GraphProgram>;
  /** Of a task's own layers those between two of its stops, or under the first of them. */
  part(task: string, stretch: Stretch): Promise<GraphProgram>;
  /** The rest of a task's own layers, above `from`, and its head. */
  rest(task: string, from: number): Promise<GraphProgram>;
  ramp(task: string, layer: number): Promise<GraphProgram>;
}

/** What makes the pieces of one model. */
export interface PieceSource {
  stretch(stretch: Stretch): Promise<GraphProgram>;
  branch(task: string): Promise<GraphProgram>;
  /** Absent where no task has ramps. */
  readonly exits?: ExitSource | undefined;
}

export interface SegmentedTask extends Place {
  readonly name: string;
}

/** Some of a task's rows. */
export interface TaskLogits {
  readonly task: string;
  /** Positions among the rows of the call. */
  readonly rows: readonly number[];
  /** [rows, outputs], in the order of `rows` */
  readonly logits: HostTensor;
  /** Encoder layers that they passed, where they might have left early. */
  readonly layer?: number;
}

/** One run of one piece. */
export interface PieceRun {
  /** "layers 0-4", or a task's name. */
  readonly piece: string;
  readonly rows: number;
  readonly tokens: number;
  /** Encoder layers that it has. */
  readonly layers: number;
  readonly ms: number;
}

/** Where a task's rows may leave in one call, and which do. */
export interface CallExits {
  /** Encoder layers under the ramps that are asked, ascending. */
  readonly stops: readonly number[];
  /**
   * @param outputs logits of the ramps that the row has passed, the last of them the latest
   * @param row among those of the call
   */
  leaves(outputs: readonly Float32Array[], row: number): boolean;
}

/** By task; those that are left out go all their way. */
export type ExitsOfCall = Readonly<Record<string, CallExits>>;

export interface Piece {
  readonly name: string;
  readonly layers: number;
  program(): Promise<GraphProgram>;
  dispose(): void;
}

export interface TrunkPiece extends Piece {
  readonly to: number;
}

/** A part of a branch that ends at a stop. */
export interface PartPiece extends Piece {
  readonly to: number;
}

/** A branch cut at its stops. */
export interface CutBranch {
  readonly parts: readonly PartPiece[];
  readonly rest: Piece;
}

export interface BranchPiece extends Piece {
  readonly fork: number | null;
  /** Encoder layers of its whole way. */
  readonly top: number;
  /** Cut at those of the stops that lie among its own layers. */
  cutAt(stops: readonly number[]): CutBranch;
  ramp(layer: number): Piece;
}

/** The stretches of a trunk that these tasks need. */
export function trunkStretches(tasks: readonly SegmentedTask[], cuts: readonly number[] = []): Stretch[] {
  const forks = tasks.flatMap(({ fork }) => fork ?? []);
  const deepest = Math.max(-1, ...forks);
  return stretchesOf([...forks, ...cuts.filter((cut) => cut <= deepest)]);
}

/**
 * The trunk's pieces for any further cuts. A stretch is one piece whichever cuts gave it.
 * @param cuts where it is cut always: those stretches are the source's own
 */
export function openTrunkPieces(tasks: readonly SegmentedTask[], source: PieceSource, cuts: readonly number[]) {
  const opened = new Map<string, TrunkPiece>();
  const key = ({ from, to }: Stretch) => `${from}-${to}`;
  const always = new Set(trunkStretches(tasks, cuts).map(key));
  const pieceOf = (stretch: Stretch): TrunkPiece => {
    const { from, to } = stretch;
    const found = opened.get(key(stretch));
    if (found) return found;
    const own = always.has(key(stretch));
    const open = () => (own ? source.stretch(stretch) : exitsOf(source).stretch(stretch));
    const made = { ...piece(`layers ${from}-${to}`, to - from, open), to };
    opened.set(key(stretch), made);
    return made;
  };
  return {
    at: (stops: readonly number[] = []) => trunkStretches(tasks, [...cuts, ...stops]).map(pieceOf),
    dispose() {
      for (const { dispose } of opened.values()) dispose();
    },
  };
}

/** @param open of the whole branch */
export function branchPiece(task: SegmentedTask, open: OpenPiece, source: PieceSource): BranchPiece {
  const { name, fork, layers } = task;
  const [from, top] = ownLayers(task);
  const whole = piece(name, layers, open);
  const opened = new Map<string, Piece>();
  const memo = (label: string, count: number, program: OpenPiece): Piece => {
    const made = opened.get(label) ?? piece(label, count, program);
    opened.set(label, made);
    return made;
  };
  return {
    ...whole,
    fork,
    top,
    cutAt(stops) {
      const inside = stops.filter((stop) => stop > from && stop < top);
      const parts = inside.map((to, i): PartPiece => {
        const below = inside[i - 1] ?? from;
        const stretch = { from: below, to, bottom: fork === null && i === 0 };
        const label = `${name} ${below}-${to}`;
        return { ...memo(label, to - below, () => exitsOf(source).part(name, stretch)), to };
      });
      const last = inside.at(-1);
      if (last === undefined) return { parts, rest: whole };
      return { parts, rest: memo(`${name} ${last}-${top}`, top - last, () => exitsOf(source).rest(name, last)) };
    },
    ramp: (layer) => memo(`${name} ramp ${layer}`, 0, () => exitsOf(source).ramp(name, layer)),
    dispose() {
      whole.dispose();
      for (const { dispose } of opened.values()) dispose();
    },
  };
}

function exitsOf({ exits }: PieceSource): ExitSource {
  if (exits) return exits;
  throw new Error("texts were to leave early, and the model has no pieces for it");
}

/** Opened when it is first needed, and once. */
function piece(name: string, layers: number, open: OpenPiece): Piece {
  let opening: Promise<GraphProgram> | null = null;
  let opened: GraphProgram | null = null;
  let disposed = false;
  const begin = async () => {
    const program = await open();
    if (disposed) program.dispose();
    else opened = program;
    return program;
  };
  return {
    name,
    layers,
    program() {
      if (disposed) throw new Error(`${name} was run after it was disposed of`);
      opening ??= begin().catch((error) => {
        opening = null; // what is mended meanwhile is found the next time
        throw error;
      });
      return opening;
    },
    dispose() {
      disposed = true;
      opened?.dispose();
      opened = null;
    },
  };
}
