// What runs here, how fast, and what is missing.

import { readdir, statfs } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { cacheFolder, namingCacheVariable } from "../files/cache";
import { storageFailure } from "../files/storage-failure";
import { type Caller, callOf } from "./caller";
import { describeMachine } from "./machine";

export type DoctorResult = Awaited<ReturnType<typeof doctor>>;

/** Opens every engine and device, and measures a matrix product on each engine: sizes in bytes, rates in floating-point operations a second. */
export async function doctor(caller: Caller = {}) {
  const { verbose = false } = callOf(caller);
  const { diagnoseEngines, diagnoseGpus } = await import("../engines/diagnose.js");
  const { diagnoseDevices } = await import("../engines/onnx/device/diagnose.js");
  const { cachedBases } = await import("../checkpoints/bases/cached.js");
  const engines = await diagnoseEngines(verbose);
  const { adapters, devices, auto } = await diagnoseDevices();
  const { gpus, problem: gpuProblem } = await diagnoseGpus();
  const cache = cacheFolder();
  const machine = {
    ...describeMachine(),
    freeMemoryBytes: os.freemem(),
    gpus,
    gpuProblem,
    adapters,
    cacheFolder: cache,
    cacheProblem: await problemOfFolder(cache),
    cacheFreeBytes: await freeBytes(cache),
    workingFolder: process.cwd(),
    workingFolderFreeBytes: await freeBytes(process.cwd()),
    // What is wrong with the folder is said above.
    bases: (await cachedBases(cache).catch(() => [])).map(({ name }) => name),
  };
  return { machine, engines, devices, autoDevice: auto };
}

/** Bytes free on the disk of a folder that is there or will be made; null where the system does not say. */
async function freeBytes(folder: string): Promise<number | null> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch {
    const parent = path.dirname(folder);
    return parent === folder ? null : freeBytes(parent);
  }
}

/** Why a folder cannot be read, as other commands will say it, or null: doctor shows what is wrong, and goes on. */
async function problemOfFolder(folder: string): Promise<string | null> {
  try {
    await readdir(folder);
    return null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null; // it will be made
    const problem = storageFailure(error, `the cache ${folder}`, "cannot use");
    return namingCacheVariable(problem instanceof Error ? problem.message : String(problem));
  }
}
