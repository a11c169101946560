// Runs entry points op by op on a tfjs backend. Owns every tensor of a program's state; inputs and outputs live for
// one call. Compiled engines come beside it: recipes cannot tell which one runs them.

import * as tf from "@tensorflow/tfjs-core";
import type { EntryPoint, Tensors } from "../model/entry-point";
import { float32, type HostTensor, type HostTensors, int32 } from "../model/tensors";
import type { Program } from "./engine";
import { registerSumGradients } from "./sum-gradients";

/** tfjs-core's gradients are registered by the tfjs package alone; its CommonJS form exports no other way. */
export async function registerGradients(): Promise<void> {
  if (!tf.getGradient("BatchMatMul")) await import("@tensorflow/tfjs");
  registerSumGradients();
}

/** Copies the state to the current tfjs backend. The program keeps those tensors until `dispose`. */
export function loadEagerly<E extends string>(
  initial: HostTensors,
  entries: Readonly<Record<E, EntryPoint>>,
): Program<E> {
  const state = toDevice(initial);
  let disposed = false;

  return {
    async run(entry, inputs) {
      if (disposed) throw new Error(`${entry} was run on a program that is disposed`);
      const { outputs, next } = tf.tidy(() => {
        const result = entries[entry](state, toDevice(inputs));
        // Kept by the caller of tidy because they are returned; everything between is freed.
        return { outputs: result.outputs, next: result.state ?? {} };
      });
      replace(state, next);
      try {
        return await toHost(outputs);
      } finally {
        const kept = new Set(Object.values(state));
        tf.dispose(Object.values(outputs).filter((tensor) => !kept.has(tensor)));
      }
    },
    state: () => toHost(state),
    compiled: () => null,
    dispose() {
      disposed = true;
      tf.dispose(state);
    },
  };
}

function replace(state: Tensors, next: Tensors): void {
  for (const [name, tensor] of Object.entries(next)) {
    const old = state[name];
    if (!old) throw new Error(`a step returned state ${name}, which the program does not have`);
    if (old === tensor) continue;
    old.dispose();
    state[name] = tensor;
  }
}

function toDevice(tensors: HostTensors): Tensors {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { data, shape, dtype }]) => [name, tf.tensor(data, [...shape], dtype)]),
  );
}

async function toHost(tensors: Tensors): Promise<HostTensors> {
  const entries = Object.entries(tensors).map(async ([name, tensor]) => [name, await read(tensor)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

async function read(tensor: tf.Tensor): Promise<HostTensor> {
  // A copy: some backends hand out a view of memory that they use again.
  if (tensor.dtype === "int32") return int32(tensor.shape, Int32Array.from(await tensor.data<"int32">()));
  return float32(tensor.shape, Float32Array.from(await tensor.data<"float32">()));
}
