// The command line: the only file that touches argv, exit codes, signals and the process's streams.

import { readFileSync } from "node:fs";
import { CommanderError, Option, Command as Program } from "commander";
import { ExitCode, UserError, usageError } from "../errors/errors";
import { storageFailure } from "../files/storage-failure";
import { packageVersion } from "../files/version";
import { didYouMean } from "../messages/nearest";
import { type ConfigFile, type Definition, type Definitions, resolveOptions, type Values } from "../options/option";
import { talk } from "../settings/call";
import { commands } from "./catalogue";
import type { Command } from "./command";
import { coloursOf, createTerminal, type Interruption, type Streams } from "./terminal";

/** Commands that print as they go, however long, and do nothing else. */
const printing = new Set(["predict"]);

/** Runs the command line and sets the process's exit code. Called by bin/flexbert.js. */
export function main(argv: readonly string[]): void {
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
      process.exit(report(storageFailure(error, "to standard output"), args, streams, interruption));
    }
    // `flexbert ... | head`: nobody reads on. A command that has more to do than to print finishes it.
    if (printing.has(args.find((argument) => !argument.startsWith("-")) ?? "")) process.exit(ExitCode.ok);
  });
  // Nobody reads the log any more: no reason to stop work that takes hours.
  process.stderr.on("error", () => undefined);
  run(args, streams, interruption).then(
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
export async function run(args: readonly string[], streams: Streams, interruption: Interruption): Promise<ExitCode> {
  const given = args.map(snakeToKebab);
  try {
    await (await buildProgram(given, streams, interruption)).parseAsync(given, { from: "user" });
    return ExitCode.ok;
  } catch (error) {
    return report(error, given, streams, interruption);
  }
}

/** --learning_rate is --learning-rate, as users of other tools type it. */
function snakeToKebab(argument: string): string {
  if (!argument.startsWith("--")) return argument;
  const [flag = "", ...value] = argument.split("=");
  return [flag.replaceAll("_", "-"), ...value].join("=");
}

async function buildProgram(args: readonly string[], streams: Streams, interruption: Interruption): Promise<Program> {
  const program = new Program("flexbert")
    .description("Fine-tune each task's top BERT layers, distil them, and merge all tasks into one multi-head model.")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpCommand("help [command]", "help for a command")
    .configureOutput({
      writeOut: (text) => void streams.out.write(text),
      writeErr: (text) => void streams.err.write(text),
      // Errors are printed in one place, `report`.
      outputError: () => undefined,
    })
    .exitOverride()
    // After a command's name --version may be the command's own option.
    .enablePositionalOptions()
    .addHelpText("after", overview);
  const name = requestedCommand(args);
  for (const [command, { summary, load }] of Object.entries(commands)) {
    const sub = program.command(command).summary(summary).description(summary).exitOverride();
    if (command === name) configure(sub, await load(), streams, interruption);
  }
  return program;
}

const overview = `
Examples:
  flexbert quickstart                          the whole pipeline on the sample tasks
  flexbert finetune --task rte --k 3-9         train the top 3 to 9 layers over the frozen rest
  flexbert distill --student-layers 2          distil every teacher into 2 layers
  flexbert merge --out merged/                 one multi-head model of all tasks
  flexbert predict --model merged/ --text "a moving film"

Exit codes: 0 ok, 1 failure, 2 usage or config, 3 data, 4 model or checkpoint, 5 over tolerance, 6 engine absent,
130 and 143 after a signal.`;

/** The first word that is no flag; `help NAME` asks for NAME. Options of other commands stay unloaded. */
function requestedCommand(args: readonly string[]): string | undefined {
  const words = args.filter((argument) => !argument.startsWith("-"));
  const name = words[0] === "help" ? words[1] : words[0];
  if (name !== undefined && words[0] !== "help" && !(name in commands)) {
    const known = Object.keys(commands);
    throw new UserError(ExitCode.usage, `unknown command ${name}${didYouMean(name, known)}. Run: flexbert --help`);
  }
  return name;
}

function configure<D extends Definitions>(
  program: Program,
  command: Command<D>,
  streams: Streams,
  interruption: Interruption,
): void {
  const definitions = { ...command.options, ...talk };
  if (command.description) program.description(command.description);
  for (const { name, help } of command.arguments ?? []) program.argument(name, help);
  for (const definition of Object.values(definitions)) program.addOption(toOption(definition));
  const examples = command.examples.map((line) => `  flexbert ${line}`).join("\n");
  program.addHelpText("after", `\nExamples:\n${examples}`);
  program.action(async (...received: unknown[]) => {
    const flags = program.opts() as Record<string, unknown>;
    const args = received
      .slice(0, command.arguments?.length ?? 0)
      .flatMap((value) => (value === undefined ? [] : (value as string | string[])));
    const config = typeof flags["config"] === "string" ? await readConfig(flags["config"]) : null;
    const values = resolveOptions(definitions, flags, config) as Values<D> & Values<typeof talk>;
    await command.run(values, createTerminal(streams, interruption, values), args);
  });
}

function toOption({ flag, short, value, help, fallback }: Definition<unknown>): Option {
  const names = short ? `${short}, ${flag}` : flag;
  const shown =
    value !== undefined && fallback !== undefined && fallback !== null && fallback !== ""
      ? `${help} (default ${fallback})`
      : help;
  if (value === undefined) return new Option(names, shown);
  return new Option(`${names} ${value}`, shown).argParser((given: string, before: string | undefined) => {
    // Taking the last one would drop a text or a task without a word.
    if (before !== undefined && before !== given) {
      throw usageError(`${flag} is given twice: ${JSON.stringify(before)} and ${JSON.stringify(given)}. Give it once`);
    }
    return given;
  });
}

async function readConfig(file: string): Promise<ConfigFile> {
  const { parseDocument } = await import("yaml");
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new UserError(ExitCode.usage, `--config ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  const document = parseDocument(text);
  const [problem] = document.errors;
  if (problem) throw new UserError(ExitCode.usage, `${file}: ${problem.message.split("\n")[0]}`);
  const values: unknown = document.toJS() ?? {};
  if (typeof values !== "object" || Array.isArray(values)) {
    throw new UserError(ExitCode.usage, `${file} holds no options: write one "key: value" a line`);
  }
  return { file, values: values as Record<string, unknown> };
}

/**
 * One clear error, and the exit code it stands for: a line on stderr, or with --json an object, so that stdout holds
 * results alone. Only defects show a stack, unless --verbose asks for it.
 */
function report(error: unknown, args: readonly string[], { err }: Streams, interruption: Interruption): ExitCode {
  if (error instanceof CommanderError && (error.exitCode === 0 || error.code === "commander.help")) {
    return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage; // the help that was asked for, or is needed
  }
  const { message, exitCode, defect } = explain(error, args, interruption);
  if (defect || args.includes("--verbose")) err.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  const written = args.includes("--json")
    ? JSON.stringify({ error: { message, exitCode } })
    : `${coloursOf(err).red("flexbert:")} ${message}`;
  err.write(`${written}\n`);
  return exitCode;
}

interface Explanation {
  readonly message: string;
  readonly exitCode: ExitCode;
  readonly defect?: true;
}

function explain(thrown: unknown, args: readonly string[], interruption: Interruption): Explanation {
  if (thrown instanceof CommanderError) {
    const message = thrown.message
      .replace(/^error: |\.$/g, "")
      .replace(/\s+\(Did you mean (.+)\?\)/, ' (did you mean "$1"?)');
    const command = args.find((argument) => argument in commands);
    return { message: `${message}. Run: flexbert ${command ? `${command} ` : ""}--help`, exitCode: ExitCode.usage };
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
