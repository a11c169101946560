// Runs the built command line in a child process, as a user would.

import { spawnSync } from "node:child_process";
import path from "node:path";

export const bin = path.join(__dirname, "../../bin/flexbert.js");

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export function flexbert(
  args: readonly string[],
  options: { cwd: string; env?: Record<string, string>; input?: string },
): Outcome {
  const { status, stdout, stderr } = spawnSync(process.execPath, [bin, ...args], {
    cwd: options.cwd,
    env: { ...process.env, NO_COLOR: "1", ...options.env },
    encoding: "utf8",
    input: options.input ?? "",
    maxBuffer: 2 ** 28,
  });
  return { status, stdout, stderr };
}
