// Other programs that are run: pip, npm, the compiler, probes. Output is collected, never inherited.

import { spawn } from "node:child_process";

export interface ChildOutcome {
  /** Exit status; null where a signal ended it. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ChildOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Ends the program; the promise then rejects with the signal's reason, once the program is gone. */
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  /** Each piece of stdout as it comes. */
  readonly onStdout?: (text: string) => void;
}

/** The last characters of each stream that are kept. */
const KEPT = 4_000_000;

/** Runs a program to its end. Rejects with the system's error (ENOENT, EACCES) where it does not start. */
export function runChild(command: string, args: readonly string[], options: ChildOptions = {}): Promise<ChildOutcome> {
  const { signal, timeoutMs, onStdout } = options;
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: options.env ?? process.env,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    // Not spawn's own `timeout`: its timer goes on where no program started, and keeps ours from ending.
    const limit = timeoutMs === undefined ? undefined : setTimeout(() => child.kill("SIGKILL"), timeoutMs);
    // Not spawn's own `signal`: that rejects while the program may still be writing files.
    const stop = () => child.kill("SIGTERM");
    signal?.addEventListener("abort", stop, { once: true });
    const ended = () => {
      clearTimeout(limit);
      signal?.removeEventListener("abort", stop);
    };
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout = (stdout + text).slice(-KEPT);
      onStdout?.(text);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-KEPT);
    });
    child.on("error", (error) => {
      ended();
      reject(error);
    });
    child.on("close", (code, endSignal) => {
      ended();
      if (signal?.aborted) reject(signal.reason);
      else resolve({ code, signal: endSignal, stdout, stderr });
    });
  });
}

/** Why a process ended by itself, in words: how, and what it said last. */
export function describeEnd({ code, signal, stderr }: Pick<ChildOutcome, "code" | "signal" | "stderr">): string {
  const memory = signal === "SIGKILL" ? " (out of memory?)" : "";
  const how = signal ? `on ${signal}${memory}` : `with exit code ${code}`;
  const lines = stderr.split("\n").map((line) => line.trim());
  const last = lines.find((line) => /error/i.test(line)) ?? lines.findLast((line) => line !== "");
  return `its process ended ${how}${last ? `: ${last}` : ""}`;
}
