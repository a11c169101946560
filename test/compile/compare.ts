// Runs one function twice: op by op on tfjs's cpu backend, the reference, and compiled. Nothing is shared but inputs.

import { expect } from "@jest/globals";
import type { Graph } from "../../src/compile/graph/graph";
import { type LoweringOptions, toOnnx } from "../../src/compile/onnx/onnx";
import { loadEagerly, registerGradients } from "../../src/engines/eager";
import type { Engine } from "../../src/engines/engine";
import { type OnnxRuntime, type OrtTensor, toOrt } from "../../src/engines/onnx/runtime";
import { openEngine } from "../../src/engines/open";
import type { DynamicAxes, Tensors } from "../../src/model/entry-point";
import { type Bits, float32, type HostTensor, type HostTensors, int32, sizeOf } from "../../src/model/tensors";

export type Compute = (inputs: Tensors) => Tensors;

export const openOnnxEngine = async (): Promise<Engine> => (await openEngine("onnx", { threads: 1 })).engine;

/** The function's outputs on tfjs's cpu backend, which is current afterwards. */
export async function onCpu(compute: Compute, inputs: HostTensors): Promise<HostTensors> {
  await registerGradients();
  const tf = await import("@tensorflow/tfjs-core");
  await tf.setBackend("cpu");
  const program = loadEagerly({}, { compute: (_, given) => ({ outputs: compute(given) }) });
  const outputs = await program.run("compute", inputs);
  program.dispose();
  return outputs;
}

/** The function's outputs for each call, from one program of the engine. */
export async function compiled(
  engine: Engine,
  compute: Compute,
  calls: readonly HostTensors[],
  axes: DynamicAxes = {},
): Promise<{ outputs: HostTensors[]; graphs: number }> {
  const program = await engine.load({}, { compute: (_, given) => ({ outputs: compute(given) }) }, { compute: axes });
  try {
    const outputs: HostTensors[] = [];
    for (const call of calls) outputs.push(await program.run("compute", call));
    return { outputs, graphs: program.compiled()?.graphs ?? 0 };
  } finally {
    program.dispose();
  }
}

/** A graph's outputs, straight through onnxruntime without its own optimisations. Inputs of `options.bits` are fed as bits. */
export async function runGraph(graph: Graph, inputs: HostTensors, options: LoweringOptions = {}): Promise<HostTensors> {
  const runtime = require("onnxruntime-node") as OnnxRuntime;
  const session = await runtime.InferenceSession.create(toOnnx(graph, options), {
    executionProviders: ["cpu"],
    intraOpNumThreads: 1,
    graphOptimizationLevel: "disabled",
    logSeverityLevel: 3,
  });
  const feed = async (name: string): Promise<[string, OrtTensor]> => {
    const tensor = inputs[name] as HostTensor;
    if (!options.bits?.has(name)) return [name, toOrt(runtime, tensor)];
    const bytes = await (tensor as { bits: Bits }).bits.bytes();
    const [type, elements] = options.webgpu
      ? (["int32", Int32Array.from(bytes)] as const)
      : (["uint8", bytes] as const);
    return [name, new runtime.Tensor(type, elements, [bytes.length])];
  };
  const feeds = await Promise.all([...graph.inputs.keys()].map(feed));
  const results = await session.run(Object.fromEntries(feeds));
  const outputs = [...graph.outputs].map(([name, { dtype }]): [string, HostTensor] => {
    const { data, dims } = results[name] as OrtTensor;
    return [
      name,
      dtype === "int32"
        ? int32(dims, (data as Int32Array).slice())
        : float32(dims, Float32Array.from(data as Float32Array)),
    ];
  });
  await session.release();
  return Object.fromEntries(outputs);
}

/** Same names, shapes and dtypes, and values within `tolerance` of their size; NaN and infinities at the same places. */
export function expectSame(actual: HostTensors, expected: HostTensors, tolerance = 1e-5): void {
  expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort());
  for (const [name, { data, shape, dtype }] of Object.entries(expected)) {
    const found = actual[name] as HostTensor;
    expect({ name, dtype: found.dtype, shape: [...found.shape] }).toEqual({ name, dtype, shape: [...shape] });
    const apart = Array.from(data).flatMap((wanted, i) => {
      const got = found.data[i] as number;
      const close = Object.is(got + 0, wanted + 0) || Math.abs(got - wanted) <= tolerance * (1 + Math.abs(wanted));
      return close ? [] : [`${name}[${i}] is ${got}, wanted ${wanted}`];
    });
    expect(apart).toEqual([]);
  }
}

export const f32 = (shape: readonly number[], values: Iterable<number>): HostTensor =>
  float32(shape, Float32Array.from(values));
export const i32 = (shape: readonly number[], values: Iterable<number>): HostTensor =>
  int32(shape, Int32Array.from(values));

/** Numbers of both signs, none of them zero, that differ from each other. */
export function spread(shape: readonly number[], from = 0): HostTensor {
  const wave = (i: number) => Math.sin((i + from) * 1.7 + 0.3) * 2 + 0.01;
  return f32(
    shape,
    Array.from({ length: sizeOf(shape) }, (_, i) => wave(i)),
  );
}
