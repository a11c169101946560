// flexbert doctor: what runs here, how fast, and what is missing. Made to be pasted into an issue.

import { existsSync } from "node:fs";
import { readdir, statfs } from "node:fs/promises";
import os from "node:os";
import { cacheFolder } from "../checkpoints/cache";
import { engineNames } from "../engines/engine";
import { formatBytes } from "../files/atomic";
import { defineCommand } from "./command";
import { table } from "./terminal";
import { packageVersion } from "./version";

export const doctorCommand = defineCommand({
  summary: "engines, machine, cache: what is there and what is missing",
  description: "Opens every engine and measures a matrix product on it. Takes a few seconds.",
  options: {},
  examples: ["doctor", "doctor --json"],
  async run(_values, terminal) {
    const engines = [];
    for (const name of engineNames) engines.push(await inspect(name, terminal.verbose));
    const cache = cacheFolder();
    const freeBytes = async (folder: string) => {
      const { bavail, bsize } = await statfs(folder);
      return bavail * bsize;
    };
    const machine = {
      flexbert: packageVersion(),
      node: process.version,
      platform: `${process.platform} ${process.arch}`,
      cpu: os.cpus()[0]?.model ?? "unknown",
      cores: os.availableParallelism(),
      memoryBytes: os.totalmem(),
      freeMemoryBytes: os.freemem(),
      cacheFolder: cache,
      cacheFreeBytes: await freeBytes(existsSync(cache) ? cache : os.homedir()),
      workingFolder: process.cwd(),
      workingFolderFreeBytes: await freeBytes(process.cwd()),
      bases: existsSync(cache) ? (await readdir(cache)).filter((name) => !name.startsWith(".")) : [],
    };
    if (terminal.json) {
      terminal.printJson({ machine, engines });
      return;
    }
    terminal.print(
      `flexbert ${machine.flexbert}, Node ${machine.node} on ${machine.platform}, ${machine.cores} cores (${machine.cpu})`,
    );
    terminal.print(`memory ${formatBytes(machine.memoryBytes)}, ${formatBytes(machine.freeMemoryBytes)} free`);
    terminal.print(`working folder ${machine.workingFolder}, ${formatBytes(machine.workingFolderFreeBytes)} free`);
    terminal.print(
      `cache ${cache}, ${formatBytes(machine.cacheFreeBytes)} free; bases: ${machine.bases.join(", ") || "none (flexbert pull NAME)"}`,
    );
    const rows = engines.map((engine) =>
      engine.present
        ? [engine.name, "present", engine.summary, `${(engine.flopsPerSecond / 1e9).toFixed(0)} GFLOP/s`]
        : [engine.name, "absent", engine.reason, ""],
    );
    terminal.print(`\n${table(["engine", "", "", "matrix product"], rows)}`);
    for (const engine of engines) if (!engine.present) terminal.print(`\n${engine.name}: ${engine.remedy}`);
    const first = engines.find((engine) => engine.present);
    if (first) terminal.print(`\n--engine auto takes ${first.name}`);
  },
});

async function inspect(name: (typeof engineNames)[number], verbose: boolean) {
  const { explainAbsence, openEngine } = await import("../engines/open.js");
  const { gemmRate } = await import("../engines/gemm-rate.js");
  try {
    const { engine } = await openEngine(name, { verbose });
    const { summary, device, threads } = engine;
    return { name, present: true as const, summary, device, threads, flopsPerSecond: await gemmRate(engine) };
  } catch (error) {
    const { reason, remedy } = explainAbsence(name, (error as Error).cause ?? error);
    return { name, present: false as const, reason, remedy };
  }
}
