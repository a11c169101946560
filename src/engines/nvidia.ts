// What NVIDIA hardware and driver this machine has, without loading anything of CUDA.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { runChild } from "../files/child";

export interface NvidiaGpu {
  readonly name: string;
  readonly memoryBytes: number;
  readonly freeMemoryBytes: number;
  readonly driver: string;
}

/** Whether the kernel has a working NVIDIA driver; on WSL the host's comes through its own folder. */
export const hasNvidiaDriver = () =>
  ["/dev/nvidiactl", "/proc/driver/nvidia/version", "/usr/lib/wsl/lib/libcuda.so.1"].some((file) => existsSync(file));

/** Whether a display controller of NVIDIA's is on the PCI bus, driver or not. */
export function hasNvidiaHardware(devices = "/sys/bus/pci/devices"): boolean {
  const read = (device: string, file: string) => readFileSync(`${devices}/${device}/${file}`, "utf8").trim();
  try {
    return readdirSync(devices).some(
      (device) => read(device, "vendor") === "0x10de" && read(device, "class").startsWith("0x03"),
    );
  } catch {
    return false; // no sysfs here
  }
}

/** The GPUs as nvidia-smi lists them; none where it does not run. */
export async function listNvidiaGpus(): Promise<NvidiaGpu[]> {
  const query = ["--query-gpu=name,memory.total,memory.free,driver_version", "--format=csv,noheader,nounits"];
  const asked = await runChild("nvidia-smi", query, { timeoutMs: 20_000 }).catch(() => null);
  if (asked?.code !== 0) return [];
  return asked.stdout
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => {
      const [name = "", total, free, driver = ""] = line.split(/,\s*/);
      const MIB = 2 ** 20;
      return { name, memoryBytes: Number(total) * MIB, freeMemoryBytes: Number(free) * MIB, driver: driver.trim() };
    });
}
