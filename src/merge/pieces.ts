// The graphs of a merged folder's pieces, written beside the blobs that hold their weights. What the version before has over
// the same blobs is taken from it: a change of one task lowers that task's branch alone, and reads no other blob.

import { existsSync } from "node:fs";
import path from "node:path";
import { readSafetensorsHeader } from "../checkpoints/formats/safetensors-header";
import { branchGraph, stretchGraph, type WeightPlace, type Weights } from "../export/pieces/piece-graph";
import type { EncoderConfig } from "../model/config";
import { familyOf, isShared } from "../model/families/families";
import { type Stretch, stretchesOf } from "../model/stretches";
import { writeExitPieces } from "./exit-pieces";
import { type OnCreated, writeNamed } from "./folder/blobs";
import type { Int8Parts } from "./folder/int8";
import type { Blob, Manifest, MergedTask } from "./folder/manifest";
import {
  type ExitPieces,
  PIECE_INTERFACE,
  type Pieces,
  type PiecesByPrecision,
  piecesOf,
  type StretchGraph,
} from "./folder/pieces";

type Contents = Pick<Manifest, "embeddings" | "trunk" | "tasks">;

/**
 * The graphs of every form in which the contents have their weights.
 * @param before the folder's version before
 */
export async function writeAllPieces(
  out: string,
  contents: Contents & Pick<Manifest, "int8">,
  config: EncoderConfig,
  before: Manifest | null,
  onCreated: OnCreated,
): Promise<PiecesByPrecision> {
  const kept32 = keptGraphs(out, before, before?.pieces, "float32");
  const whole = await writePieces(out, contents, config, kept32, onCreated);
  const exits = await exitPieces(out, contents, config, { whole, before, kept: kept32 }, onCreated);
  const float32 = exits ? { ...whole, exits } : whole;
  if (!contents.int8) return { float32 };
  const quantised = before?.int8 ? { ...before, ...int8Contents(before, before.int8) } : null;
  const kept = keptGraphs(out, quantised, before?.pieces, "int8");
  return { float32, int8: await writePieces(out, int8Contents(contents, contents.int8), config, kept, onCreated) };
}

/** Contents whose blobs are the int8 ones. */
const int8Contents = ({ tasks }: Contents, int8: Int8Parts): Contents => ({
  embeddings: int8.embeddings,
  trunk: int8.trunk,
  tasks: tasks.map((task) => {
    const { file, sha256 } = int8.tasks[task.name] as Blob;
    return { ...task, file, sha256 };
  }),
});

async function writePieces(
  out: string,
  contents: Contents,
  config: EncoderConfig,
  kept: ReturnType<typeof keptGraphs>,
  onCreated: OnCreated,
): Promise<Pieces> {
  const stretches: StretchGraph[] = [];
  const shared = familyOf(config).names.shared.length > 0 ? contents.embeddings : null;
  for (const stretch of stretchesOf(contents.tasks.flatMap(({ fork }) => fork ?? []))) {
    const blobs = blobsUnder(contents, stretch);
    const graph =
      kept.stretch(stretch, blobs) ??
      (await write(
        nameOf(stretch),
        stretchGraph(config, stretch, await weightsOf(out, blobs, stretch.bottom ? null : shared)),
      ));
    stretches.push({ ...stretch, file: graph.file, sha256: graph.sha256 });
  }
  const branches: Record<string, Blob> = {};
  for (const task of contents.tasks) {
    const graph = async () => {
      const weights = await weightsOf(out, [task], task.fork === null ? null : shared);
      return branchGraph(config, task, await task.kind.head(config), weights);
    };
    branches[task.name] = kept.branch(task) ?? (await write(task.name, await graph()));
  }
  return { interface: PIECE_INTERFACE, stretches, branches };

  function write(name: string, chunks: readonly Uint8Array[]): Promise<Blob> {
    return writeNamed(out, name, "onnx", chunks, onCreated);
  }
}

