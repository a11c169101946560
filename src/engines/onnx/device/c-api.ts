// onnxruntime's C library, called through its C API: what its Node binding leaves out are I/O binding on every provider
// (state that stays on the device between runs) and the providers' own options. The functions stand in one struct whose
// order is part of the API: entries are only ever added at its end (include/onnxruntime/core/session/onnxruntime_c_api.h).

import { loadForGood, loadKoffi } from "./koffi";
import type { IKoffi } from "./koffi-types";

/** The version of the struct that is asked for: every function below is in it. */
const API_VERSION = 18;

/** An address in the library's memory. */
export type Pointer = bigint;

/** Positions in OrtApi, and the functions' C declarations; those that give an OrtStatus give null for success. */
const functions = {
  GetErrorMessage: [2, "str GetErrorMessage(void *status)"],
  CreateEnv: [3, "void *CreateEnv(int level, str id, _Out_ void **out)"],
  CreateSession: [7, "void *CreateSession(void *env, str path, void *options, _Out_ void **out)"],
  CreateSessionFromArray: [
    8,
    "void *CreateSessionFromArray(void *env, void *model, size_t bytes, void *options, _Out_ void **out)",
  ],
  CreateSessionOptions: [10, "void *CreateSessionOptions(_Out_ void **out)"],
  EnableProfiling: [14, "void *EnableProfiling(void *options, str prefix)"],
  DisableMemPattern: [17, "void *DisableMemPattern(void *options)"],
  SetSessionLogSeverityLevel: [22, "void *SetSessionLogSeverityLevel(void *options, int level)"],
  SetSessionGraphOptimizationLevel: [23, "void *SetSessionGraphOptimizationLevel(void *options, int level)"],
  SetIntraOpNumThreads: [24, "void *SetIntraOpNumThreads(void *options, int threads)"],
  SessionGetInputCount: [30, "void *SessionGetInputCount(void *session, _Out_ size_t *out)"],
  SessionGetOutputCount: [31, "void *SessionGetOutputCount(void *session, _Out_ size_t *out)"],
  SessionGetInputName: [
    36,
    "void *SessionGetInputName(void *session, size_t index, void *allocator, _Out_ void **out)",
  ],
  SessionGetOutputName: [
    37,
    "void *SessionGetOutputName(void *session, size_t index, void *allocator, _Out_ void **out)",
  ],
  CreateTensorWithDataAsOrtValue: [
    49,
    "void *CreateTensorWithDataAsOrtValue(void *info, void *data, size_t bytes, void *shape, size_t rank, int type, _Out_ void **out)",
  ],
  GetTensorMutableData: [51, "void *GetTensorMutableData(void *value, _Out_ void **out)"],
  GetTensorElementType: [60, "void *GetTensorElementType(void *info, _Out_ int *out)"],
  GetDimensionsCount: [61, "void *GetDimensionsCount(void *info, _Out_ size_t *out)"],
  GetDimensions: [62, "void *GetDimensions(void *info, _Out_ int64_t *dims, size_t count)"],
  GetTensorTypeAndShape: [65, "void *GetTensorTypeAndShape(void *value, _Out_ void **out)"],
  CreateMemoryInfo: [68, "void *CreateMemoryInfo(str name, int allocator, int id, int memory, _Out_ void **out)"],
  AllocatorFree: [76, "void *AllocatorFree(void *allocator, void *pointer)"],
  GetAllocatorWithDefaultOptions: [78, "void *GetAllocatorWithDefaultOptions(_Out_ void **out)"],
  ReleaseStatus: [93, "void ReleaseStatus(void *status)"],
  ReleaseMemoryInfo: [94, "void ReleaseMemoryInfo(void *info)"],
  ReleaseSession: [95, "void ReleaseSession(void *session)"],
  ReleaseValue: [96, "void ReleaseValue(void *value)"],
  ReleaseTensorTypeAndShapeInfo: [99, "void ReleaseTensorTypeAndShapeInfo(void *info)"],
  ReleaseSessionOptions: [100, "void ReleaseSessionOptions(void *options)"],
  SessionEndProfiling: [110, "void *SessionEndProfiling(void *session, void *allocator, _Out_ void **out)"],
  AddSessionConfigEntry: [130, "void *AddSessionConfigEntry(void *options, str key, str value)"],
  RunWithBinding: [133, "void *RunWithBinding(void *session, void *options, void *binding)"],
  CreateIoBinding: [134, "void *CreateIoBinding(void *session, _Out_ void **out)"],
  ReleaseIoBinding: [135, "void ReleaseIoBinding(void *binding)"],
  BindInput: [136, "void *BindInput(void *binding, str name, void *value)"],
  BindOutputToDevice: [138, "void *BindOutputToDevice(void *binding, str name, void *info)"],
  GetBoundOutputValues: [
    140,
    "void *GetBoundOutputValues(void *binding, void *allocator, _Out_ void **values, _Out_ size_t *count)",
  ],
  AppendCuda: [204, "void *AppendCuda(void *options, void *cuda)"],
  CreateCUDAProviderOptions: [205, "void *CreateCUDAProviderOptions(_Out_ void **out)"],
  UpdateCUDAProviderOptions: [206, "void *UpdateCUDAProviderOptions(void *cuda, str *keys, str *values, size_t count)"],
  ReleaseCUDAProviderOptions: [208, "void ReleaseCUDAProviderOptions(void *cuda)"],
  AppendProvider: [216, "void *AppendProvider(void *options, str name, str *keys, str *values, size_t count)"],
} as const satisfies Readonly<Record<string, readonly [number, string]>>;

