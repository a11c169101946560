// flexbert doctor: what runs here, how fast, and what is missing. Made to be pasted into an issue.

import { readdir, statfs } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { cachedBases } from "../../checkpoints/bases/cached";
import type { Diagnosis } from "../../engines/diagnose";
import { formatBytes } from "../../files/atomic";
import { cacheFolder, namingCacheVariable } from "../../files/cache";
import { storageFailure } from "../../files/storage-failure";
import { defineCommand } from "../command";
import { describeMachine } from "../machine";
import { type Terminal, table } from "../terminal";

export const doctorCommand = defineCommand({
  description: "Opens every engine and measures a matrix product on it. Takes a few seconds.",
  options: {},
  examples: ["doctor", "doctor --json"],
  async run(_values, terminal) {
    const { diagnoseEngines, diagnoseGpus } = await import("../../engines/diagnose.js");
    const engines = await diagnoseEngines(terminal.verbose);
    const { gpus, problem: gpuProblem } = await diagnoseGpus();
    const cache = cacheFolder();
    const machine = {
      ...describeMachine(),
      freeMemoryBytes: os.freemem(),
      gpus,
      gpuProblem,
      cacheFolder: cache,
      cacheProblem: await problemOfFolder(cache),
      cacheFreeBytes: await freeBytes(cache),
      workingFolder: process.cwd(),
      workingFolderFreeBytes: await freeBytes(process.cwd()),
      // What is wrong with the folder is said above.
      bases: (await cachedBases(cache).catch(() => [])).map(({ name }) => name),
    };
    if (terminal.json) {
      terminal.printJson({ machine, engines });
      return;
    }
    terminal.print(
      `flexbert ${machine.flexbert}, Node ${machine.node} on ${machine.platform}, ${machine.cores} cores (${machine.cpu})`,
    );
    terminal.print(`memory ${formatBytes(machine.memoryBytes)}, ${formatBytes(machine.freeMemoryBytes)} free`);
    terminal.print(`working folder ${machine.workingFolder}, ${showFree(machine.workingFolderFreeBytes)}`);
    terminal.print(
      `cache ${cache}, ${showFree(machine.cacheFreeBytes)}; bases: ${machine.bases.join(", ") || "none (flexbert pull NAME)"}`,
    );
    if (machine.cacheProblem) terminal.print(machine.cacheProblem);
    for (const gpu of gpus) {
      terminal.print(
        `GPU ${gpu.name}, ${formatBytes(gpu.memoryBytes)}, ${formatBytes(gpu.freeMemoryBytes)} free, driver ${gpu.driver}`,
      );
    }
    if (gpuProblem) terminal.print(gpuProblem);
    printEngines(engines, terminal);
  },
});

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

const showFree = (bytes: number | null) => (bytes === null ? "free space unknown" : `${formatBytes(bytes)} free`);

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

function printEngines(engines: readonly Diagnosis[], terminal: Terminal): void {
  const rows = engines.map((engine) =>
    engine.present
      ? [engine.name, "present", engine.summary, `${(engine.flopsPerSecond / 1e9).toFixed(0)} GFLOP/s`]
      : [engine.name, "absent", engine.reason, ""],
  );
  terminal.print(`\n${table(["engine", "", "", "matrix product"], rows)}`);
  for (const engine of engines) {
    if (engine.present && engine.source) terminal.print(`\n${engine.name}: from ${engine.source}`);
    const next = engine.present ? engine.improvement : engine.remedy;
    if (next) terminal.print(`\n${engine.name}: ${next}`);
  }
  const first = engines.find((engine) => engine.present || engine.wrongSetting);
  if (first?.present) terminal.print(`\n--engine auto takes ${first.name}`);
  else if (first) terminal.print(`\n--engine auto stops at that setting of ${first.name}'s, too`);
}
