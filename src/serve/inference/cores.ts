// The cores and the memory that this process may use: what the machine has, cut by the cgroups that it is in. Libraries that
// count the host's cores start as many threads, which then wait for each other's time.

import { readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

/** Where Linux shows its cgroups; tests have their own. */
export interface CgroupFiles {
  /** "/" */
  readonly root: string;
}

const SYSTEM: CgroupFiles = { root: "/" };

/** Whole cores: a quota of one and a half is one core, of less than one is one too. */
export function usableCores(files = SYSTEM, cores = os.availableParallelism()): number {
  return Math.max(1, Math.min(cores, Math.floor(cpuQuota(files) + 1e-6)));
}

/** Bytes. */
export const usableMemory = (files = SYSTEM, bytes = os.totalmem()): number => Math.min(bytes, memoryLimit(files));

/** Cores' worth of time that the cgroups allow; Infinity where they set no limit. */
function cpuQuota(files: CgroupFiles): number {
  const quotas = foldersOf(files, "cpu").map((folder) => {
    const v2 = read(path.join(folder, "cpu.max"));
    const [quota, period] = v2
      ? v2.split(/\s+/).map(Number)
      : ["cpu.cfs_quota_us", "cpu.cfs_period_us"].map((name) => Number(read(path.join(folder, name)) ?? Number.NaN));
    return positive(quota) && positive(period) ? quota / period : Number.POSITIVE_INFINITY; // "max", -1: none
  });
  return Math.min(Number.POSITIVE_INFINITY, ...quotas);
}

function memoryLimit(files: CgroupFiles): number {
  const limits = foldersOf(files, "memory").map((folder) => {
    const limit = Number(
      read(path.join(folder, "memory.max")) ?? read(path.join(folder, "memory.limit_in_bytes")) ?? Number.NaN,
    );
    return positive(limit) ? limit : Number.POSITIVE_INFINITY;
  });
  return Math.min(Number.POSITIVE_INFINITY, ...limits);
}

const positive = (value: number | undefined): value is number => value !== undefined && value > 0;

/**
 * The folders of the cgroup that this process is in and of those around it, each of which may limit. In a container the
 * paths of /proc/self/cgroup may be the host's: then the top of what is mounted is its own.
 */
function foldersOf({ root }: CgroupFiles, controller: "cpu" | "memory"): string[] {
  const own = read(path.join(root, "proc/self/cgroup")) ?? "";
  const mounted = path.join(root, "sys/fs/cgroup");
  return own.split("\n").flatMap((line) => {
    const [, controllers, place] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || place === undefined) return [];
    if (controllers === "") return upwards(mounted, place);
    if (!controllers.split(",").includes(controller)) return [];
    return [controllers, controller].flatMap((name) => upwards(path.join(mounted, name), place));
  });
}

/** A folder, those around it, and the top. */
function upwards(top: string, place: string): string[] {
  const parts = place.split("/").filter((part) => part !== "" && part !== "..");
  return Array.from({ length: parts.length + 1 }, (_, i) => path.join(top, ...parts.slice(0, i)));
}

function read(file: string): string | null {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return null;
  }
}
