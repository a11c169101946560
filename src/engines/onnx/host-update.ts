// State that is updated in place in host memory: parameters, moments and gradients lie in WebAssembly memories, whose
// buffers onnxruntime reads and writes without copying and AdamW's SIMD kernel updates in one pass. Measured against
// the update as ONNX nodes in docs/decisions.md.

import type { Graph, Node, Value } from "../../compile/graph/graph";
import { sizeOf } from "../../model/tensors";
import { wasmModule } from "./adamw.gen";

/** What the host computes itself. */
export const hostOps: ReadonlySet<string> = new Set(["GlobalNorm", "AdamW"]);

interface Kernels {
  update(
    parameter: number,
    m: number,
    v: number,
    gradient: number,
    length: number,
    factor: number,
    stepSize: number,
    secondCorrection: number,
    decay: number,
  ): void;
  sumOfSquares(x: number, length: number): number;
}

/** A tensor's place. */
interface Region {
  readonly kernels: Kernels;
  readonly address: number;
  /** Floats, rounded up to a multiple of 4; those beyond the tensor are zero. */
  readonly length: number;
  readonly view: Float32Array;
}

export interface HostUpdate {
  /** Where the tensors lie that the update reads or writes, by the names of the host graph's inputs. */
  readonly tensors: ReadonlyMap<string, Float32Array>;
  /** Runs the update in place. @returns the host graph's scalar outputs, by name */
  run(scalars: ReadonlyMap<string, number>): Map<string, number>;
}

const PAGE = 65_536;
/** Bytes of one memory: below WebAssembly's 4 GiB, and few enough memories that their reservations do not add up. */
const MOST_BYTES = 3 * 2 ** 30;
const FLOAT_BYTES = 4;
const VECTOR_FLOATS = 4;

/** Lays out everything that a host graph works on, in zeros. Parts of one update share a memory. */
export function openHostUpdate({ inputs, nodes, outputs }: Graph): HostUpdate {
  const names = new Map([...inputs].map(([name, { id }]) => [id, name]));
  const updates = nodes.filter(({ op }) => op === "AdamW");
  const groups = updates.map((node) => node.inputs.slice(0, 4));
  const regions = layOut(groups);
  const loose = [...inputs.values()].filter(({ id, shape }) => shape.length > 0 && !regions.has(id));
  for (const [id, region] of layOut(loose.map((value) => [value]))) regions.set(id, region);

  const tensors = new Map<string, Float32Array>();
  for (const [id, { view }] of regions) {
    const name = names.get(id);
    if (name === undefined) throw new Error("an update reads a tensor that another update makes");
    tensors.set(name, view);
  }
  return {
    tensors,
    run(scalars) {
      const known = new Map([...scalars].map(([name, number]) => [(inputs.get(name) as Value).id, number]));
      for (const node of nodes) runNode(node, regions, known);
      const results = [...outputs].filter(([, { shape }]) => shape.length === 0);
      return new Map(results.map(([name, { id }]) => [name, known.get(id) as number]));
    },
  };
}

function runNode(node: Node, regions: ReadonlyMap<number, Region>, known: Map<number, number>): void {
  const region = (at: number) => regions.get((node.inputs[at] as Value).id) as Region;
  const scalar = (at: number) => known.get((node.inputs[at] as Value).id) as number;
  if (node.op === "GlobalNorm") {
    const total = node.inputs.reduce((sum, _, at) => {
      const { kernels, address, length } = region(at);
      return sum + kernels.sumOfSquares(address, length);
    }, 0);
    const norm = Math.fround(Math.sqrt(total));
    const clipNorm = node.attributes["clipNorm"] as number;
    const [normValue, factorValue] = node.outputs as [Value, Value];
    known.set(normValue.id, norm);
    // NaN stays NaN: a diverged step must not look like a clipped one.
    known.set(factorValue.id, clipNorm > 0 ? Math.min(clipNorm / (norm + 1e-6), 1) : 1);
    return;
  }
  const [parameter, m, v, gradient] = [region(0), region(1), region(2), region(3)];
  const decay = node.inputs.length > 7 ? scalar(7) : 1;
  parameter.kernels.update(
    parameter.address,
    m.address,
    v.address,
    gradient.address,
    parameter.length,
    scalar(4),
    scalar(5),
    scalar(6),
    decay,
  );
}

const padded = ({ shape }: Value): number => Math.ceil(sizeOf(shape) / VECTOR_FLOATS) * VECTOR_FLOATS;

/** A region for each value; the values of one group lie in one memory. */
function layOut(groups: readonly (readonly Value[])[]): Map<number, Region> {
  const regions = new Map<number, Region>();
  let waiting: (readonly Value[])[] = [];
  let bytes = 0;
  const flush = () => {
    if (waiting.length > 0) for (const [id, region] of allocate(waiting.flat(), bytes)) regions.set(id, region);
    waiting = [];
    bytes = 0;
  };
  for (const group of groups) {
    const size = group.reduce((sum, value) => sum + padded(value) * FLOAT_BYTES, 0);
    if (bytes + size > MOST_BYTES) flush();
    waiting.push(group);
    bytes += size;
  }
  flush();
  return regions;
}

function allocate(values: readonly Value[], bytes: number): Map<number, Region> {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE) });
  const module = new WebAssembly.Module(Buffer.from(wasmModule, "base64"));
  const kernels = new WebAssembly.Instance(module, { host: { memory } }).exports as unknown as Kernels;
  const regions = new Map<number, Region>();
  let address = 0;
  for (const value of values) {
    const length = padded(value);
    const view = new Float32Array(memory.buffer, address, sizeOf(value.shape));
    regions.set(value.id, { kernels, address, length, view });
    address += length * FLOAT_BYTES;
  }
  return regions;
}