/** Of float32 weights alone: texts do not leave early through int8 ones. */
function exitPieces(
  out: string,
  contents: Contents,
  config: EncoderConfig,
  { whole, before, kept }: { whole: Pieces; before: Manifest | null; kept: ReturnType<typeof keptGraphs> },
  onCreated: OnCreated,
): Promise<ExitPieces | undefined> {
  const shared = familyOf(config).names.shared.length > 0 ? contents.embeddings : null;
  const write = (name: string, chunks: readonly Uint8Array[]) => writeNamed(out, name, "onnx", chunks, onCreated);
  const pieces = piecesOf(before?.pieces);
  return writeExitPieces({
    ...{ out, contents, config, stretches: whole.stretches, write },
    before: before && pieces ? { contents: before, pieces } : null,
    async stretch(stretch) {
      const blobs = blobsUnder(contents, stretch);
      const found = kept.exitStretch(stretch, blobs);
      if (found) return found;
      const weights = await weightsOf(out, blobs, stretch.bottom ? null : shared);
      return write(nameOf(stretch), stretchGraph(config, stretch, weights));
    },
    weightsOf: (task) => weightsOf(out, [task], task.fork === null ? null : shared),
    rampsOf: (ramps) => weightsOf(out, [ramps], null),
  });
}

const nameOf = ({ from, to, bottom }: Stretch): string => {
  const [first, last] = [from, to].map((layer) => String(layer).padStart(2, "0"));
  return `trunk-${first}-${last}${bottom ? "-embeddings" : ""}`;
};

/** What a stretch has its weights from. */
const blobsUnder = ({ embeddings, trunk }: Pick<Manifest, "embeddings" | "trunk">, { from, to, bottom }: Stretch) => [
  ...(bottom ? [embeddings] : []),
  ...trunk.slice(from, to),
];

/** Graphs of the version before that still hold: over the same blobs, and there. */
function keptGraphs(
  out: string,
  before: Contents | null,
  graphs: PiecesByPrecision | undefined,
  precision: "float32" | "int8",
) {
  const pieces = piecesOf(graphs, precision);
  const there = (graph: Blob | undefined) => (graph && existsSync(path.join(out, graph.file)) ? graph : null);
  const same = (a: readonly Blob[], b: readonly Blob[]) => `${a.map(hashOf)}` === `${b.map(hashOf)}`;
  const among = (
    stretches: readonly StretchGraph[] | undefined,
    { from, to, bottom }: Stretch,
    blobs: readonly Blob[],
  ): Blob | null => {
    const found = stretches?.find((one) => one.from === from && one.to === to && one.bottom === bottom);
    return before && found && same(blobsUnder(before, found), blobs) ? there(found) : null;
  };
  return {
    stretch: (stretch: Stretch, blobs: readonly Blob[]) => among(pieces?.stretches, stretch, blobs),
    exitStretch: (stretch: Stretch, blobs: readonly Blob[]) => among(pieces?.exits?.stretches, stretch, blobs),
    branch({ name, sha256, fork, layers, kind }: MergedTask): Blob | null {
      const old = before?.tasks.find((task) => task.name === name);
      const equal = old?.sha256 === sha256 && old.fork === fork && old.layers === layers && old.kind === kind;
      return equal ? there(pieces?.branches[name]) : null;
    },
  };
}

const hashOf = ({ sha256 }: Blob): string => sha256;

/**
 * Where the tensors of blobs lie, by their names: read from the files' headers alone.
 * @param embeddings what lies under all layers, of which layers read something; null: of which they read nothing
 */
async function weightsOf(out: string, blobs: readonly Blob[], embeddings: Blob | null): Promise<Weights> {
  const weights = new Map<string, WeightPlace>();
  const add = async ({ file }: Blob, isRead: (name: string) => boolean) => {
    const { tensors } = await readSafetensorsHeader(path.join(out, file));
    for (const [name, tensor] of tensors) {
      if (isRead(name)) weights.set(name, { ...tensor, file: path.posix.basename(file) });
    }
  };
  if (embeddings) await add(embeddings, isShared);
  for (const blob of blobs) await add(blob, () => true);
  return weights;
}
