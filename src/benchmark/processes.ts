// An engine in a process of its own, as a value: calls to worker.ts, and what becomes of one that dies.

import { type ChildProcess, fork } from "node:child_process";
import path from "node:path";
import { ExitCode, engineError, usageError } from "../errors/errors";
import { describeEnd } from "../files/child";
import { Interrupted, type Reporter } from "../messages/reporter";
import { type EngineName, engineNames } from "../settings/engine";
import type { Calls, EngineSettings, Opened, WorkerReply } from "./worker";

export interface EngineProcess {
  readonly name: EngineName;
  /** One call at a time. Throws Interrupted when the signal stops the work, and where the process fails or ends. */
  call<K extends keyof Calls>(name: K, ...args: Parameters<Calls[K]>): ReturnType<Calls[K]>;
  /** Ends the process, whatever it is doing. */
  end(): void;
}

/** Who hears of the engines, and who stops them. */
interface Surroundings {
  readonly signal: AbortSignal;
  readonly reporter: Reporter;
  /** Lets the processes write to stderr. */
  readonly verbose: boolean;
}

/** What a process wrote to stderr is kept up to this many characters, for the error that its death becomes. */
const KEPT = 2000;

/** Starts a process; nothing is loaded in it before the first call. `signal` ends it at once: it has nothing to save. */
function startEngine(name: EngineName, signal: AbortSignal, verbose: boolean): EngineProcess {
  const child = fork(path.join(__dirname, "worker.js"), [], {
    // Results alone belong on stdout.
    stdio: ["ignore", "ignore", verbose ? "inherit" : "pipe", "ipc"],
  });
  let written = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    written = (written + text).slice(-KEPT);
  });
  let settle: { resolve: (value: unknown) => void; reject: (error: Error) => void } | undefined;
  let ended: Error | undefined;
  const stop = (error: Error) => {
    ended ??= error;
    settle?.reject(ended);
    settle = undefined;
    child.kill("SIGKILL");
  };
  const onAbort = () => stop(new Interrupted(null, "stopped; a benchmark keeps nothing"));
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  child.on("message", (reply: WorkerReply) => {
    if ("error" in reply) settle?.reject(new Error(reply.error));
    else settle?.resolve(reply.result);
    settle = undefined;
  });
  child.on("error", stop);
  // After "close" stderr is read to its end, which "exit" does not promise.
  child.on("close", (code, killedBy) => stop(new Error(describeEnd({ code, signal: killedBy, stderr: written }))));
  return {
    name,
    call(call, ...args) {
      const reply = new Promise<unknown>((resolve, reject) => {
        if (ended) reject(ended);
        else {
          settle = { resolve, reject };
          send(child, { call, args }, stop);
        }
      });
      return reply as ReturnType<Calls[typeof call]>;
    },
    end() {
      signal.removeEventListener("abort", onAbort);
      stop(new Error("its process was ended"));
    },
  };
}

function send(child: ChildProcess, message: object, onError: (error: Error) => void): void {
  child.send(message, (error) => {
    const { code } = Object(error) as NodeJS.ErrnoException;
    // A process that has just died: its end, which says why, follows.
    if (error && code !== "EPIPE" && code !== "ERR_IPC_CHANNEL_CLOSED") onError(error);
  });
}

export interface StartedEngine<T extends Opened = Opened> {
  readonly process: EngineProcess;
  readonly opened: T;
}

export const isPresent = (engine: StartedEngine): engine is StartedEngine<Extract<Opened, { present: true }>> =>
  engine.opened.present;

/**
 * A process for each engine, absent ones too.
 * Throws engineError (6) where a named engine is absent, or with "all" every one of them.
 */
export async function openEngines(
  chosen: readonly EngineName[] | "all",
  how: Pick<EngineSettings, "device" | "threads">,
  { signal, verbose, reporter }: Surroundings,
): Promise<StartedEngine[]> {
  const names = chosen === "all" ? engineNames : chosen;
  const processes = names.map((name) => startEngine(name, signal, verbose));
  try {
    const engines = await Promise.all(
      processes.map(async (process) => ({ process, opened: await openIn(process, { ...how, verbose }) })),
    );
    for (const { process, opened } of engines) {
      if (opened.present) reporter.log(`engine ${opened.summary}${opened.why === undefined ? "" : `; ${opened.why}`}`);
      else if (chosen === "all") reporter.log(`engine ${process.name} is absent: ${opened.reason}`);
      else if (opened.exitCode === ExitCode.usage) throw usageError(`${opened.reason}. ${opened.remedy}`);
      else throw engineError(`engine ${process.name} is absent: ${opened.reason}. ${opened.remedy}`);
    }
    if (!engines.some(isPresent)) throw engineError("no engine runs here. Run: flexbert doctor");
    // What is left is what a report says of an absent engine; the exit code was for the errors above.
    return engines.map(({ process, opened }) => {
      if (opened.present) return { process, opened };
      const { exitCode: _, ...absence } = opened;
      return { process, opened: absence };
    });
  } catch (error) {
    for (const process of processes) process.end();
    throw error;
  }
}

/** A native package may end its process where it cannot run: that engine is absent too. */
async function openIn(process: EngineProcess, how: Omit<EngineSettings, "engine">): Promise<Opened> {
  try {
    return await process.call("open", { engine: process.name, ...how });
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    return { present: false, reason: (error as Error).message, remedy: "Run: flexbert doctor" };
  }
}
