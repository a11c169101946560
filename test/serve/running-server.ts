// `flexbert serve` as a process of its own, as users run it.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { createInterface } from "node:readline";

export interface ServeProcess {
  readonly url: string;
  readonly child: ChildProcess;
  /** Asks it to end, and waits. @returns its exit code */
  stop(): Promise<number | null>;
}

const flexbert = path.join(__dirname, "../../bin/flexbert.js");

/** Resolves when it is ready. Throws with what it said where it ends first. */
export async function startServe(
  args: readonly string[],
  program: readonly string[] = [process.execPath, flexbert],
): Promise<ServeProcess> {
  const [command = "", ...before] = program;
  const child = spawn(command, [...before, "serve", "--port", "0", "--json", "--log-level", "error", ...args]);
  let said = "";
  child.stderr.on("data", (chunk) => {
    said += chunk;
  });
  const ended = once(child, "close").then(([code]) => code as number | null);
  const first = once(createInterface(child.stdout), "line").then(([line]) => JSON.parse(line) as { url: string });
  const ready = await Promise.race([first, ended]);
  if (ready === null || typeof ready === "number") throw new Error(`flexbert serve ended with ${ready}: ${said}`);
  return {
    url: ready.url,
    child,
    stop() {
      child.kill("SIGTERM");
      return ended;
    },
  };
}
