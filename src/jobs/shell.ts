// Words of shell scripts, and the programs of job systems.

import { failure, usageError } from "../errors/errors";
import { runChild } from "../files/child";

/** A word as a shell reads it back. */
export const shellWord = (word: string): string =>
  /^[\w./:=,@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;

/** A path in a line of options of sbatch, which knows double quotes and no escapes. Throws usageError (2) for one with quotes. */
export function optionWord(word: string): string {
  if (/["\\\p{Cc}]/u.test(word)) {
    throw usageError(`${JSON.stringify(word)}: sbatch takes no path with quotes, backslashes or line ends. Rename it`);
  }
  return /^[\w./:=,@%+-]+$/.test(word) ? word : `"${word}"`;
}

/**
 * Runs a job system's program and returns what it prints.
 * Throws usageError (2) where it is not installed, failure (1) with its last line where it fails.
 */
export async function tool(command: string, args: readonly string[], what: string): Promise<string> {
  // Whole, however long the queue is: of a part of it jobs would seem to be gone.
  let printed = "";
  const onStdout = (text: string) => {
    printed += text;
  };
  const found = await runChild(command, args, { timeoutMs: 120_000, onStdout }).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code !== "ENOENT") throw error;
      throw usageError(
        `${command} is not there: ${what} is not set up on this machine. Run this where it is; jobs submit --dry-run needs none of it`,
        error,
      );
    },
  );
  if (found.code === 0) return printed;
  const said = found.stderr.trim().split("\n").at(-1) ?? "";
  throw failure(`${command} ${args[0] ?? ""} failed (${found.code ?? found.signal}): ${said}`);
}
