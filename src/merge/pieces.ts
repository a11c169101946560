// The graphs of a merged folder's pieces, written beside the blobs that hold their weights. What the version before has over
// the same blobs is taken from it: a change of one task lowers that task's branch alone, and reads no other blob.

import { existsSync } from "node:fs";
import path from "node:path";
import { readSafetensorsHeader } from "../checkpoints/formats/safetensors-header";
import { branchGraph, stretchGraph, type WeightPlace, type Weights } from "../export/pieces/piece-graph";
import type { EncoderConfig } from "../model/config";
import { familyOf, isShared } from "../model/families/families";
import { type Stretch, stretchesOf } from "../model/stretches";
import type { WeightForm } from "../settings/engine";
import { type ExitPiecesRequest, writeExitPieces } from "./exit-pieces";
import { type OnCreated, writeNamed } from "./folder/blobs";
import { contentsIn } from "./folder/leaving";
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
  const made = async (form: WeightForm): Promise<Pieces> => {
    const now = contentsIn(contents, form);
    const old = before && (form === "float32" || before.int8) ? contentsIn(before, form) : null;
    const graphs = piecesOf(before?.pieces, form);
    const kept = keptGraphs(out, old, graphs);
    const whole = await writePieces(out, now, config, kept, onCreated);
    const known = old && graphs ? { contents: old, pieces: graphs } : null;
    const exits = await exitPieces(out, now, config, { whole, before: known, kept }, onCreated);
    return exits ? { ...whole, exits } : whole;
  };
  const float32 = await made("float32");
  return contents.int8 ? { float32, int8: await made("int8") } : { float32 };
}

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

function exitPieces(
  out: string,
  contents: Contents,
  config: EncoderConfig,
  { whole, before, kept }: Pick<ExitPiecesRequest, "before"> & { whole: Pieces; kept: ReturnType<typeof keptGraphs> },
  onCreated: OnCreated,
): Promise<ExitPieces | undefined> {
  const shared = familyOf(config).names.shared.length > 0 ? contents.embeddings : null;
  const write = (name: string, chunks: readonly Uint8Array[]) => writeNamed(out, name, "onnx", chunks, onCreated);
  return writeExitPieces({
    ...{ out, contents, config, before, stretches: whole.stretches, write },
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
function keptGraphs(out: string, before: Contents | null, pieces: Pieces | null) {
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
