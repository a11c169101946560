// Tracing: a tfjs backend whose kernels compute shapes and dtypes and write down nodes. Any pure function over
// tensors traces, gradients included, because tfjs builds gradients of kernels; nothing is executed.
// A traced value has no elements: whatever reads one cannot be compiled, and the error says where it did.

import * as tf from "@tensorflow/tfjs-core";
import { type Elements, type Graph, type Node, newValue, type Value, type ValueType } from "./graph";
import { fill, kernelRules } from "./kernel-rules";

const BACKEND = "trace";

export type TracedFunction = (inputs: Record<string, tf.Tensor>) => Record<string, tf.Tensor>;

/**
 * Records what `compute` does with inputs of these types. tfjs's gradients must be registered if it takes any.
 * The current tfjs backend is the same afterwards, and no tensor is left, also when `compute` throws.
 * Throws where `compute` reads a traced value, runs a kernel without a rule, or uses a tensor that is no input.
 */
export function trace(compute: TracedFunction, inputs: Readonly<Record<string, ValueType>>): Graph {
  registerKernels();
  const recorder = new TraceBackend();
  return onBackend(recorder, () => {
    let graph: Graph | undefined;
    tf.tidy(() => {
      graph = record(compute, inputs, recorder);
    });
    return graph as Graph;
  });
}

function record(compute: TracedFunction, inputs: Readonly<Record<string, ValueType>>, recorder: TraceBackend): Graph {
  const named = new Map<string, Value>();
  const tensors: Record<string, tf.Tensor> = {};
  for (const [name, type] of Object.entries(inputs)) {
    const value = newValue(type);
    named.set(name, value);
    tensors[name] = tf.engine().makeTensorFromTensorInfo(recorder.hold(value), recorder);
  }
  const results = Object.entries(compute(tensors));
  const outputs = results.map(([name, tensor]) => [name, recorder.traced(tensor)] as const);
  return { inputs: named, nodes: recorder.nodes, outputs: new Map(outputs) };
}

/** Runs `body` with the recorder as tfjs's backend. Each call takes effect before it returns: the factory is synchronous. */
function onBackend(recorder: TraceBackend, body: () => Graph): Graph {
  const before = tf.engine().backendName as string | null;
  if (before === BACKEND) throw new Error("a function that is being traced was traced again from within");
  tf.registerBackend(BACKEND, () => recorder);
  void tf.setBackend(BACKEND);
  try {
    return body();
  } finally {
    tf.removeBackend(BACKEND);
    if (before) void tf.setBackend(before);
  }
}

interface Held {
  readonly value: Value;
  /** The kernel that made it, for errors. */
  readonly kernel: string;
}

class TraceBackend extends tf.KernelBackend {
  readonly nodes: Node[] = [];
  private readonly held = new Map<object, Held>();

  hold(value: Value, kernel = "input"): tf.TensorInfo {
    const dataId = {};
    this.held.set(dataId, { value, kernel });
    return { dataId, shape: [...value.shape], dtype: value.dtype };
  }

  traced({ dataId, shape, dtype }: tf.TensorInfo): Value {
    const held = this.held.get(dataId);
    if (!held) {
      throw new Error(
        `a traced function uses a tensor (${dtype} [${shape}]) that is not among its inputs, at ${callSite()}. ` +
          "Pass it as an input or as part of the state",
      );
    }
    return held.value;
  }

  record(
    kernel: string,
    inputs: tf.NamedTensorInfoMap,
    attributes: tf.NamedAttrMap | undefined,
  ): tf.TensorInfo | tf.TensorInfo[] {
    const values = Object.entries(inputs).map(([name, info]) => [name, this.traced(info as tf.TensorInfo)] as const);
    const rule = kernelRules[kernel] as (typeof kernelRules)[string];
    const recorded = rule(Object.fromEntries(values), attributes ?? {});
    const outputs = recorded.types.map(newValue);
    this.nodes.push({ op: recorded.op, inputs: recorded.inputs, attributes: recorded.attributes, outputs });
    const infos = outputs.map((value) => this.hold(value, kernel));
    return infos.length === 1 ? (infos[0] as tf.TensorInfo) : infos;
  }

