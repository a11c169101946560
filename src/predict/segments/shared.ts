// Pieces that several versions of a folder have in common: opened once, and freed with the last version that has them. A piece
// is the same where its graph and its weights are the same bytes, so a version that changes one task opens one branch.

import type { GraphProgram } from "../../engines/engine";
import type { Blob, Manifest } from "../../merge/folder/manifest";
import { piecesOf } from "../../merge/folder/pieces";
import { familyOf } from "../../model/families/families";
import type { Stretch } from "../../model/stretches";
import type { WeightForm } from "../../settings/engine";
import { outputSize } from "../../tasks/task";
import type { OpenPiece, PieceSource } from "./pieces";

/** What tells pieces apart, for one engine. */
export interface PieceKeys {
  stretch(stretch: Stretch): string;
  branch(task: string): string;
  /** Of a model that has pieces of its own where texts leave early. */
  readonly exits?: ExitKeys;
}

export interface ExitKeys {
  part(task: string, stretch: Stretch): string;
  rest(task: string, from: number): string;
  ramp(task: string, layer: number): string;
}

/** Programs by key, each with the number of those who use it. */
export interface PiecePool {
  /**
   * The same pieces; one that is open already is not opened again.
   * @param onOpen called for each piece that was not open: with its task, or null for a stretch of the trunk
   */
  share(source: PieceSource, keys: PieceKeys, onOpen?: (task: string | null) => void): PieceSource;
  /** Pieces that are open. */
  size(): number;
}

interface Held {
  readonly opening: Promise<GraphProgram>;
  users: number;
}

export function openPiecePool(): PiecePool {
  const held = new Map<string, Held>();
  const take = async (key: string, open: OpenPiece): Promise<GraphProgram> => {
    const piece: Held = held.get(key) ?? { opening: open(), users: 0 };
    held.set(key, piece);
    piece.users += 1;
    try {
      return { ...(await piece.opening), dispose: once(() => leave(key, piece)) };
    } catch (error) {
      if (held.get(key) === piece) held.delete(key); // what is mended meanwhile is opened the next time
      throw error;
    }
  };
  const leave = (key: string, piece: Held): void => {
    piece.users -= 1;
    if (piece.users > 0) return;
    held.delete(key);
    void piece.opening.then((program) => program.dispose());
  };
  return {
    share(source, keys, onOpen) {
      const noted = (task: string | null, open: OpenPiece) => () => {
        onOpen?.(task);
        return open();
      };
      const exits = source.exits && keys.exits ? { ...source.exits, keys: keys.exits } : null;
      const shared = (task: string | null, key: string, open: OpenPiece) => take(key, noted(task, open));
      return {
        stretch: (of) => shared(null, keys.stretch(of), () => source.stretch(of)),
        branch: (task) => shared(task, keys.branch(task), () => source.branch(task)),
        ...(exits && {
          exits: {
            ...(exits.cuts && { cuts: exits.cuts }),
            stretch: (of) => shared(null, keys.stretch(of), () => exits.stretch(of)),
            part: (task, of) => shared(task, exits.keys.part(task, of), () => exits.part(task, of)),
            rest: (task, from) => shared(task, exits.keys.rest(task, from), () => exits.rest(task, from)),
            ramp: (task, layer) => shared(task, exits.keys.ramp(task, layer), () => exits.ramp(task, layer)),
          },
        }),
      };
    },
    size: () => held.size,
  };
}

function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (!done) act();
    done = true;
  };
}

/** Keys of a version's pieces, from the hashes of the files that they are made of. */
export function pieceKeys(manifest: Manifest, form: WeightForm): PieceKeys {
  const { int8 } = manifest;
  const { embeddings, trunk } = form === "int8" && int8 ? int8 : manifest;
  const graphs = piecesOf(manifest.pieces, form);
  const sharing = familyOf(manifest.base).names.shared.length > 0;
  const key = (...parts: readonly unknown[]) => JSON.stringify([form, ...parts]);
  const shas = (blobs: readonly (Blob | undefined)[]) => blobs.map((blob) => blob?.sha256 ?? null);
  const all = [...(graphs?.stretches ?? []), ...(graphs?.exits?.stretches ?? [])];
  const ofExits = (name: string, graph: Blob | null | undefined, ...parts: readonly unknown[]) => {
    const task = manifest.tasks.find((known) => known.name === name);
    const branch = form === "int8" && int8 ? int8.tasks[name] : task;
    const weights = [branch, task?.exits?.ramps, ...(sharing ? [embeddings] : [])];
    return key(name, task?.kind.name, ...parts, ...shas([graph ?? undefined, ...weights]));
  };
  const exits: ExitKeys = {
    part(name, { from, to }) {
      const graph = graphs?.exits?.tasks[name]?.parts.find((one) => one.from === from && one.to === to);
      return ofExits(name, graph, "part", from, to);
    },
    rest: (name, from) => ofExits(name, graphs?.exits?.tasks[name]?.rest, "rest", from),
    ramp: (name, layer) => ofExits(name, graphs?.exits?.tasks[name]?.ramps[layer], "ramp", layer),
  };
  return {
    exits,
    stretch({ from, to, bottom }) {
      const graph = all.find((one) => one.from === from && one.to === to && one.bottom === bottom);
      return key(from, to, ...shas([graph, ...(bottom || sharing ? [embeddings] : []), ...trunk.slice(from, to)]));
    },
    branch(name) {
      const task = manifest.tasks.find((known) => known.name === name);
      if (!task) throw new Error(`the manifest has no task ${name}`);
      const weights = form === "int8" && int8 ? int8.tasks[name] : task;
      // Of a branch that is traced from its weights, these decide how.
      const made = [task.kind.name, outputSize(task), task.fork, task.layers];
      return key(
        ...made,
        ...shas([graphs?.branches[name], ...(sharing && task.fork !== null ? [embeddings] : []), weights]),
      );
    },
  };
}
