// Runs the built command line in a child process, as a user would.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";

const bin = path.join(__dirname, "../../bin/flexbert.js");
if (!existsSync(path.join(__dirname, "../../dist/cli/main.js")))
  throw new Error("dist/ is absent: run npm run build first");

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
