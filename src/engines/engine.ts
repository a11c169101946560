// What an engine is to the rest of the program: it takes pure functions over named tensors, keeps their state in
// its own memory and runs them. Recipes, merging and predicting know this type only; api makes the value.

import type { DynamicAxes, EntryPoint } from "../model/entry-point";
import type { HostTensors } from "../model/tensors";
import type { EngineName, Precision } from "../settings/engine";

/** Functions that share one state: a train step and the evaluation of the same branch, say. */
export interface Program<E extends string> {
  /**
   * Runs one entry point; its new state replaces the old. Calls may not overlap.
   * @param kept outputs that are inputs of another program's next call and nothing else: an engine whose device is far away leaves
   *   them there. They hold until this entry point runs again, and reading their data may throw.
   */
  run(entry: E, inputs: HostTensors, kept?: readonly string[]): Promise<HostTensors>;
  /** A copy of the state. */
  state(): Promise<HostTensors>;
  /** What was compiled so far; null where an engine compiles nothing. */
  compiled(): Compilation | null;
  /** Frees the state; the program cannot be used afterwards. */
  dispose(): void;
}

export interface Compilation {
  readonly graphs: number;
  /** Seconds spent tracing, lowering and preparing them. */
  readonly seconds: number;
}

/** A function that was compiled before: a piece of a merged model. */
export interface GraphProgram {
  /** Names of what it reads. */
  readonly inputs: readonly string[];
  /**
   * @param leave the outputs are other programs' inputs and nothing else: an engine whose device is far away leaves them there, until
   *   they are given to `release`
   */
  run(inputs: HostTensors, leave?: boolean): Promise<HostTensors>;
  /** Lets go of outputs that were left; absent where none are. */
  readonly release?: (outputs: HostTensors) => void;
  dispose(): void;
}

export interface Engine {
  readonly name: EngineName;
  /** One line for logs: version, device, threads. */
  readonly summary: string;
  readonly device: "cpu" | "gpu";
  readonly threads: number;
  readonly precision: Precision;
  /** Takes the state, which the caller does not change from then on; the engine does not change the caller's arrays. */
  load<E extends string>(
    state: HostTensors,
    entries: Readonly<Record<E, EntryPoint>>,
    axes?: Readonly<Partial<Record<E, DynamicAxes>>>,
  ): Promise<Program<E>>;
  /**
   * Opens a graph that was lowered before: an ONNX file, and the files beside it that hold its weights, or a file's bytes.
   * Absent where an engine runs no such files. Throws the runtime's error for one that does not open.
   */
  readonly openGraph?: (file: string | Uint8Array) => Promise<GraphProgram>;
  /** Whether products of int8 weights of 8 bits are wrong on this processor; present where openGraph is. Looked up once. */
  readonly saturates?: () => Promise<boolean>;
  /** Tensors that the engine holds now: equal before and after any complete piece of work. */
  tensorCount(): number;
  dispose(): void;
}

/** Why an engine is not available here, and the command or package that would change it. */
export interface EngineAbsence {
  readonly name: EngineName;
  readonly reason: string;
  readonly remedy: string;
}