export type ApiFunction = keyof typeof functions;
type Callable = { (...values: unknown[]): unknown; async(...values: unknown[]): void };

/** What onnxruntime says of a call that failed. */
export class OrtError extends Error {}

export interface OrtLibrary {
  readonly version: string;
  readonly environment: Pointer;
  /** The CPU's allocator. */
  readonly allocator: Pointer;
  /** Calls a function that gives a status; throws the library's message where it is not null. */
  call(name: ApiFunction, ...values: unknown[]): void;
  /** As `call`, for a function whose last argument is where it writes a pointer. */
  make(name: ApiFunction, ...values: unknown[]): Pointer;
  /** As `make`, for one that writes a number there. */
  count(name: ApiFunction, ...values: unknown[]): number;
  /** As `call`, in a thread of its own: the event loop goes on. */
  callAsync(name: ApiFunction, ...values: unknown[]): Promise<void>;
  /** A function that gives nothing and cannot fail. */
  release(name: ApiFunction, pointer: Pointer): void;
  /** Pointers of an array in the library's memory. */
  pointers(address: Pointer, count: number): Pointer[];
  /** A string that the allocator made, which is freed. */
  text(address: Pointer): string;
  /** The library's own memory; it is only there as long as its owner. */
  view(address: Pointer, bytes: number): ArrayBuffer;
  /** Where elements lie. They must be kept, and not moved, as long as the library knows the address. */
  address(elements: ArrayBufferView): Pointer;
}

/**
 * Loads the library at a path; `preload` are libraries that it, or a provider beside it, needs and that the dynamic loader
 * would not find: those loaded are found by their names. Throws the loader's error.
 */
export function loadOrtLibrary(file: string, preload: readonly string[] = []): OrtLibrary {
  const koffi = loadKoffi();
  for (const needed of preload) loadForGood(koffi, needed, { lazy: true, global: true });
  const library = loadForGood(koffi, file);
  const base = library.func("void *OrtGetApiBase()")() as Pointer;
  const [getApi, getVersion] = koffi.decode(base, "void *", 2) as [Pointer, Pointer];
  const version = koffi.call(getVersion, protoOf(koffi, "str GetVersionString()")) as string;
  const api = koffi.call(getApi, protoOf(koffi, "void *GetApi(uint32_t version)"), API_VERSION) as Pointer | null;
  if (api === null) throw new Error(`onnxruntime ${version} has no C API of version ${API_VERSION}`);
  const known = new Map<ApiFunction, Callable>();
  for (const [name, [at, declaration]] of Object.entries(functions)) {
    const address = koffi.decode(api, 8 * at, "void *") as Pointer;
    known.set(name as ApiFunction, koffi.decode(address, protoOf(koffi, declaration)) as Callable);
  }
  const functionOf = (name: ApiFunction) => known.get(name) as Callable;
  const check = (name: ApiFunction, status: unknown) => {
    if (status === null) return;
    const message = functionOf("GetErrorMessage")(status) as string;
    functionOf("ReleaseStatus")(status);
    throw new OrtError(`${message} (${name})`);
  };
  const call = (name: ApiFunction, ...values: unknown[]) => check(name, functionOf(name)(...values));
  const made = <T>(name: ApiFunction, values: readonly unknown[]) => {
    const out = [null] as [T | null];
    call(name, ...values, out);
    return out[0] as T;
  };
  const make = (name: ApiFunction, ...values: unknown[]) => made<Pointer>(name, values);
  const allocator = make("GetAllocatorWithDefaultOptions");
  return {
    version,
    environment: make("CreateEnv", 3, "flexbert"),
    allocator,
    call,
    make,
    count: (name, ...values) => Number(made<number | bigint>(name, values)),
    callAsync: (name, ...values) =>
      new Promise((resolve, reject) => {
        functionOf(name).async(...values, (error: unknown, status: unknown) => {
          try {
            if (error) throw error;
            check(name, status);
            resolve();
          } catch (cause) {
            reject(cause);
          }
        });
      }),
    release: (name, pointer) => void functionOf(name)(pointer),
    pointers: (address, count) => (count === 0 ? [] : (koffi.decode(address, "void *", count) as Pointer[])),
    text(address) {
      const text = koffi.decode.string(address);
      call("AllocatorFree", allocator, address);
      return text;
    },
    view: (address, bytes) => koffi.view(address, bytes),
    address: (elements) => koffi.address(elements),
  };
}

const prototypes = new Map<string, unknown>();
/** Of this module: koffi takes a name once in a process, and Jest loads the module once a file. */
const loading = process.hrtime.bigint().toString(36);

/** A declaration has a name of its own in koffi, which takes each once. */
function protoOf(koffi: IKoffi, declaration: string): unknown {
  const named = declaration.replace("(", `_${loading}(`);
  const known = prototypes.get(named) ?? koffi.proto(named);
  prototypes.set(named, known);
  return known;
}
