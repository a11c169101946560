// What the processor can do, by name.

import { readFileSync } from "node:fs";

/** As Linux lists it; "" elsewhere. */
export function cpuFlags(): string {
  try {
    return /^(?:flags|Features)\s*:.*$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[0] ?? "";
  } catch {
    return "";
  }
}