  override write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): object {
    if (dtype !== "float32" && dtype !== "int32" && dtype !== "bool") {
      throw new Error(`a traced function makes a constant of dtype ${dtype}; only float32, int32 and bool trace`);
    }
    const value = newValue({ shape, dtype });
    this.nodes.push(constantNode(value, values as Elements));
    return this.hold(value, "a constant").dataId;
  }

  override readSync(dataId: object): never {
    const held = this.held.get(dataId);
    const what = held ? `the result of ${held.kernel} (${held.value.dtype} [${held.value.shape}])` : "a value";
    throw new Error(
      `${what} is read at ${callSite()} while the function is traced: a compiled step cannot look at values, ` +
        "only compute with them",
    );
  }

  override async read(dataId: object): Promise<never> {
    return this.readSync(dataId);
  }

  override move(_: object, __: tf.BackendValues, shape: number[], dtype: tf.DataType): never {
    throw new Error(`a traced function uses a tensor (${dtype} [${shape}]) of another backend, at ${callSite()}`);
  }

  override disposeData(dataId: object): boolean {
    return this.held.delete(dataId);
  }

  override refCount(dataId: object): number {
    return this.held.has(dataId) ? 1 : 0;
  }

  override incRef(): void {}

  override numDataIds(): number {
    return this.held.size;
  }

  override floatPrecision(): 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7; // what every float32 backend of tfjs says
  }

  override memory() {
    return { unreliable: false };
  }

  override dispose(): void {}
}

function constantNode(value: Value, elements: Elements): Node {
  const first = elements[0];
  if (first !== undefined && elements.every((element) => Object.is(element, first))) {
    const { op, attributes } = fill(value.shape, value.dtype, first);
    return { op, inputs: [], attributes, outputs: [value] };
  }
  // tfjs hands over the caller's own array, which may change after the trace.
  return { op: "Constant", inputs: [], attributes: { elements: elements.slice() }, outputs: [value] };
}

let registered = false;

/** Registers a recording kernel for every rule; for kernels without one tfjs's error would not name the remedy. */
function registerKernels(): void {
  if (registered) return;
  registered = true;
  const names = new Set(tf.getKernelsForBackend("cpu").map(({ kernelName }) => kernelName));
  for (const kernelName of Object.keys(kernelRules)) names.add(kernelName);
  for (const kernelName of names) {
    if (kernelName === "Identity") continue;
    tf.registerKernel({
      kernelName,
      backendName: BACKEND,
      kernelFunc: ({ inputs, attrs, backend }) => {
        if (!(kernelName in kernelRules)) throw new Error(`kernel ${kernelName} has no tracing rule, at ${callSite()}`);
        return (backend as TraceBackend).record(kernelName, inputs, attrs);
      },
    });
  }
  tf.registerKernel({
    kernelName: "Identity",
    backendName: BACKEND,
    kernelFunc: ({ inputs, backend }) => {
      const recorder = backend as TraceBackend;
      return recorder.hold(recorder.traced(inputs["x"] as tf.TensorInfo), "Identity");
    },
  });
}

/** tfjs as installed and as source maps name it, its run-time library, this file, and Node itself. */
const FOREIGN_FRAME =
  /@tensorflow|[\\/]tfjs[\w-]*[\\/]src[\\/]|[\\/]tslib[\\/]|[\\/]compile[\\/]graph[\\/]trace\.[jt]s|node:internal|<anonymous>/;

/** The innermost stack frame that is neither tfjs's nor the tracer's. */
function callSite(): string {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = 50; // tfjs calls through many frames of its own
  const frames = (new Error().stack ?? "").split("\n").slice(1);
  Error.stackTraceLimit = limit;
  const outside = frames.find((frame) => !FOREIGN_FRAME.test(frame));
  return outside?.trim().replace(/^at /, "") ?? "an unknown place";
}
