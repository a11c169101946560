// Pieces of a model (predict/segments) lowered by a plan, and pieces that tell what enters their products.

import { type Graph, newValue, type Value } from "../compile/graph/graph";
import type { Engine } from "../engines/engine";
import type { HostTensor } from "../model/tensors";
import { constantsOf, type PieceModel as LoweredModel, openPiece, piecesBy } from "../predict/segments/lowered";
import type { PieceSource } from "../predict/segments/pieces";
import { type Int8Plan, int8Candidates, packTensors } from "./packing";

export interface PieceModel extends LoweredModel<HostTensor> {
  readonly engine: Engine;
}

/** Pieces whose weights are as the plan has them, and are run as predict runs them here; as they are without one. */
export function plannedPieces(model: PieceModel, plan: Int8Plan | null): PieceSource {
  const { engine } = model;
  return piecesBy(model, async (piece, tensors, prefix) => {
    if (!plan) return openPiece(engine, piece, tensors);
    const packed = packTensors(piece.graph, tensors, plan, prefix);
    return openPiece(engine, piece, constantsOf(packed, (await engine.saturates?.()) ?? false));
  });
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
