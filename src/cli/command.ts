// A command as a value: its options, arguments and examples, and one function that does it and prints.

import type { Definitions, Values } from "../options/option";
import type { Terminal } from "./terminal";

export interface Command<D extends Definitions = Definitions> {
  /** What help says between usage and options; without it the catalogue's summary. */
  readonly description?: string;
  /** Positional arguments as commander writes them: "<name>", "[texts...]". */
  readonly arguments?: readonly { readonly name: string; readonly help: string }[];
  /** What is said of an argument more than those, where more than that it is one too many is worth saying. */
  readonly excess?: (given: string) => string;
  readonly options: D;
  /** Command lines without the leading "flexbert". At least one. */
  readonly examples: readonly string[];
  run(values: Values<D>, terminal: Terminal, args: readonly string[]): Promise<void>;
}

/** Keeps the types of the options in `run`. */
export function defineCommand<D extends Definitions>(command: Command<D>): Command<D> {
  return command;
}
