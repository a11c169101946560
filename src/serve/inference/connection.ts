// An inference process as a value: started, asked, and heard of when it ends. One batch at a time; who starts another in its
// place is workers.ts.

import { type ChildProcess, spawn } from "node:child_process";
import os from "node:os";
import path from "node:path";
import type { Duplex } from "node:stream";
import { UserError } from "../../errors/errors";
import { describeEnd } from "../../files/child";
import type { Answer, CloseCall, Failed, OpenCall, OpenedVersion, Ready, Settings } from "./calls";
import type { BatchPart, BatchRow, BatchRun } from "./inference";
import { callOf, decodeDone, decodePart, decodePong, encodeBatch, type Pulse } from "./messages";
import { pageSettings } from "./pages";
import { decodeJson, emptyFrame, encodeJson, FrameKind, frameReader } from "./wire";

/** The process ended while something was asked of it. */
export class ProcessEnded extends Error {}

export interface Connection {
  readonly pid: number;
  /** What runs there. Rejects with UserError where the engine does not, and with {@link ProcessEnded}. */
  readonly ready: Promise<Ready>;
  /** Why it ended. */
  readonly ended: Promise<string>;
  /** What it last said of itself; null before it did. */
  pulse(): Pulse | null;
  /** Asks it. Rejects with {@link ProcessEnded}. */
  look(): Promise<Pulse>;
  /** Versions that are open there. */
  readonly versions: ReadonlyMap<string, OpenedVersion>;
  open(version: string): Promise<OpenedVersion>;
  close(version: string): Promise<void>;
  /** Rejects with {@link ProcessEnded}, or with what the engine threw. */
  run(version: string, rows: readonly BatchRow[], onPart: (part: BatchPart) => void): Promise<BatchRun>;
  /** Ends it after what it is computing; at once where it does not end. */
  end(): Promise<void>;
  kill(reason: string): void;
}

export interface ConnectionOptions extends Settings {
  /** Seconds without a sign of life after which it is killed. */
  readonly silence: number;
}

/** As it was compiled, where this file is run from its source too. */
const ENTRY = path.resolve(__dirname, "../../../dist/serve/inference/process.js");
/** What a process wrote to stderr is kept up to this many characters, for the error that its death becomes. */
const KEPT = 2000;
/** Milliseconds between two questions whether it lives. */
const BEAT = 1000;
/** Seconds that a process may be busy loading its engine: a machine may read it from a slow disk. */
const START_SILENCE = 300;
/** Milliseconds within which a process ends whose pipe was closed, unless it computes. */
const GRACE = 5000;

/** What answers a call. */
interface Waiting {
  readonly resolve: (payload: ArrayBuffer) => void;
  readonly reject: (error: Error) => void;
  readonly onPart?: (payload: ArrayBuffer) => void;
}

/**
 * V8 would let a process that holds 12 MB of objects grow to 70 before it collects, beside what they keep alive of native memory: over
 * swaps that looks like a leak. Young objects have 2 MB, old ones are collected after a fifth more.
 */
const SMALL_HEAP = ["--max-semi-space-size=2", "--heap-growing-percent=20"];

/** As `nice` counts. */
const NICENESS = 10;

/**
 * Where there are no more cores than threads of the engine, the HTTP process would wait for one until a thread's time is up, and with it
 * every request. What a thread begins later inherits this. Another platform may refuse it: then it is as it was.
 */
function yieldCores(pid: number): void {
  try {
    os.setPriority(pid, NICENESS);
  } catch {
    // It has ended, which whoever waits for it hears.
  }
}

