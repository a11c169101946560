// Drivers and their layers write to the C stderr while a device is opened: of a display that is not there, of adapters that
// will not do. Nobody asked, unless the device then does not open: then it is the reason.

import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { loadForGood, loadKoffi } from "./koffi";

const STDERR = 2;

/** Runs `work` with the descriptor turned to a file, on Linux; its warnings then stand in the error that `work` throws. */
export function quietly<T>(work: () => T): T {
  const turned = turnAway();
  if (!turned) return work();
  try {
    const result = work();
    turned.back();
    return result;
  } catch (error) {
    const warnings = [...turned.back().matchAll(/^Warning: (.+)$/gm)].map(([, warning]) => warning);
    if (warnings.length > 0) (error as Error).message += ` (${[...new Set(warnings)].join("; ")})`;
    throw error;
  }
}

/** null where the system's C library is not glibc's. */
function turnAway(): { back(): string } | null {
  if (process.platform !== "linux") return null;
  const folder = mkdtempSync(path.join(os.tmpdir(), "flexbert-"));
  const file = path.join(folder, "stderr");
  try {
    const libc = loadForGood(loadKoffi(), "libc.so.6");
    const dup = libc.func("int dup(int file)") as (file: number) => number;
    const dup2 = libc.func("int dup2(int from, int to)") as (from: number, to: number) => number;
    const close = libc.func("int close(int file)") as (file: number) => number;
    const saved = dup(STDERR);
    const held = openSync(file, "a");
    dup2(held, STDERR);
    closeSync(held);
    return {
      back() {
        dup2(saved, STDERR);
        close(saved);
        const said = readFileSync(file, "utf8");
        rmSync(folder, { recursive: true, force: true });
        return said;
      },
    };
  } catch {
    rmSync(folder, { recursive: true, force: true });
    return null;
  }
}
