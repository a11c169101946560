// Attention as one node, for devices where onnxruntime has it in one kernel: CUDA's is flash attention's kind, and a device
// that starts a kernel for each of eleven nodes waits more than it computes on short texts. Inference alone: gradients and recorded
// probabilities need what lies between.

import { type Graph, type Node, only, producers, useCounts, type Value } from "../graph/graph";
import { type Builder, rewrite } from "./rewrite";

/** query [b, q, h], key and value [b, l, h], bias [b, 1, q, l]; heads, scale -> [b, q, h] */
export const ATTENTION = "Attention";

const isHeadSwap = (node: Node | undefined): node is Node =>
  node?.op === "Transpose" && `${node.attributes["perm"]}` === "0,2,1,3";

/** Replaces softmax(scale Q K^T + bias) V of several heads, wherever it stands in full and nothing else reads its probabilities. */
export function fuseAttention(graph: Graph): Graph {
  const [made, uses] = [producers(graph.nodes), useCounts(graph)];
  const probabilitiesOf = (node: Node) => made.get(node.inputs[0]?.id ?? -1)?.inputs[0];
  return rewrite(graph, (node, [context], builder) => {
    if (!isHeadSwap(node) || uses.get(probabilitiesOf(node)?.id ?? -1) !== 1) return null;
    const found = matchAttention(context as Value, builder);
    if (!found) return null;
    const { query, key, value, bias, scale } = found;
    const [batch, positions, heads, width] = query.shape as [number, number, number, number];
    const joined = (x: Value) => {
      const shape = [x.shape[0] as number, x.shape[1] as number, heads * width];
      return builder.emit("Reshape", [x], { shape }, [{ shape, dtype: "float32" }])[0] as Value;
    };
    const wide = [batch, 1, positions, key.shape[1] as number];
    const spread =
      positions === 1
        ? bias
        : builder.emit("BroadcastTo", [bias], { shape: wide }, [{ shape: wide, dtype: "float32" }])[0];
    const shape = [batch, positions, heads * width];
    const inputs = [joined(query), joined(key), joined(value), spread as Value];
    const [output] = builder.emit(ATTENTION, inputs, { heads, scale }, [{ shape, dtype: "float32" }]) as [Value];
    return builder.emit("Reshape", [output], { shape: [...only(node).shape] }, [only(node)]);
  });
}

/** The operands [b, positions, heads, width] of the product that `context` [b, heads, q, width] is. */
function matchAttention(context: Value, builder: Builder) {
  const product = builder.producer(context);
  if (product?.op !== "BatchMatMul") return null;
  const { transposeA, transposeB, alpha } = product.attributes;
  if (transposeA || transposeB || alpha !== undefined) return null;
  const [probabilities, values] = product.inputs as [Value, Value];
  const softmax = builder.producer(probabilities);
  if (softmax?.op !== "Softmax" || softmax.attributes["axis"] !== 3) return null;
  const sum = builder.producer(softmax.inputs[0] as Value);
  if (sum?.op !== "Add") return null;
  const [scores, bias] = sum.inputs as [Value, Value];
  const scored = builder.producer(scores);
  if (scored?.op !== "BatchMatMul" || scored.attributes["transposeA"] || !scored.attributes["transposeB"]) return null;
  const [query, key] = scored.inputs as [Value, Value];
  const heads = [query, key, values].map((x) => builder.producer(x));
  if (!heads.every(isHeadSwap)) return null;
  const [q, k, v] = heads.map(({ inputs }) => inputs[0] as Value) as [Value, Value, Value];
  const [batch, , , width] = q.shape as [number, number, number, number];
  if (`${bias.shape}` !== `${[batch, 1, 1, k.shape[1]]}` || `${k.shape}` !== `${v.shape}`) return null;
  const scale = (scored.attributes["alpha"] as number | undefined) ?? 1;
  return width > 0 ? { query: q, key: k, value: v, bias, scale } : null;
}
