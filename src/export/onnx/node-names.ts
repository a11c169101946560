// Names for people: what a node computes, by the weights that it reads. Netron and profilers then show
// trunk/layer_03/attention/query and rte/layer_07/... where the lowering has numbers.

import type { OnnxGraph, OnnxNode } from "../../compile/onnx/proto";
import { inLayerName, layerOf, withoutPrefix } from "../../model/families/families";
import { scope } from "../../model/parameters";

/** A path such as trunk/layer_03/attention, and the place in the graph where its value was made. */
interface Scope {
  readonly path: string;
  readonly made: number;
}

/** What stands between the inputs and the first weight: masks, casts, sizes. */
const INPUTS = "inputs";

/**
 * The graph with a name for each node and each value between. Inputs, outputs and weights keep their names.
 * A node that reads a weight has the weight's module for its name; any other has what its inputs have in common and its
 * operator's name, with a number where there are several.
 * @param tasks whose weights stand under their scope
 */
export function nameNodes(graph: OnnxGraph, tasks: readonly string[]): OnnxGraph {
  const kept = new Set([...graph.inputs, ...graph.outputs, ...graph.initializers].map(({ name }) => name));
  const scopes = new Map<string, Scope>(graph.inputs.map(({ name }) => [name, { path: INPUTS, made: -1 }]));
  const names = new Map<string, string>();
  const taken = new Set<string>(kept);
  const nodes = graph.nodes.map((node, made): OnnxNode => {
    const module = node.inputs.map((input) => moduleOf(input, tasks)).find((found) => found != null);
    const path = module ?? shared(node.inputs.flatMap((input) => scopes.get(input) ?? []));
    const isProduct = module != null && /^(MatMul|Gemm|Gather)/.test(node.op);
    const name = unique(isProduct ? path : `${path}/${node.op}`, taken);
    for (const output of node.outputs) {
      scopes.set(output, { path, made });
      if (output !== "" && !kept.has(output)) names.set(output, unique(`${name}/output`, taken));
    }
    return { ...node, name };
  });
  const renamed = (value: string) => names.get(value) ?? value;
  return {
    ...graph,
    nodes: nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(renamed),
      outputs: node.outputs.map(renamed),
    })),
  };
}

/** The module that a weight belongs to, in whatever form it is stored; null for a constant of the lowering and other values. */
function moduleOf(weight: string, tasks: readonly string[]): string | null {
  const task = tasks.find((name) => weight.startsWith(scope(name)));
  const own = task === undefined ? weight : weight.slice(scope(task).length);
  const [, name] = /^([\w.+]+)\.(?:weight(?:_\w+)?|bias)$/.exec(own) ?? [];
  if (name === undefined) return null;
  const layer = layerOf(name);
  const path = Number.isNaN(layer)
    ? withoutPrefix(name)
    : `layer_${String(layer).padStart(2, "0")}.${inLayerName(name)}`;
  return `${task ?? "trunk"}/${path.replaceAll(".", "/").replace(/attention\/(self|attn)\//, "attention/")}`;
}

/** What the values that a node reads have in common, as far as they are of the layer that was made last. */
function shared(scopes: readonly Scope[]): string {
  const last = scopes.reduce<Scope | null>(
    (latest, scope) => (latest && latest.made > scope.made ? latest : scope),
    null,
  );
  if (!last) return INPUTS;
  const layer = layerPath(last.path);
  return scopes
    .filter(({ path }) => layerPath(path) === layer)
    .map(({ path }) => path)
    .reduce(commonPath, last.path);
}

/** rte/layer_07 of rte/layer_07/attention/query. */
const layerPath = (path: string) => path.split("/").slice(0, 2).join("/");

function commonPath(a: string, b: string): string {
  const [left, right] = [a.split("/"), b.split("/")];
  const differ = left.findIndex((part, i) => part !== right[i]);
  return (differ < 0 ? left : left.slice(0, differ)).join("/");
}

function unique(wanted: string, taken: Set<string>): string {
  let name = wanted;
  for (let count = 2; taken.has(name); count++) name = `${wanted}_${count}`;
  taken.add(name);
  return name;
}
