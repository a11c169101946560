// Runs command lines one after the other in a child that lives on (host-child.cjs), and notices what a command must never do:
// end the process, or not end at all.

import { type ChildProcess, fork } from "node:child_process";
import path from "node:path";
import type { Workspace } from "./workspace";

export interface CommandLine {
  readonly args: readonly string[];
  readonly stdin?: Uint8Array;
  /** Whether both streams are a terminal. */
  readonly terminal?: boolean;
}

export interface Ended {
  /** Null where the process ended before the command did, or was ended because the command did not. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Of processor time: another's load does not count. */
  readonly seconds: number;
  /** The most that the process has ever held. */
  readonly peakBytes: number;
}

export interface Runner {
  /** Whether it can be told that its streams are a terminal. */
  readonly terminals: boolean;
  run(command: CommandLine): Promise<Ended>;
  close(): Promise<void>;
}

/** A child that holds more is replaced, so that its peak says something of the next command. */
const REPLACE_ABOVE = 500e6;
/** After this the command is taken to hang; a busy machine is no hang. */
const PATIENCE = 600_000;

export class Host implements Runner {
  readonly terminals = true;
  private child: ChildProcess | null = null;
  private log = "";

  private readonly cwd: string;
  private readonly env: Readonly<Record<string, string>>;

  constructor({ folder, env }: Workspace) {
    this.cwd = folder;
    this.env = env;
  }

  async run({ args, stdin = new Uint8Array(), terminal = false }: CommandLine): Promise<Ended> {
    const child = this.child ?? this.start();
    this.log = "";
    const ended = await new Promise<Ended>((resolve) => {
      let hangs = false;
      const clock = setTimeout(() => {
        hangs = true;
        child.kill("SIGKILL");
      }, PATIENCE);
      const died = (code: number | null, signal: string | null) => {
        this.child = null;
        done({
          status: null,
          stdout: "",
          stderr: `${hangs ? "it hangs" : `the process ended with ${code ?? signal}`}\n${this.log}`,
          seconds: hangs ? PATIENCE / 1000 : 0,
          peakBytes: 0,
        });
      };
      const answered = (outcome: Ended) => done({ ...outcome, stderr: outcome.stderr + this.log });
      const done = (outcome: Ended) => {
        clearTimeout(clock);
        child.off("close", died);
        child.off("message", answered);
        resolve(outcome);
      };
      child.once("close", died);
      child.once("message", answered);
      child.send({ args, cwd: this.cwd, stdin: Buffer.from(stdin).toString("base64"), terminal });
    });
    if (ended.peakBytes > REPLACE_ABOVE) await this.close();
    return ended;
  }

  async close(): Promise<void> {
    const { child } = this;
    this.child = null;
    if (!child) return;
    const closed = new Promise((resolve) => child.once("close", resolve));
    child.kill("SIGKILL");
    await closed;
  }

  private start(): ChildProcess {
    const child = fork(path.join(__dirname, "host-child.cjs"), [], {
      cwd: this.cwd,
      env: { ...process.env, ...this.env },
      // JSON has no way to say of a lone surrogate what it is; what is compared here is text.
      serialization: "advanced",
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.log += text;
      });
    }
    this.child = child;
    return child;
  }
}
