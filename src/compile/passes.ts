// The passes in their order.

import type { Graph } from "./graph";
import { fuseProducts } from "./products";
import { simplify } from "./simplify";

/** The graph as it is lowered: the same values up to rounding, from fewer nodes. */
export function optimise(graph: Graph): Graph {
  return fuseProducts(simplify(graph));
}
