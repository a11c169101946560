// Cores and memory that a process may use, from the files in which Linux shows its cgroups, of both versions.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { usableCores, usableMemory } from "../../../src/serve/inference/cores";
import { temporaryFolder } from "../../tiny";

const folder = temporaryFolder();
let made = 0;

/** A machine whose root has these files. */
function machine(files: Readonly<Record<string, string>>) {
  const root = path.join(folder, String(made++));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), `${text}\n`);
  }
  return { root };
}
const GB = 1e9;

test("without cgroups: what the machine has", () => {
  expect(usableCores(machine({}), 8)).toBe(8);
  expect(usableMemory(machine({}), 16 * GB)).toBe(16 * GB);
});

test.each([
  ["200000 100000", 2],
  ["150000 100000", 1],
  ["50000 100000", 1],
  ["400000 50000", 8],
  ["9900000 100000", 16],
  ["max 100000", 16],
  ["nonsense", 16],
])("version 2, a quota of %s is %i cores of 16", (quota, cores) => {
  const files = machine({ "proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/b/cpu.max": quota });
  expect(usableCores(files, 16)).toBe(cores);
});

test("version 2: a group's limit holds for those in it, and the tightest counts", () => {
  const files = machine({
    "proc/self/cgroup": "0::/a/b",
    ...{ "sys/fs/cgroup/a/cpu.max": "300000 100000", "sys/fs/cgroup/a/b/cpu.max": "max 100000" },
    ...{ "sys/fs/cgroup/a/memory.max": "4000000000", "sys/fs/cgroup/a/b/memory.max": "2000000000" },
  });
  expect([usableCores(files, 16), usableMemory(files, 16 * GB)]).toEqual([3, 2 * GB]);
});

test("in a container, where the path is the host's and the mounted top is its own", () => {
  const files = machine({
    "proc/self/cgroup": "0::/kubepods/pod1/c1",
    ...{ "sys/fs/cgroup/cpu.max": "200000 100000", "sys/fs/cgroup/memory.max": "1000000000" },
  });
  expect([usableCores(files, 16), usableMemory(files, 16 * GB)]).toEqual([2, GB]);
});

test("version 1, its controllers together or apart, with and without a limit", () => {
  const files = machine({
    "proc/self/cgroup": "5:cpu,cpuacct:/docker/c1\n4:memory:/docker/c1\n1:name=systemd:/",
    "sys/fs/cgroup/cpu,cpuacct/docker/c1/cpu.cfs_quota_us": "250000",
    "sys/fs/cgroup/cpu,cpuacct/docker/c1/cpu.cfs_period_us": "100000",
    "sys/fs/cgroup/memory/docker/c1/memory.limit_in_bytes": "3000000000",
  });
  expect([usableCores(files, 16), usableMemory(files, 16 * GB)]).toEqual([2, 3 * GB]);
  const free = machine({
    "proc/self/cgroup": "1:cpu:/\n4:memory:/",
    ...{ "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000" },
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
  });
  expect([usableCores(free, 16), usableMemory(free, 16 * GB)]).toEqual([16, 16 * GB]);
});

test("on this machine there is at least one of each", () => {
  expect(usableCores()).toBeGreaterThanOrEqual(1);
  expect(usableMemory()).toBeGreaterThan(0);
});
