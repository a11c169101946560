import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, expect, test } from "@jest/globals";
import { hasNvidiaHardware, listNvidiaGpus } from "../../src/engines/nvidia";
import { temporaryFolder } from "../files/temporary-folder";
import { onWindows, unless } from "../skips";

const { PATH } = process.env;
afterEach(() => {
  process.env["PATH"] = PATH;
});

function writeSmi(script: string): void {
  const folder = temporaryFolder();
  writeFileSync(path.join(folder, "nvidia-smi"), `#!/bin/sh\n${script}\n`);
  chmodSync(path.join(folder, "nvidia-smi"), 0o755);
  process.env["PATH"] = folder;
}

const onPosix = unless(onWindows).test;

onPosix("GPUs as nvidia-smi lists them, in bytes", async () => {
  writeSmi(`echo "NVIDIA T4, 15360, 15000, 550.54.15"; echo "NVIDIA L4, 23034, 1, 550.54.15"`);
  expect(await listNvidiaGpus()).toEqual([
    { name: "NVIDIA T4", memoryBytes: 15360 * 2 ** 20, freeMemoryBytes: 15000 * 2 ** 20, driver: "550.54.15" },
    { name: "NVIDIA L4", memoryBytes: 23034 * 2 ** 20, freeMemoryBytes: 2 ** 20, driver: "550.54.15" },
  ]);
});

onPosix("none where nvidia-smi fails or is absent", async () => {
  writeSmi(`echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver"; exit 9`);
  expect(await listNvidiaGpus()).toEqual([]);
  process.env["PATH"] = temporaryFolder();
  expect(await listNvidiaGpus()).toEqual([]);
});

test("a display controller of NVIDIA's on the PCI bus, and not its sound card", () => {
  const devices = temporaryFolder();
  const add = (device: string, vendor: string, kind: string) => {
    mkdirSync(path.join(devices, device));
    writeFileSync(path.join(devices, device, "vendor"), `${vendor}\n`);
    writeFileSync(path.join(devices, device, "class"), `${kind}\n`);
  };
  add("0000:00:02.0", "0x8086", "0x030000");
  add("0000:01:00.1", "0x10de", "0x040300");
  expect(hasNvidiaHardware(devices)).toBe(false);
  add("0000:01:00.0", "0x10de", "0x030200");
  expect(hasNvidiaHardware(devices)).toBe(true);
  expect(hasNvidiaHardware(path.join(devices, "absent"))).toBe(false);
});
