// A pass for TensorFlow alone: GELU goes before the reshape that stands between it and its product, where
// TensorFlow's optimizer makes product, bias and GELU one oneDNN call. It costs a pass over the widest activations else.

import { type Graph, only, type Value } from "../graph/graph";
import { type Rewrite, rewrite } from "../passes/rewrite";
import { reshape } from "../passes/simplify";

export const joinGelus = (graph: Graph): Graph => rewrite(graph, joinGelu);

const joinGelu: Rewrite = (node, inputs, builder) => {
  const made = node.op === "Gelu" ? builder.producer(inputs[0] as Value) : undefined;
  const before = made?.op === "Reshape" ? made.inputs[0] : undefined;
  if (!before || builder.producer(before)?.op !== "Affine") return null;
  const [activated] = builder.emit("Gelu", [before], {}, [before]);
  return [reshape(activated as Value, only(node).shape, builder)];
};
