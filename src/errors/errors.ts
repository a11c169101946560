// Errors that a user can act on, and the exit codes of the command line.
// A UserError is printed as one line without a stack; anything else is a defect and keeps its stack.

import { messageLine, onOneLine } from "./printable";

/** Exit codes of the command line. 130 and 143 follow a signal. */
export const ExitCode = {
  ok: 0,
  failure: 1,
  usage: 2,
  data: 3,
  model: 4,
  tolerance: 5,
  engineAbsent: 6,
  interrupted: 130,
  terminated: 143,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** What an error says: one line, or a line for each of several problems. No text in it begins a line of its own. */
export type Message = string | readonly string[];

/** Of a message: who has more to mend begins with these. */
const MOST_LINES = 100;

const firstLines = (lines: readonly string[]): readonly string[] =>
  lines.length > MOST_LINES ? [...lines.slice(0, MOST_LINES), `  and ${lines.length - MOST_LINES} more`] : lines;

/** A problem that the user can solve. The message names the thing, the value and the next step. */
export class UserError extends Error {
  readonly exitCode: ExitCode;
  /** The message's lines. */
  readonly lines: readonly string[];

  constructor(exitCode: ExitCode, message: Message, options?: ErrorOptions) {
    const lines = firstLines([message].flat()).map(messageLine);
    super(lines.join("\n"), options);
    this.name = "UserError";
    this.exitCode = exitCode;
    this.lines = lines;
  }
}

/** The message of a library's error on one line: JSON.parse quotes the text that it stumbled over, line ends and all. */
export const oneLine = (error: unknown): string => onOneLine((error as Error).message.replace(/\s+/g, " "));

/** Wrong flags or configuration (exit code 2). */
export const usageError = (message: Message, cause?: unknown) => new UserError(ExitCode.usage, message, { cause });

/** Wrong or missing task data (exit code 3). */
export const dataError = (message: Message, cause?: unknown) => new UserError(ExitCode.data, message, { cause });

/** A wrong, missing or damaged model or checkpoint (exit code 4). */
export const modelError = (message: Message, cause?: unknown) => new UserError(ExitCode.model, message, { cause });

/** Results that differ by more than they may (exit code 5). */
export const toleranceError = (message: Message, cause?: unknown) =>
  new UserError(ExitCode.tolerance, message, { cause });

/** An engine that is not installed or cannot run this (exit code 6). */
export const engineError = (message: Message, cause?: unknown) =>
  new UserError(ExitCode.engineAbsent, message, { cause });

/** A failure of the machine: disk full, no permission, no network (exit code 1). */
export const failure = (message: Message, cause?: unknown) => new UserError(ExitCode.failure, message, { cause });

/** A loss that is no number any more (exit code 1). The same trial does so again wherever it is trained. */
export class Diverged extends UserError {
  constructor(message: string) {
    super(ExitCode.failure, message);
    this.name = "Diverged";
  }
}
