// An ONNX model's file, run by onnxruntime. Inputs of int32 go in as int64, others as they are.

import { float32 } from "../../model/tensors";
import type { OpenModelFile } from "../model-file";
import { loadOnnxRuntime, type OrtTensor } from "./runtime";

/** What opens such files. Throws as {@link loadOnnxRuntime} does. */
export function onnxFileOpener({ threads }: { readonly threads?: number }): OpenModelFile {
  const runtime = loadOnnxRuntime();
  const options = {
    executionProviders: ["cpu"],
    logSeverityLevel: 3,
    ...(threads === undefined ? {} : { intraOpNumThreads: threads }),
  };
  return async (path) => {
    const session = await runtime.InferenceSession.create(path, options);
    return {
      async run(inputs) {
        const feeds: Record<string, OrtTensor> = {};
        for (const [name, { data, shape }] of Object.entries(inputs)) {
          feeds[name] =
            data instanceof Float32Array
              ? new runtime.Tensor("float32", data, shape)
              : new runtime.Tensor("int64", BigInt64Array.from(data as Int32Array, BigInt), shape);
        }
        const results = await session.run(feeds);
        return Object.fromEntries(Object.entries(results).map(([name, tensor]) => [name, toFloat32(name, tensor)]));
      },
      close: () => session.release(),
    };
  };
}

function toFloat32(name: string, { data, dims }: OrtTensor) {
  if (!(data instanceof Float32Array)) throw new Error(`the output ${name} is not float32`);
  return float32(dims, data);
}
