// What is said of a device that is not there or fails: the reason in one line, and the next step.

import { ExitCode, engineError, oneLine, UserError } from "../../../errors/errors";
import { npmCommand } from "../../../files/optional-packages";
import { OrtError } from "./c-api";
import { NO_LOADER } from "./vulkan";

export type GpuDevice = "webgpu" | "cuda";

export interface DeviceAbsence {
  readonly reason: string;
  readonly remedy: string;
}

/** The device is gone, and with it all that this process had there: only another process may reach it again. */
export class DeviceLost extends UserError {
  constructor(message: string, options: ErrorOptions) {
    super(ExitCode.engineAbsent, message, options);
    this.name = "DeviceLost";
  }
}

/** A device that is not there, or does not open. */
export class DeviceAbsent extends UserError {
  /** For who names the engine and not the device. */
  readonly absence: DeviceAbsence;
  /** The reason alone. */
  readonly opening: string;

  constructor(device: GpuDevice, { reason, remedy }: DeviceAbsence, cause?: unknown) {
    const told = `device ${device} does not run: ${reason}`;
    super(ExitCode.engineAbsent, `${told}. ${remedy}`, { cause });
    this.name = "DeviceAbsent";
    this.opening = reason;
    this.absence = { reason: told, remedy };
  }
}

/** Why koffi's part is missing, from what it threw when it was loaded; null where it was something else. */
export function explainKoffi(message: string): DeviceAbsence | null {
  const command = `Run: ${npmCommand("koffi")}`;
  if (/Cannot find module 'koffi'/.test(message))
    return { reason: "the package koffi is not installed", remedy: command };
  // npm leaves its part for this system out without a word, as any optional package.
  if (/native koffi|koffi.*(version|binary|\.node)/i.test(message)) {
    return { reason: `koffi does not load: ${message}`, remedy: `Remove its folder from node_modules. ${command}` };
  }
  return null;
}

/** Why Vulkan lists nothing. */
export function explainVulkan(problem: string): DeviceAbsence {
  if (problem.startsWith(NO_LOADER)) {
    return {
      reason: "the Vulkan loader libvulkan.so.1 is not installed",
      remedy: "Install it: libvulkan1 of Debian and Ubuntu, vulkan-loader of Fedora, vulkan-icd-loader of Arch",
    };
  }
  return explainKoffi(problem) ?? { reason: `Vulkan's adapters cannot be listed: ${problem}`, remedy: ASK_DOCTOR };
}

export const noAdapter: DeviceAbsence = {
  reason: "Vulkan lists no device",
  remedy:
    "Install the Vulkan driver of your GPU: mesa-vulkan-drivers for AMD and Intel, NVIDIA's own driver for NVIDIA",
};

const ASK_DOCTOR = "See what is here: flexbert doctor. --device cpu runs without it";

/** onnxruntime begins with a place in its source and the condition there that was false. */
const saidBy = (error: unknown): string =>
  oneLine(error).replace(/^(?:.*: )?\/\S+\.(?:cc|h|cu):\d+ .*? was false\. /, "");

/** Why a device does not open, from what was thrown. */
export function explainOpening(error: unknown): DeviceAbsence {
  if (error instanceof UserError)
    return { reason: error.message.replace(/\.$/, ""), remedy: "--device cpu runs without it" };
  const message = saidBy(error).replace(/ Require stack:.*$/, "");
  return explainKoffi(message) ?? { reason: message, remedy: ASK_DOCTOR };
}

/** An error of a device at work as the user is told it; what onnxruntime did not say is a defect and stays as it is. */
export function explainRun(device: GpuDevice, error: unknown): unknown {
  if (!(error instanceof OrtError)) return error;
  const message = saidBy(error);
  if (/out of memory|OUT_OF_MEMORY|failed to allocate|not enough memory|bad_alloc/i.test(message)) {
    return engineError(
      `device ${device} has too little memory (${message}). Give a smaller --batch-size or --max-length, or --device cpu`,
      error,
    );
  }
  if (/\blost\b|DEVICE_LOST|device-side assert|unspecified launch failure|illegal memory access/i.test(message)) {
    return new DeviceLost(
      `device ${device} was lost (${message}). Run the command again, which goes on from what is saved, or with --device cpu`,
      { cause: error },
    );
  }
  return engineError(`device ${device} fails (${message}). Try another --device, such as cpu`, error);
}
