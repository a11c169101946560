// A whole model's weights by a plan, in the parts in which a merged folder stores them: what
// one product reads is joined.

import { joinWeights } from "../compile/onnx/joined";
import { traceBranch, traceStretch, typesOf } from "../export/pieces/piece-graph";
import type { PackedWeights } from "../merge/folder/int8-blobs";
import type { EncoderConfig } from "../model/config";
import { isShared } from "../model/families/families";
import { embeddingTensors, layerTensors, scope, stretchTensors, unscoped } from "../model/parameters";
import type { HostTensors } from "../model/tensors";
import type { SegmentedTask } from "../predict/segments/pieces";
import type { Kind } from "../tasks/kinds/kind";
import { type Int8Plan, packTensors } from "./packing";

/** Embeddings and trunk layers `from` to `to`, without the last, under their own names. */
export function packTrunk(
  config: EncoderConfig,
  tensors: HostTensors,
  plan: Int8Plan,
  [from, to]: readonly [number, number],
): { readonly embeddings: PackedWeights; readonly layers: readonly PackedWeights[] } {
  const stretch = { from, to, bottom: from === 0 };
  const own = stretchTensors(tensors, stretch);
  const { graph } = traceStretch(config, stretch, typesOf(own));
  const packed = joinWeights(graph, packTensors(graph, own, plan));
  const layers = Array.from({ length: to - from }, (_, i) => layerTensors(packed, from + i, from + i + 1));
  return { embeddings: embeddingTensors(packed), layers };
}

/** A branch's weights under their own names. */
export async function packBranch(
  config: EncoderConfig,
  task: SegmentedTask & { readonly kind: Kind },
  tensors: HostTensors,
  plan: Int8Plan,
): Promise<PackedWeights> {
  const own = unscoped(task.name, tensors);
  const { graph } = traceBranch(config, task, await task.kind.head(config), typesOf(own));
  const packed = joinWeights(graph, packTensors(graph, own, plan, scope(task.name)));
  // What its layers read of the trunk lies with the trunk.
  return task.fork === null ? packed : Object.fromEntries(Object.entries(packed).filter(([name]) => !isShared(name)));
}
