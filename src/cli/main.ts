// The command line: the only file that touches argv, exit codes, signals and the process's streams.

import { CommanderError } from "commander";
import { ExitCode, UserError } from "../errors/errors";
import { forTerminal } from "../errors/printable";
import { storageFailure } from "../files/storage-failure";
import type { Recipes } from "../recipes/recipe";
import { recipes as own } from "../recipes/recipes";
import { commandsOf } from "./catalogue";
import { buildProgram, type Shell } from "./program";
import { coloursOf, type Interruption, type Streams } from "./terminal";
import { commandFirst, commandIn } from "./words";

/** Commands that print as they go, however long, and do nothing else. */
const printing = new Set(["predict"]);

/**
 * Runs the command line and sets the process's exit code. Called by bin/flexbert.js.
 * @param recipes the training methods that there are: a command each
 */
export function main(argv: readonly string[], recipes: Recipes = own): void {
  const args = argv.slice(2);
  const streams: Streams = { out: process.stdout, err: process.stderr };
  const controller = new AbortController();
  let watched = false;
  const interruption: Interruption = {
    get signal() {
      watched = true;
      return controller.signal;
    },
  };
  const shell: Shell = { streams, interruption, recipes, commands: commandsOf(recipes) };
  let signalCode: ExitCode | null = null;
  const onSignal = (code: ExitCode) => () => {
    // The second one does not wait, and the first neither where nothing is under way that would stop by itself.
    if (signalCode !== null || !watched) process.exit(code);
    signalCode = code;
    process.stderr.write("\nstopping after the step in hand; press Ctrl-C again to quit at once\n");
    controller.abort();
  };
  process.on("SIGINT", onSignal(ExitCode.interrupted));
  process.on("SIGTERM", onSignal(ExitCode.terminated));
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") {
      process.exit(report(storageFailure(error, "to standard output"), args, shell));
    }
    // `flexbert ... | head`: nobody reads on. A command that has more to do than to print finishes it.
    if (printing.has(args.find((argument) => !argument.startsWith("-")) ?? "")) process.exit(ExitCode.ok);
  });
  // Nobody reads the log any more: no reason to stop work that takes hours.
  process.stderr.on("error", () => undefined);
  runIn(shell, args).then(
    (code) => {
      process.exitCode = code === ExitCode.interrupted && signalCode !== null ? signalCode : code;
    },
    (error) => {
      process.stderr.write(`${(error as Error).stack}\n`);
      process.exitCode = ExitCode.failure;
    },
  );
}

/** Runs one command line and returns its exit code. Prints every error itself. */
export const run = (
  args: readonly string[],
  streams: Streams,
  interruption: Interruption,
  recipes: Recipes = own,
): Promise<ExitCode> => runIn({ streams, interruption, recipes, commands: commandsOf(recipes) }, args);

async function runIn(shell: Shell, args: readonly string[]): Promise<ExitCode> {
  let given = args.map(snakeToKebab);
  try {
    given = await commandFirst(given, shell.commands);
    await (await buildProgram(given, shell)).parseAsync(given, { from: "user" });
    return ExitCode.ok;
  } catch (error) {
    return report(error, given, shell);
  }
}

/** --learning_rate is --learning-rate, as users of other tools type it. */
function snakeToKebab(argument: string): string {
  if (!argument.startsWith("--")) return argument;
  const [flag = "", ...value] = argument.split("=");
  return [flag.replaceAll("_", "-"), ...value].join("=");
}

/**
 * One clear error, and the exit code it stands for: a line on stderr, or with --json an object, so that stdout holds
 * results alone. Only defects show a stack, unless --verbose asks for it.
 */
function report(error: unknown, args: readonly string[], shell: Shell): ExitCode {
  const { err } = shell.streams;
  if (error instanceof CommanderError && (error.exitCode === 0 || error.code === "commander.help")) {
    return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage; // the help that was asked for, or is needed
  }
  const { message, exitCode, defect } = explain(error, args, shell);
  if (defect || args.includes("--verbose"))
    err.write(`${forTerminal(error instanceof Error ? `${error.stack}` : String(error))}\n`);
  const written = args.includes("--json")
    ? forTerminal(JSON.stringify({ error: { message, exitCode } }))
    : `${coloursOf(err).red("flexbert:")} ${forTerminal(message)}`;
  err.write(`${written}\n`);
  return exitCode;
}

interface Explanation {
  readonly message: string;
  readonly exitCode: ExitCode;
  readonly defect?: true;
}

function explain(thrown: unknown, args: readonly string[], { interruption, commands }: Shell): Explanation {
  if (thrown instanceof CommanderError) {
    const message = thrown.message
      .replace(/^error: |\.$/g, "")
      .replace(/\s+\(Did you mean (.+)\?\)/, ' (did you mean "$1"?)');
    return {
      message: `${message}. Run: flexbert ${[...commandIn(args, commands), "--help"].join(" ")}`,
      exitCode: ExitCode.usage,
    };
  }
  const stopped = stoppedMessage(thrown, interruption);
  if (stopped) {
    return { message: `${stopped}. Go on with: flexbert ${args.map(quote).join(" ")}`, exitCode: ExitCode.interrupted };
  }
  const { code, path } = Object(thrown) as { code?: string; path?: string };
  if (code === "ENOENT" && path) return { message: `${path}: no such file or folder`, exitCode: ExitCode.failure };
  const error = storageFailure(thrown, path ?? "a file", "cannot use");
  if (error instanceof UserError) return { message: error.message, exitCode: error.exitCode };
  const message = "that is a defect of flexbert; please report it with the lines above and what flexbert doctor prints";
  return { message, exitCode: ExitCode.failure, defect: true };
}

/** By name: importing Interrupted's class would load what training needs. A download ends with an AbortError. */
function stoppedMessage(error: unknown, interruption: Interruption): string | null {
  if (!(error instanceof Error)) return null;
  if (error.name === "Interrupted") return error.message;
  return error.name === "AbortError" && interruption.signal.aborted ? "stopped; what was fetched is kept" : null;
}

const quote = (argument: string) =>
  /^[\w./:=,@%+-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;