export function connect({ silence, ...settings }: ConnectionOptions): Connection {
  // This process's own flags stay its own: with them --eval would run its script again in every child, which starts
  // more of them, and a debugger's port would be taken. NODE_OPTIONS is inherited.
  const child = spawn(process.execPath, [...SMALL_HEAP, ENTRY], {
    // Nothing of ours is written to stdout there; a native library's lines belong to nobody.
    stdio: ["ignore", "ignore", settings.verbose ? "inherit" : "pipe", "pipe"],
    env: { ...pageSettings(settings.weights), ...process.env },
  });
  if (child.pid !== undefined) yieldCores(child.pid);
  const pipe = child.stdio[3] as Duplex;
  const calls = new Map<number, Waiting>();
  const versions = new Map<string, OpenedVersion>();
  const numberOf = new Map<string, number>();
  let next = 1;
  let numbers = 1;
  let pulse: Pulse | null = null;
  let looking: { readonly resolve: (pulse: Pulse) => void; readonly reject: (error: Error) => void }[] = [];
  let silentBeats = 0;
  let started = false;
  let over: ProcessEnded | null = null;

  const { ended, stop } = watchEnd(child, (error) => {
    over = error;
    clearInterval(beat);
    for (const { reject } of [...calls.values(), ...looking]) reject(error);
    calls.clear();
    looking = [];
  });
  const write = (frame: Uint8Array) => {
    if (!over) pipe.write(frame);
  };
  const ask = (call: number, frame: Uint8Array, onPart?: (payload: ArrayBuffer) => void): Promise<ArrayBuffer> =>
    new Promise((resolve, reject) => {
      if (over) return reject(over);
      calls.set(call, { resolve, reject, ...(onPart ? { onPart } : {}) });
      write(frame);
    });

  const read = frameReader((kind, payload) => {
    silentBeats = 0;
    if (kind === FrameKind.pong) beaten(decodePong(payload));
    else if (kind === FrameKind.part) calls.get(callOf(payload))?.onPart?.(payload);
    else if (kind === FrameKind.done) settle(callOf(payload), (waiting) => waiting.resolve(payload));
    else if (kind === FrameKind.ready) settle(0, (waiting) => waiting.resolve(payload));
    else if (kind === FrameKind.opened) {
      settle(decodeJson<Answer>(payload).call, (waiting) => waiting.resolve(payload));
    } else if (kind === FrameKind.failed) {
      const failed = decodeJson<Failed>(payload);
      settle(failed.call, (waiting) => waiting.reject(errorOf(failed)));
    } else stop(`it sent a frame of the kind ${kind}`);
  });
  const beaten = (now: Pulse) => {
    pulse = now;
    for (const { resolve } of looking) resolve(now);
    looking = [];
  };
  const settle = (call: number, act: (waiting: Waiting) => void) => {
    const waiting = calls.get(call);
    calls.delete(call);
    if (waiting) act(waiting);
  };
  pipe.on("data", (chunk: Uint8Array) => {
    try {
      read(chunk);
    } catch (error) {
      stop((error as Error).message);
    }
  });
  pipe.on("error", () => undefined); // its end follows, and says why

  const ready = ask(0, encodeJson(FrameKind.start, settings)).then((payload) => decodeJson<Ready>(payload));
  // Its failure is heard where it is awaited.
  const onReady = () => {
    started = true;
  };
  ready.then(onReady, () => undefined);
  // By beats and not by the clock: a server that was stopped for a while finds that its own time went on.
  const beat = setInterval(() => {
    silentBeats += 1;
    const most = started ? silence : START_SILENCE;
    if (silentBeats * BEAT > most * 1000) stop(`it gave no sign of life for ${most} seconds`);
    else write(emptyFrame(FrameKind.ping, 0).frame);
  }, BEAT);
  beat.unref();

  return {
    pid: child.pid ?? 0,
    ready,
    ended,
    versions,
    pulse: () => pulse,
    look: () =>
      new Promise((resolve, reject) => {
        if (over) return reject(over);
        looking.push({ resolve, reject });
        write(emptyFrame(FrameKind.ping, 0).frame);
      }),
    async open(version) {
      const known = versions.get(version);
      if (known) return known;
      const [call, number] = [next++, numbers++];
      const payload = await ask(call, encodeJson(FrameKind.open, { call, version, number } satisfies OpenCall));
      const { opened } = decodeJson<Required<Answer>>(payload);
      versions.set(version, opened);
      numberOf.set(version, number);
      return opened;
    },
    async close(version) {
      const number = numberOf.get(version);
      if (number === undefined) return;
      versions.delete(version);
      numberOf.delete(version);
      const call = next++;
      await ask(call, encodeJson(FrameKind.close, { call, number } satisfies CloseCall));
    },
    async run(version, rows, onPart) {
      const [known, number] = [versions.get(version), numberOf.get(version)];
      if (!known || number === undefined) throw new Error(`version ${version} is not open`);
      const call = next++;
      const frame = encodeBatch({ call, version: number }, rows, known.tasks);
      let thrown: { readonly error: unknown } | null = null;
      const payload = await ask(call, frame, (bytes) => {
        const part = decodePart(bytes, known.tasks, rows);
        try {
          onPart(part);
        } catch (error) {
          thrown ??= { error }; // the caller's own: the process is to end its batch first
        }
      });
      if (thrown) throw (thrown as { readonly error: unknown }).error;
      return decodeDone(payload);
    },
    async end() {
      pipe.end();
      pipe.destroy();
      const timer = setTimeout(() => child.kill("SIGKILL"), GRACE);
      await ended;
      clearTimeout(timer);
    },
    kill: stop,
  };
}

/** @param onEnd called once, when the process is gone */
function watchEnd(child: ChildProcess, onEnd: (error: ProcessEnded) => void) {
  let written = "";
  let reason: string | null = null;
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    written = (written + text).slice(-KEPT);
  });
  const ended = new Promise<string>((resolve) => {
    const end = (why: string) => {
      onEnd(new ProcessEnded(why));
      resolve(why);
    };
    child.on("error", (error) => {
      reason ??= `it does not start: ${error.message}`;
      if (child.pid === undefined) end(reason);
    });
    // After "close" stderr is read to its end, which "exit" does not promise.
    child.on("close", (code, signal) => end(reason ?? describeEnd({ code, signal, stderr: written })));
  });
  return {
    ended,
    stop(why: string): void {
      reason ??= why;
      child.kill("SIGKILL");
    },
  };
}

function errorOf({ message, exitCode }: Failed): Error {
  return exitCode === null ? new Error(message.join("\n")) : new UserError(exitCode, message);
}
