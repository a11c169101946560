// Which engine runs: detection, the order of `auto`, and why an engine is absent. The only folder that loads
// native packages is this one.

import { ExitCode, engineError, UserError, usageError } from "../errors/errors";
import { npmCommand } from "../files/optional-packages";
import { type DeviceChoice, type EngineName, engineNames, type Precision } from "../settings/engine";
import type { Engine, EngineAbsence } from "./engine";
import { DeviceAbsent } from "./onnx/device/failures";
import { explainTensorflowAbsence, locateTensorflow, MODE_VARIABLE } from "./tensorflow/load";

export interface EngineOptions {
  /** Of the onnx engine; "cpu" by default. Another one means that engine. */
  readonly device?: DeviceChoice;
  readonly threads?: number;
  /** Lets the native library's own messages through. */
  readonly verbose?: boolean;
  /** Of matrix products; only the tensorflow engine, and the onnx engine on CUDA, have others than float32. */
  readonly precision?: Precision;
  /** Of a device: where its sessions write onnxruntime's profile, as the beginning of a file's name. */
  readonly profile?: string;
}

export interface OpenedEngine {
  readonly engine: Engine;
  /** Why this one, for the log. */
  readonly why: string;
  /** Engines that `auto` tried before it and that are not here. */
  readonly absent: readonly EngineAbsence[];
}

/** Each loads what it needs: tfjs alone takes longer than a short text's answer. */
const openers: Record<EngineName, (options: EngineOptions) => Promise<Engine>> = {
  async tensorflow(options) {
    // Its absence is told without loading anything. A wrong setting is told first, and its module knows which are right.
    if (process.env[MODE_VARIABLE] === undefined) locateTensorflow();
    return (await import("./tensorflow/tensorflow.js")).openTensorflow(options);
  },
  onnx: async (options) => (await import("./onnx/onnx.js")).openOnnx(options),
  wasm: async () => (await import("./wasm/wasm.js")).openWasm(),
};

/**
 * Opens an engine by name, or the first that is present in the order of `engineNames`.
 * Throws engineError (6) with the reason and the remedy where the named one or its device is absent, and usageError (2) for a
 * device or a precision that it does not have.
 */
export async function openEngine(name: EngineName | "auto", options: EngineOptions): Promise<OpenedEngine> {
  const { precision = "float32", device = "cpu" } = options;
  if (device !== "cpu") return openOnDevice(name, device, options);
  if (precision !== "float32") {
    if (name === "auto") return { ...(await openEngine("tensorflow", options)), why: `--precision ${precision}` };
    if (name !== "tensorflow") {
      throw usageError(
        `--precision ${precision} is the tensorflow engine's, or the onnx engine's on a GPU (--device cuda); ${name} runs float32`,
      );
    }
  }
  if (name !== "auto") {
    const tried = await tryEngine(name, options);
    if ("engine" in tried) return { engine: tried.engine, why: `--engine ${name}`, absent: [] };
    throw engineError(`engine ${name} is absent: ${tried.absence.reason}. ${tried.absence.remedy}`, tried.cause);
  }
  const absent: EngineAbsence[] = [];
  for (const candidate of engineNames) {
    const tried = await tryEngine(candidate, options);
    if ("engine" in tried) {
      const reasons = absent.map((absence) => `${absence.name} is absent: ${absence.reason}`);
      return { engine: tried.engine, why: reasons.length ? reasons.join("; ") : "the first choice", absent };
    }
    absent.push(tried.absence);
  }
  const reasons = absent.map((absence) => `${absence.name}: ${absence.reason}`).join("; ");
  throw engineError(`no engine runs here (${reasons}). Run: flexbert doctor`);
}

/** The onnx engine on a device that was named, or on the one that "auto" finds; never on another. */
async function openOnDevice(
  name: EngineName | "auto",
  device: Exclude<DeviceChoice, "cpu">,
  options: EngineOptions,
): Promise<OpenedEngine> {
  requireOnnx(name, device);
  const { chooseDevice } = await import("./onnx/device/choose.js");
  const chosen = await chooseDevice(device);
  if (chosen.device === "cpu") {
    return { ...(await openEngine("onnx", { ...options, device: "cpu" })), why: `--device ${device}: ${chosen.why}` };
  }
  const { precision = "float32" } = options;
  if (chosen.device === "webgpu" && precision !== "float32") {
    throw usageError(`--precision ${precision}: --device webgpu runs float32. Give that, or --device cuda`);
  }
  const { openOnnxDevice } = await import("./onnx/device/device.js");
  const engine = await openOnnxDevice({ ...options, device: chosen.device, where: chosen.where });
  return { engine, why: `--device ${device}${device === "auto" ? `: ${chosen.why}` : ""}`, absent: [] };
}

/** Throws usageError (2) for a device beside an engine that has none. */
export function requireOnnx(name: EngineName | "auto", device: DeviceChoice): void {
  if (device === "cpu" || name === "auto" || name === "onnx") return;
  throw usageError(`--device ${device} is the onnx engine's, and --engine ${name} has no devices: give one of the two`);
}

async function tryEngine(name: EngineName, options: EngineOptions) {
  try {
    return { engine: await openers[name](options) };
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    return { absence: explainAbsence(name, cause), cause };
  }
}

/** The reason in one line and the next step, from what a package threw when it was loaded. */
export function explainAbsence(name: EngineName, error: unknown): EngineAbsence {
  if (error instanceof DeviceAbsent) return { name, ...error.absence };
  if (error instanceof UserError) {
    if (error.exitCode === ExitCode.engineAbsent && error.cause) return explainAbsence(name, error.cause);
    // It says what the setting may be or what the machine refuses, and installing anything would not help.
    const remedy = error.exitCode === ExitCode.usage ? "Mend that setting, or unset it" : "Mend that, and try again";
    return { name, reason: error.message, remedy };
  }
  const message = (error instanceof Error ? error.message : String(error)).split("\n")[0]?.trim() ?? "";
  if (name === "tensorflow") return explainTensorflowAbsence(error);
  if (name === "onnx") {
    const installed = !/Cannot find module 'onnxruntime-node'/.test(message);
    return {
      name,
      reason: installed
        ? `onnxruntime-node does not load: ${message}`
        : "the package onnxruntime-node is not installed",
      // npm leaves a folder of the right version as it is, whatever has become of the files in it.
      remedy: `${installed ? "Remove its folder from node_modules. " : ""}Run: ${npmCommand("onnxruntime-node")}`,
    };
  }
  return { name, reason: message, remedy: "Reinstall flexbert: npm ci" };
}
