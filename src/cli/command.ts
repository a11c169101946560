// A command as a value: its options, arguments and examples, and one function that does it and prints.

import type { Definitions, Values } from "../options/option";
import type { Terminal } from "./terminal";

export interface Command<D extends Definitions = Definitions> {
  readonly summary: string;
  /** What help says between usage and options. */
  readonly description?: string;
  /** Positional arguments as commander writes them: "<name>", "[texts...]". */
  readonly arguments?: readonly { readonly name: string; readonly help: string }[];
  readonly options: D;
  /** Command lines without the leading "flexbert". At least one. */
  readonly examples: readonly string[];
  run(values: Values<D>, terminal: Terminal, args: readonly string[]): Promise<void>;
}

/** Keeps the types of the options in `run`. */
export function defineCommand<D extends Definitions>(command: Command<D>): Command<D> {
  return command;
}
