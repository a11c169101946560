// Pieces of a model (predict/segments) lowered by a plan, and pieces that tell what enters their products.

import type { Graph, Value } from "../compile/graph/graph";
import { newValue } from "../compile/graph/graph";
import type { Constant } from "../compile/onnx/constants";
import type { Engine, GraphProgram } from "../engines/engine";
import { lowerPiece, type TracedPiece, traceBranch, traceStretch } from "../export/pieces/piece-graph";
import type { BertConfig } from "../model/config";
import { embeddingTensors, layerTensors, scope, unscoped } from "../model/parameters";
import type { HostTensors } from "../model/tensors";
import type { PieceSource, SegmentedTask } from "../predict/segments/segments";
import type { Kind } from "../tasks/kinds/kind";
import { type Int8Plan, int8Candidates, packTensors } from "./packing";

export interface PieceModel {
  readonly engine: Engine;
  readonly config: BertConfig;
  readonly tasks: readonly (SegmentedTask & { readonly kind: Kind })[];
  /** Embeddings and trunk layers under their own names, branches scoped by task. */
  readonly tensors: HostTensors;
}

/** How a piece is lowered and run. `prefix` is what stands before its tensors' names in the model's. */
type Open = (piece: TracedPiece, tensors: HostTensors, prefix: string) => Promise<GraphProgram>;

/** Pieces whose weights are as the plan has them; as they are without one. */
export function plannedPieces(model: PieceModel, plan: Int8Plan | null): PieceSource {
  return piecesBy(model, (piece, tensors, prefix) =>
    openPiece(model.engine, piece, plan ? packTensors(piece.graph, tensors, plan, prefix) : tensors),
  );
}

/**
 * Pieces in float32 that give beside their outputs, of each product with a matrix that can be int8, the largest magnitude in
 * every column of its rows.
 * @param observe called in every run with the weight's name in the model, and [in]
 */
export function observedPieces(
  model: PieceModel,
  observe: (weight: string, largest: Float32Array) => void,
): PieceSource {
  return piecesBy(model, async (piece, tensors, prefix) => {
    const program = await openPiece(model.engine, { ...piece, graph: withMaxima(piece.graph) }, tensors);
    return {
      ...program,
      async run(inputs) {
        const outputs = await program.run(inputs);
        for (const [name, { data }] of Object.entries(outputs)) {
          if (name.startsWith(SEEN)) observe(prefix + name.slice(SEEN.length), data as Float32Array);
        }
        return outputs;
      },
    };
  });
}

function piecesBy({ config, tasks, tensors }: PieceModel, open: Open): PieceSource {
  return {
    stretch(stretch) {
      const { from, to, bottom } = stretch;
      const own = { ...(bottom ? embeddingTensors(tensors) : {}), ...layerTensors(tensors, from, to) };
      return open(traceStretch(config, stretch, typesOf(own)), own, "");
    },
    async branch(name) {
      const task = tasks.find((known) => known.name === name) as (typeof tasks)[number];
      const own = unscoped(name, tensors);
      return open(traceBranch(config, task, await task.kind.head(), typesOf(own)), own, scope(name));
    },
  };
}

const typesOf = (tensors: HostTensors) =>
  Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, { shape, dtype: "float32" as const }]));

function openPiece(
  engine: Engine,
  piece: TracedPiece,
  constants: Readonly<Record<string, Constant>>,
): Promise<GraphProgram> {
  if (!engine.openGraph) throw new Error(`the engine ${engine.name} runs no int8`);
  return engine.openGraph(Buffer.concat(lowerPiece(piece, constants)));
}

const SEEN = "largest/";

/** The graph with one output more for each matrix: the largest magnitude of every column of what it is multiplied with. */
function withMaxima(graph: Graph): Graph {
  const matrices = new Map(
    [...int8Candidates(graph)].flatMap(([name, layout]) =>
      layout === "matrix" ? [[(graph.inputs.get(name) as Value).id, name] as const] : [],
    ),
  );
  const nodes = [...graph.nodes];
  const outputs = new Map(graph.outputs);
  for (const { inputs } of graph.nodes) {
    const [x, weight] = inputs as [Value, Value?];
    const name = weight && matrices.get(weight.id);
    if (name === undefined) continue;
    const magnitudes = newValue(x);
    const largest = newValue({ shape: x.shape.slice(1), dtype: x.dtype });
    nodes.push({ op: "Abs", inputs: [x], attributes: {}, outputs: [magnitudes] });
    nodes.push({ op: "Max", inputs: [magnitudes], attributes: { axes: [0], keepDims: false }, outputs: [largest] });
    outputs.set(SEEN + name, largest);
  }
  return { ...graph, nodes, outputs };
}
