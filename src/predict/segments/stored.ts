// Pieces of a merged folder, opened from the graphs that lie among its blobs: nothing is traced, and no weight passes through
// this process's own memory. Every file of a piece is compared with its hash before its graph is opened.

import type { Engine, GraphProgram } from "../../engines/engine";
import { modelError, oneLine, UserError } from "../../errors/errors";
import type { Pace } from "../../files/hash";
import { checkBlob } from "../../merge/folder/blobs";
import { contentsIn } from "../../merge/folder/leaving";
import type { Blob, Contents } from "../../merge/folder/manifest";
import { type ExitPieces, type Pieces, piecesOf, type StretchGraph } from "../../merge/folder/pieces";
import { familyOf } from "../../model/families/families";
import type { Stretch } from "../../model/stretches";
import type { WeightForm } from "../../settings/engine";
import type { ExitSource, PieceSource } from "./pieces";

type OpenGraph = NonNullable<Engine["openGraph"]>;

/** Where the weights of pieces lie. */
interface Parts {
  readonly embeddings: Blob;
  readonly trunk: readonly Blob[];
  readonly branches: Readonly<Record<string, Blob>>;
  /** Of tasks that have ramps. */
  readonly ramps: Readonly<Record<string, Blob>>;
  /** Tasks whose layers read something of the embeddings' blob. */
  readonly overShared: ReadonlySet<string>;
  readonly sharing: boolean;
}

/** null where the engine opens no graphs, or the folder has none that this flexbert knows. */
export function storedPieces(
  engine: Engine,
  folder: string,
  manifest: Contents,
  precision: WeightForm = "float32",
  pace?: Pace,
): PieceSource | null {
  const pieces = piecesOf(manifest.pieces, precision);
  if (!pieces || !engine.openGraph) return null;
  const sharing = familyOf(manifest.base).names.shared.length > 0;
  const forked = manifest.tasks.filter(({ fork }) => fork !== null).map(({ name }) => name);
  const shared = { sharing, overShared: new Set(sharing ? forked : []) };
  const ramps = Object.fromEntries(manifest.tasks.flatMap(({ name, exits }) => (exits ? [[name, exits.ramps]] : [])));
  if (precision === "int8" && !manifest.int8) return null;
  const { embeddings, trunk, tasks } = contentsIn(manifest, precision);
  const branches = Object.fromEntries(tasks.map((task) => [task.name, task]));
  return sourceOf(engine.openGraph, folder, { embeddings, trunk, ...shared, branches, ramps }, pieces, pace);
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
  const among = (stretches: readonly StretchGraph[]) => (stretch: Stretch) => {
    const { from, to, bottom } = stretch;
    const layers = parts.trunk.slice(from, to);
    return open(
      findStretch(stretches, stretch),
      bottom || parts.sharing ? [parts.embeddings, ...layers] : layers,
      `layers ${from}-${to}`,
    );
  };
  const ownOf = (name: string) => {
    const own = parts.branches[name] as Blob;
    return parts.overShared.has(name) ? [parts.embeddings, own] : [own];
  };
  const { exits } = pieces;
  return {
    stretch: among(pieces.stretches),
    branch: (name) => open(pieces.branches[name], ownOf(name), name),
    ...(exits
      ? { exits: exitSource(exits, { open, ownOf, ramps: parts.ramps, stretch: among(exits.stretches) }) }
      : {}),
  };
}

const findStretch = (stretches: readonly StretchGraph[], { from, to, bottom }: Stretch) =>
  stretches.find((one) => one.from === from && one.to === to && one.bottom === bottom);

function exitSource(
  { stretches, tasks }: ExitPieces,
  from: {
    readonly open: (graph: Blob | undefined, weights: readonly Blob[], name: string) => Promise<GraphProgram>;
    readonly ownOf: (task: string) => readonly Blob[];
    readonly ramps: Readonly<Record<string, Blob>>;
    readonly stretch: (stretch: Stretch) => Promise<GraphProgram>;
  },
): ExitSource {
  const { open, ownOf, ramps, stretch } = from;
  return {
    cuts: stretches.map(({ to }) => to),
    stretch,
    part: (name, of) =>
      open(findStretch(tasks[name]?.parts ?? [], of), ownOf(name), `${name}, layers ${of.from}-${of.to}`),
    rest: (name, above) => open(tasks[name]?.rest ?? undefined, ownOf(name), `${name} above layer ${above}`),
    ramp: (name, layer) =>
      open(tasks[name]?.ramps[layer], ramps[name] ? [ramps[name]] : [], `the ramp of ${name} on layer ${layer}`),
  };
}
