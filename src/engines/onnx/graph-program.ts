// A graph that was lowered before, run from its file: nothing is traced, and TensorFlow.js is not loaded.

import type { HostTensor, HostTensors } from "../../model/tensors";
import type { GraphProgram } from "../engine";
import { emptyTensor, type OnnxRuntime, type OrtTensor, type OrtValueMetadata, toOrt } from "./runtime";

/**
 * Nothing is left for the optimiser: the graph is written with the operators that it would choose, and looking for more
 * takes a third of the time to open one. And no arena: each session keeps one of its own, as large as the largest batch has
 * made it, and a model has as many sessions as it has pieces.
 */
const OPTIONS = { graphOptimizationLevel: "disabled", enableCpuMemArena: false };

export async function openGraphProgram(
  runtime: OnnxRuntime,
  sessionOptions: Readonly<Record<string, unknown>>,
  file: string | Uint8Array,
): Promise<GraphProgram> {
  const session = await runtime.InferenceSession.create(file, { ...sessionOptions, ...OPTIONS });
  const { inputMetadata, outputMetadata } = session;
  return {
    inputs: inputMetadata.map(({ name }) => name),
    async run(inputs) {
      const feeds: Record<string, OrtTensor> = {};
      for (const { name } of inputMetadata) feeds[name] = toOrt(runtime, inputs[name] as HostTensor);
      const sizes = sizesOf(inputMetadata, inputs);
      // Written in place: what onnxruntime allocates by itself is copied once more on its way out.
      const outputs: HostTensors = {};
      const fetches: Record<string, OrtTensor> = {};
      for (const { name, type, shape } of outputMetadata) {
        const known = shape.map((size) => (typeof size === "number" ? size : (sizes.get(size) as number)));
        outputs[name] = emptyTensor({ dtype: type, shape: known });
        fetches[name] = toOrt(runtime, outputs[name]);
      }
      await session.run(feeds, fetches);
      return outputs;
    },
    dispose: () => void session.release(),
  };
}

/** What each symbolic size is in a call. */
function sizesOf(metadata: readonly OrtValueMetadata[], inputs: HostTensors): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const { name, shape } of metadata) {
    for (const [axis, size] of shape.entries()) {
      if (typeof size === "string") sizes.set(size, inputs[name]?.shape[axis] as number);
    }
  }
  return sizes;
}
