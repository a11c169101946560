// Splits a step in two: what a compiled graph computes, and the update of the state, which is done in place where
// the state lies (the onnx engine keeps it in host memory).

import { type Graph, type Node, producers, type Value } from "../graph/graph";
import { withoutDeadNodes } from "./rewrite";

export interface SplitGraph {
  readonly device: Graph;
  /** Its inputs are those of the whole graph and, under `handOver/<number>`, outputs of `device`. */
  readonly host: Graph;
}

const HAND_OVER = "handOver/";

/** Moves the nodes of some ops to the host. Throws where another node needs what one of them makes. */
export function splitGraph(graph: Graph, hostOps: ReadonlySet<string>): SplitGraph {
  const isHost = ({ op }: Node) => hostOps.has(op);
  const made = producers(graph.nodes);
  const onHost = (value: Value) => {
    const node = made.get(value.id);
    return node !== undefined && isHost(node);
  };
  const device = graph.nodes.filter((node) => !isHost(node));
  const host = graph.nodes.filter(isHost);
  const late = device.find((node) => node.inputs.some(onHost));
  if (late) throw new Error(`${late.op} needs the result of an update, which is done after everything else`);

  const inputs = new Map<string, Value>();
  const names = new Map([...graph.inputs].map(([name, { id }]) => [id, name]));
  const handedOver = new Map<string, Value>();
  for (const value of host.flatMap((node) => node.inputs).filter((input) => !onHost(input))) {
    if (!names.has(value.id)) {
      const name = `${HAND_OVER}${handedOver.size}`;
      names.set(value.id, name);
      handedOver.set(name, value);
    }
    inputs.set(names.get(value.id) as string, value);
  }
  const outputs = [...graph.outputs];
  return {
    device: withoutDeadNodes({
      inputs: graph.inputs,
      nodes: device,
      outputs: new Map([...outputs.filter(([, value]) => !onHost(value)), ...handedOver]),
    }),
    host: { inputs, nodes: host, outputs: new Map(outputs.filter(([, value]) => onHost(value))) },
  };
}
