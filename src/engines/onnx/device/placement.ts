// Which nodes of a run a device's provider had, out of the profiles that onnxruntime writes: a provider leaves to the CPU what it has no
// kernel for, and onnxruntime leaves there what computes shapes.

import { readFileSync } from "node:fs";

export interface Placement {
  /** That ran, copies left out; one that runs again counts once. */
  readonly nodes: number;
  /** Of them on the CPU, by operator, the most frequent first. */
  readonly onCpu: readonly { readonly op: string; readonly nodes: number }[];
  /** Between the device's memory and the host's, within a graph. */
  readonly copies: number;
}

/** What is read of an event of a profile. */
interface ProfileEvent {
  readonly cat: string;
  readonly name: string;
  readonly args?: { readonly provider?: string; readonly op_name?: string; readonly node_index?: string };
}

/** Nodes that onnxruntime puts in, with the device's name as their provider. */
const copyOps: ReadonlySet<string> = new Set(["MemcpyFromHost", "MemcpyToHost"]);

/** Of one profile a session. Throws where they have no node: nothing was recorded then. */
export function readPlacement(files: readonly string[]): Placement {
  const counts = new Map<string, number>();
  let [nodes, copies] = [0, 0];
  for (const file of files) {
    for (const { op, provider } of nodesOf(JSON.parse(readFileSync(file, "utf8")))) {
      if (copyOps.has(op)) {
        copies += 1;
        continue;
      }
      nodes += 1;
      if (provider === "CPUExecutionProvider") counts.set(op, (counts.get(op) ?? 0) + 1);
    }
  }
  if (nodes === 0) throw new Error(`onnxruntime's profile names no node (${files.length} files)`);
  const onCpu = [...counts].map(([op, count]) => ({ op, nodes: count }));
  return { nodes, copies, onCpu: onCpu.sort((a, b) => b.nodes - a.nodes || (a.op < b.op ? -1 : 1)) };
}

/** Each node once, whatever its number of runs. A GPU's kernels are events of their own, without a node. */
function nodesOf(events: readonly ProfileEvent[]): { op: string; provider: string }[] {
  const found = new Map<string, { op: string; provider: string }>();
  for (const { cat, name, args } of events) {
    if (cat !== "Node" || !name.endsWith("_kernel_time") || !args?.provider || !args.op_name) continue;
    found.set(`${args.node_index} ${name}`, { op: args.op_name, provider: args.provider });
  }
  return [...found.values()];
}
