// Errors that a user can act on, and the exit codes of the command line.
// A UserError is printed as one line without a stack; anything else is a defect and keeps its stack.

import { onOneLine, withoutControls } from "./printable";

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

/** A problem that the user can solve. The message names the thing, the value and the next step. */
export class UserError extends Error {
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string, options?: ErrorOptions) {
    super(withoutControls(message), options);
    this.name = "UserError";
    this.exitCode = exitCode;
  }
}

/** The message of a library's error on one line: JSON.parse quotes the text that it stumbled over, line ends and all. */
export const oneLine = (error: unknown): string => onOneLine((error as Error).message.replace(/\s+/g, " "));

/** Wrong flags or configuration (exit code 2). */
export const usageError = (message: string, cause?: unknown) => new UserError(ExitCode.usage, message, { cause });

/** Wrong or missing task data (exit code 3). */
export const dataError = (message: string, cause?: unknown) => new UserError(ExitCode.data, message, { cause });

/** A wrong, missing or damaged model or checkpoint (exit code 4). */
export const modelError = (message: string, cause?: unknown) => new UserError(ExitCode.model, message, { cause });

/** Results that differ by more than they may (exit code 5). */
export const toleranceError = (message: string, cause?: unknown) =>
  new UserError(ExitCode.tolerance, message, { cause });

/** An engine that is not installed or cannot run this (exit code 6). */
export const engineError = (message: string, cause?: unknown) =>
  new UserError(ExitCode.engineAbsent, message, { cause });

/** A failure of the machine: disk full, no permission, no network (exit code 1). */
export const failure = (message: string, cause?: unknown) => new UserError(ExitCode.failure, message, { cause });
