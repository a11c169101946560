// The passes in their order.

import type { Graph } from "../graph/graph";
import { fuseProducts } from "./products";
import { recomputeGelu } from "./recompute";
import { withoutDeadNodes } from "./rewrite";
import { simplify } from "./simplify";

/** The graph as it is lowered: the same values up to rounding, from fewer nodes and with less to keep. */
export function optimise(graph: Graph): Graph {
  return withoutDeadNodes(recomputeGelu(fuseProducts(simplify(graph))));
}
