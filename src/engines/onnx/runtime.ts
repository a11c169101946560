// onnxruntime-node, as far as it is used here; its own types come with a package that may be absent.

import { float32, type HostTensor, int32, sizeOf } from "../../model/tensors";

/** Models of opset 20 are read from this version on. */
const OLDEST = [1, 18] as const;

type OrtElements = Float32Array | Int32Array | BigInt64Array | Uint8Array;

export interface OnnxRuntime {
  readonly InferenceSession: {
    /** A model's bytes, or its path. */
    create(model: Uint8Array | string, options: Readonly<Record<string, unknown>>): Promise<OrtSession>;
  };
  readonly Tensor: new (type: string, elements: OrtElements, dims: readonly number[]) => OrtTensor;
  readonly env: { readonly versions: { readonly node?: string } };
}

export interface OrtTensor {
  readonly data: OrtElements;
  readonly dims: readonly number[];
}

export interface OrtValueMetadata {
  readonly name: string;
  readonly type: string;
  /** Names are symbolic sizes. */
  readonly shape: readonly (number | string)[];
}

export interface OrtSession {
  readonly inputMetadata: readonly OrtValueMetadata[];
  readonly outputMetadata: readonly OrtValueMetadata[];
  run(
    feeds: Readonly<Record<string, OrtTensor>>,
    fetches?: Readonly<Record<string, OrtTensor>>,
  ): Promise<Readonly<Record<string, OrtTensor>>>;
  release(): Promise<void>;
}

/**
 * Before the library is loaded, unless the user has set the variable: on Linux it sends usage to its maker, and leaves a device
 * id in the user's cache and a log of each process in the temporary folder.
 */
export function silenceTelemetry(): void {
  process.env["ORT_DISABLE_TELEMETRY"] ??= "1";
}

/**
 * Loads the package, with its telemetry off.
 * Throws where it is not installed, does not load, or is too old for the models written here.
 */
export function loadOnnxRuntime(): OnnxRuntime {
  silenceTelemetry();
  const runtime = require("onnxruntime-node") as Partial<OnnxRuntime>;
  const version = runtime.env?.versions?.node ?? "of unknown version";
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])) return runtime as OnnxRuntime;
  throw new Error(`it is ${version}, and ${OLDEST.join(".")} or later is needed`);
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
