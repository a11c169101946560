// An ONNX model as its users run it: opened from its file by onnxruntime, with nothing known but names. What flexbert
// writes for others is checked through this; its own programs go through onnx.ts.

import { float32, type HostTensors, type int32 } from "../model/tensors";
import { loadOnnxRuntime, type OrtTensor } from "./onnx-runtime";

export interface OnnxFile {
  /** Runs the model. Inputs of int32 go in as int64; outputs must be float32. */
  run(inputs: Readonly<Record<string, ReturnType<typeof int32>>>): Promise<HostTensors>;
  close(): Promise<void>;
}

/** Opens a model's file, and files beside it to which it refers. Throws onnxruntime's error for what it cannot run. */
export type OpenOnnxFile = (path: string) => Promise<OnnxFile>;

/** What opens models. Throws as {@link loadOnnxRuntime} does. */
export function onnxFileOpener({ threads }: { readonly threads?: number }): OpenOnnxFile {
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
          feeds[name] = new runtime.Tensor("int64", BigInt64Array.from(data, BigInt), shape);
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
