// onnxruntime-node, as far as it is used here; its own types come with a package that may be absent.

import { float32, type HostTensor, int32, sizeOf } from "../model/tensors";

export interface OnnxRuntime {
  readonly InferenceSession: {
    create(model: Uint8Array, options: Readonly<Record<string, unknown>>): Promise<OrtSession>;
  };
  readonly Tensor: new (
    type: string,
    elements: Float32Array | Int32Array | Uint8Array,
    dims: readonly number[],
  ) => OrtTensor;
  readonly env: { readonly versions: { readonly node?: string } };
}

export interface OrtTensor {
  readonly data: Float32Array | Int32Array | Uint8Array;
  readonly dims: readonly number[];
}

export interface OrtSession {
  run(
    feeds: Readonly<Record<string, OrtTensor>>,
    fetches: Readonly<Record<string, OrtTensor>>,
  ): Promise<Readonly<Record<string, OrtTensor>>>;
  release(): Promise<void>;
}

/** The same memory as onnxruntime sees it. */
export const toOrt = (runtime: OnnxRuntime, { dtype, data, shape }: HostTensor): OrtTensor =>
  new runtime.Tensor(dtype, data, shape);

/** A tensor to be written. */
export function emptyTensor({
  shape,
  dtype,
}: {
  readonly shape: readonly number[];
  readonly dtype: string;
}): HostTensor {
  if (dtype === "int32") return int32(shape, new Int32Array(sizeOf(shape)));
  if (dtype === "float32") return float32(shape, new Float32Array(sizeOf(shape)));
  throw new Error(`an output has dtype ${dtype}; programs give float32 and int32`);
}
