// Whether a process lives, and when it started, to tell it from a later one that got the same id. Only Linux says in
// files when that was.

import { readFileSync } from "node:fs";

/** Boot id and start in clock ticks since boot; null for a process that is gone, is a zombie, or elsewhere than on Linux. */
export function processStart(pid: number): string | null {
  if (process.platform !== "linux") return null;
  try {
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // proc(5): "pid (comm) state ppid ..."; comm may hold spaces and brackets, so count from the last bracket.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, ticks] = [fields[0], fields[19]];
    return state === "Z" || ticks === undefined ? null : `${boot}/${ticks}`;
  } catch {
    return null;
  }
}

/** Whether a process of this id lives, whoever's it is. Names of leftovers tell no more of their process than its id. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
