// Pieces of a merged folder, opened from the graphs that lie among its blobs: nothing is traced, and no weight passes through
// this process's own memory. Every file of a piece is compared with its hash before its graph is opened.

import type { Engine } from "../../engines/engine";
import { modelError, oneLine, UserError } from "../../errors/errors";
import type { Pace } from "../../files/hash";
import { checkBlob } from "../../merge/folder/blobs";
import type { Blob, Manifest } from "../../merge/folder/manifest";
import { type Pieces, piecesOf } from "../../merge/folder/pieces";
import { familyOf } from "../../model/families/families";
import type { WeightForm } from "../../settings/engine";
import type { PieceSource } from "./segments";

type OpenGraph = NonNullable<Engine["openGraph"]>;

/** Where the weights of pieces lie. */
interface Parts {
  readonly embeddings: Blob;
  readonly trunk: readonly Blob[];
  readonly branches: Readonly<Record<string, Blob>>;
  /** Tasks whose layers read something of the embeddings' blob. */
  readonly overShared: ReadonlySet<string>;
  readonly sharing: boolean;
}

/** null where the engine opens no graphs, or the folder has none that this flexbert knows. */
export function storedPieces(
  engine: Engine,
  folder: string,
  manifest: Manifest,
  precision: WeightForm = "float32",
  pace?: Pace,
): PieceSource | null {
  const pieces = piecesOf(manifest.pieces, precision);
  if (!pieces || !engine.openGraph) return null;
  const sharing = familyOf(manifest.base).names.shared.length > 0;
  const forked = manifest.tasks.filter(({ fork }) => fork !== null).map(({ name }) => name);
  const shared = { sharing, overShared: new Set(sharing ? forked : []) };
  if (precision === "float32") {
    const branches = Object.fromEntries(manifest.tasks.map((task) => [task.name, task]));
    return sourceOf(engine.openGraph, folder, { ...manifest, ...shared, branches }, pieces, pace);
  }
  const { int8 } = manifest;
  return int8 ? sourceOf(engine.openGraph, folder, { ...int8, ...shared, branches: int8.tasks }, pieces, pace) : null;
}

function sourceOf(openGraph: OpenGraph, folder: string, parts: Parts, pieces: Pieces, pace?: Pace): PieceSource {
  const open = async (graph: Blob | undefined, weights: readonly Blob[], name: string) => {
    if (!graph) throw modelError(`${folder} has no graph of ${name}, though its manifest lists graphs. Merge again`);
    for (const blob of weights) await checkBlob(folder, blob, pace);
    const file = await checkBlob(folder, graph, pace);
    await pace?.();
    try {
      return await openGraph(file);
    } catch (error) {
      if (error instanceof UserError) throw error; // of a device
      throw modelError(
        `onnxruntime does not open ${file} (${oneLine(error)}). Merge again, or use another --engine`,
        error,
      );
    }
  };
  return {
    stretch({ from, to, bottom }) {
      const found = pieces.stretches.find((one) => one.from === from && one.to === to && one.bottom === bottom);
      const layers = parts.trunk.slice(from, to);
      return open(found, bottom || parts.sharing ? [parts.embeddings, ...layers] : layers, `layers ${from}-${to}`);
    },
    branch(name) {
      const own = parts.branches[name] as Blob;
      return open(pieces.branches[name], parts.overShared.has(name) ? [parts.embeddings, own] : [own], name);
    },
  };
}
