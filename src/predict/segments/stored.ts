// Pieces of a merged folder, opened from the graphs that lie among its blobs: nothing is traced, and no weight passes through
// this process's own memory. Every file of a piece is compared with its hash before its graph is opened.

import type { Engine } from "../../engines/engine";
import { modelError, oneLine } from "../../errors/errors";
import { blobsOf, checkBlob } from "../../merge/folder/blobs";
import type { Blob, Manifest } from "../../merge/folder/manifest";
import { type Pieces, piecesOf } from "../../merge/folder/pieces";
import type { PieceSource } from "./segments";

type OpenGraph = NonNullable<Engine["openGraph"]>;

/** null where the engine opens no graphs, or the folder has none that this flexbert knows. */
export function storedPieces(engine: Engine, folder: string, manifest: Manifest): PieceSource | null {
  const pieces = piecesOf(manifest.pieces);
  return pieces && engine.openGraph ? sourceOf(engine.openGraph, folder, manifest, pieces) : null;
}

function sourceOf(openGraph: OpenGraph, folder: string, manifest: Manifest, pieces: Pieces): PieceSource {
  const open = async (graph: Blob | undefined, weights: readonly Blob[], name: string) => {
    if (!graph) throw modelError(`${folder} has no graph of ${name}, though its manifest lists graphs. Merge again`);
    for (const blob of weights) await checkBlob(folder, blob);
    const file = await checkBlob(folder, graph);
    try {
      return await openGraph(file);
    } catch (error) {
      throw modelError(
        `onnxruntime does not open ${file} (${oneLine(error)}). Merge again, or use another --engine`,
        error,
      );
    }
  };
  return {
    stretch({ from, to, bottom }) {
      const found = pieces.stretches.find((one) => one.from === from && one.to === to && one.bottom === bottom);
      const layers = manifest.trunk.slice(from, to);
      return open(found, bottom ? [manifest.embeddings, ...layers] : layers, `layers ${from}-${to}`);
    },
    branch(name) {
      const { own } = blobsOf(
        manifest,
        manifest.tasks.filter((task) => task.name === name),
      );
      return open(pieces.branches[name], own, name);
    },
  };
}
