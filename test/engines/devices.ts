// The devices of the onnx engine that tests run over: the device's code on onnxruntime's CPU provider, which needs no device,
// and WebGPU on SwiftShader, the Vulkan device on the CPU that comes with Debian's chromium.

import { existsSync } from "node:fs";
import { describe } from "@jest/globals";
import type { Engine } from "../../src/engines/engine";
import { openOnnxDevice } from "../../src/engines/onnx/device/device";
import { loadKoffi } from "../../src/engines/onnx/device/koffi";
import { VULKAN_LIBRARY } from "../../src/engines/onnx/device/vulkan";
import { unless } from "../skips";

/** What Vulkan's loader reads in place of the machine's drivers. */
export const vulkanIcd = process.env["FLEXBERT_TEST_VULKAN_ICD"] ?? "/usr/lib/chromium/vk_swiftshader_icd.json";

/** For the environment of processes that are to see that device alone. */
export const onSwiftShader = { VK_DRIVER_FILES: vulkanIcd };

/** Why nothing on a device can be tested here, or null. */
export const koffiAbsence = (): string | null => {
  try {
    require.resolve("koffi");
    require.resolve("onnxruntime-node");
    return null;
  } catch (error) {
    return (error as Error).message.split("\n")[0] as string;
  }
};

/** Why WebGPU cannot be tested here, or null. */
export function webgpuAbsence(): string | null {
  const absent = koffiAbsence();
  if (absent !== null) return absent;
  if (process.platform !== "linux") return "its software device is tested on Linux";
  if (!existsSync(vulkanIcd))
    return `there is no ${vulkanIcd}, and FLEXBERT_TEST_VULKAN_ICD names no other Vulkan device`;
  try {
    loadKoffi().load(VULKAN_LIBRARY);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** `describe` once a device, with a function that opens the engine on it; where it cannot be, it is skipped out loud. */
export function describeDevices(
  devices: readonly ("cpu" | "webgpu")[],
  title: string,
  body: (open: () => Promise<Engine>) => void,
): void {
  for (const device of devices) {
    const reason = device === "cpu" ? koffiAbsence() : webgpuAbsence();
    const name = `${title} on onnx's ${device} device`;
    if (reason !== null) {
      console.warn(`SKIPPED: ${name}, because ${reason}`);
      unless(reason).describe(name, () => body(() => Promise.reject(new Error(reason))));
      continue;
    }
    describe(name, () => {
      // Jest drops a file's modules at its end, and with them koffi's hold on the library: the addon's hold stays.
      require("onnxruntime-node");
      if (device === "webgpu") setForLibraries(onSwiftShader);
      body(() => openOnnxDevice({ device }));
    });
  }
}

/** Native code does not see what Jest's `process.env` is given. */
function setForLibraries(values: Readonly<Record<string, string>>): void {
  const setenv = loadKoffi().load("libc.so.6").func("int setenv(str name, str value, int overwrite)");
  for (const [name, value] of Object.entries(values)) setenv(name, value, 1);
}
