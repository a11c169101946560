// Which weights of a model are int8, and how. A plan names weights as a merged model's tensors have them: shared ones by their
// own names, a branch's in its task's scope.

import type { Graph } from "../compile/graph/graph";
import { int8Layouts, int8Weight } from "../compile/onnx/packed";
import type { PackedWeights } from "../merge/folder/int8-blobs";
import { families, inLayerName } from "../model/families/families";
import { type ColumnFactors, columnFactors, type Int8Layout } from "../model/int8";
import { isRamp } from "../model/ramp-names";
import type { HostTensors } from "../model/tensors";

/** Every weight that can be int8 is, but those that are named. */
export interface Int8Plan {
  /** Weights that stay as they are. */
  readonly float32: ReadonlySet<string>;
  /** What was moved into a product's matrix, by its name. */
  readonly moved: ReadonlyMap<string, ColumnFactors>;
  /** Weights that were made before and stay as they are. */
  readonly made: Readonly<PackedWeights>;
}

export const plainPlan: Int8Plan = { float32: new Set(), moved: new Map(), made: {} };

/** A table is int8 where rows are taken of many: the words. Of the others all rows together are a part in a hundred. */
export const isWordTable = (weight: string): boolean => wordTables.some((table) => weight.endsWith(table));

const all = Object.values(families);
const wordTables = [...new Set(all.map(({ names }) => names.words))];

/** The weights of a graph that can be int8. */
export function int8Candidates(graph: Graph): Map<string, Int8Layout> {
  return new Map([...int8Layouts(graph)].filter(([name, layout]) => layout === "matrix" || isWordTable(name)));
}

/**
 * Tensors in the forms that the plan has for them.
 * @param scope what stands before these names in the plan
 */
export function packTensors(graph: Graph, tensors: HostTensors, plan: Int8Plan, scope = ""): PackedWeights {
  const candidates = int8Candidates(graph);
  return Object.fromEntries(
    Object.entries(tensors).map(([name, tensor]): [string, PackedWeights[string]] => {
      const made = plan.made[scope + name];
      if (made) return [name, made];
      const layout = candidates.get(name);
      if (!layout || isRamp(name) || plan.float32.has(scope + name)) return [name, tensor];
      return [name, int8Weight(tensor, layout, plan.moved.get(scope + name))];
    }),
  );
}

/**
 * Where a weight's product reads rows that leave a layer norm, which is where columns are that are much larger than the
 * others: a name that all products of the same rows have in common; null for any other.
 */
function afterNorm(weight: string): string | null {
  const name = weight.slice(weight.lastIndexOf("/") + 1);
  const group = all.flatMap(({ names }) => {
    if (!name.startsWith(names.layers)) return [];
    return names.afterNorm.filter((products) => products.some((product) => inLayerName(name) === `${product}.weight`));
  })[0];
  return group ? `${weight.slice(0, -inLayerName(name).length)}${group[0]}` : null;
}

/**
 * Factors for every product after a layer norm among these tensors.
 * @param largest of each column of each product's rows, the largest magnitude that was seen, by the weight's name
 */
export function movedFactors(
  tensors: HostTensors,
  largest: ReadonlyMap<string, Float32Array>,
): Map<string, ColumnFactors> {
  const groups = new Map<string, string[]>();
  for (const name of Object.keys(tensors)) {
    const group = afterNorm(name);
    if (group === null || !largest.has(name)) continue;
    groups.set(group, [...(groups.get(group) ?? []), name]);
  }
  const moved = new Map<string, ColumnFactors>();
  for (const names of groups.values()) {
    // They read the same rows, but where the topmost layer's queries are of first positions alone.
    const [first, ...others] = names.map((name) => largest.get(name) as Float32Array) as [Float32Array];
    const seen = first.map((value, i) =>
      Math.max(value, ...others.map((other) => (other as Float32Array)[i] as number)),
    );
    const factors = columnFactors(
      seen,
      names.map((name) => tensors[name] as HostTensors[string]),
    );
    for (const name of names) moved.set(name, factors);
  }
  return moved;
}
