// The command line: the only file that touches argv, exit codes, signals and the process's streams.

import { readFileSync } from "node:fs";
import path from "node:path";
import { CommanderError, Option, Command as Program } from "commander";
import { ExitCode, UserError } from "../errors/errors";
import { didYouMean } from "../errors/nearest";
import { talk } from "../options/common";
import { type Definition, type Definitions, resolveOptions, type Values } from "../options/option";
import type { Command } from "./command";
import { commands } from "./commands";
import { createTerminal, type Streams } from "./terminal";

/** Runs the command line and sets the process's exit code. Called by bin/flexbert.js. */
export function main(argv: readonly string[]): void {
  const controller = new AbortController();
  let signalCode: ExitCode | null = null;
  const onSignal = (code: ExitCode) => () => {
    if (signalCode !== null) process.exit(code); // the second one does not wait
    signalCode = code;
    process.stderr.write("\nstopping after the step in hand; press Ctrl-C again to quit at once\n");
    controller.abort();
  };
  process.on("SIGINT", onSignal(ExitCode.interrupted));
  process.on("SIGTERM", onSignal(ExitCode.terminated));
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(ExitCode.ok); // `flexbert ... | head`
    throw error;
  });
  run(argv.slice(2), { out: process.stdout, err: process.stderr }, controller.signal).then(
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
export async function run(args: readonly string[], streams: Streams, signal: AbortSignal): Promise<ExitCode> {
  const given = args.map(snakeToKebab);
  try {
    await (await buildProgram(given, streams, signal)).parseAsync(given, { from: "user" });
    return ExitCode.ok;
  } catch (error) {
    return report(error, given, streams);
  }
}

/** --learning_rate is --learning-rate, as users of other tools type it. */
function snakeToKebab(argument: string): string {
  if (!argument.startsWith("--")) return argument;
  const [flag = "", ...value] = argument.split("=");
  return [flag.replaceAll("_", "-"), ...value].join("=");
}

async function buildProgram(args: readonly string[], streams: Streams, signal: AbortSignal): Promise<Program> {
  const program = new Program("flexbert")
    .description("Fine-tune each task's top BERT layers, distil them, and merge all tasks into one multi-head model.")
    .version(packageVersion(), "-V, --version", "print the version")
    .helpCommand("help [command]", "help for a command")
    .showHelpAfterError("(run flexbert --help for the list of commands)")
    .configureOutput({
      writeOut: (text) => void streams.out.write(text),
      writeErr: (text) => void streams.err.write(text),
      // Errors are printed in one place, `report`.
      outputError: () => undefined,
    })
    .exitOverride()
    .addHelpText("after", overview);
  const name = requestedCommand(args);
  for (const [command, { summary, load }] of Object.entries(commands)) {
    const sub = program.command(command).summary(summary).description(summary).exitOverride();
    sub.showHelpAfterError(`(run flexbert ${command} --help for its options)`);
    if (command === name) configure(sub, await load(), streams, signal);
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
  signal: AbortSignal,
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
    await command.run(values, createTerminal(streams, signal, values), args);
  });
}

function toOption({ flag, short, value, help, fallback }: Definition<unknown>): Option {
  const names = short ? `${short}, ${flag}` : flag;
  const shown = value !== undefined && fallback !== undefined ? `${help} (default ${fallback})` : help;
  return new Option(value ? `${names} ${value}` : names, shown);
}

async function readConfig(file: string) {
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

/** One clear error, and the exit code it stands for. Only defects show a stack, unless --verbose asks for it. */
function report(error: unknown, args: readonly string[], { out, err }: Streams): ExitCode {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return ExitCode.ok;
    err.write(`${error.message.replace(/^error: /, "flexbert: ")}\n`);
    return ExitCode.usage;
  }
  const json = args.includes("--json");
  const print = (message: string, code: ExitCode) => {
    if (json) out.write(`${JSON.stringify({ error: message, exitCode: code })}\n`);
    err.write(`flexbert: ${message}\n`);
    return code;
  };
  if (isInterrupted(error)) {
    return print(`${error.message}. Go on with: flexbert ${args.map(quote).join(" ")}`, ExitCode.interrupted);
  }
  if (error instanceof UserError) {
    if (args.includes("--verbose")) err.write(`${error.stack}\n`);
    return print(error.message, error.exitCode);
  }
  err.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  return print("that is a defect of flexbert; please report it with the lines above", ExitCode.failure);
}

/** By name: importing its class would load what training needs. */
const isInterrupted = (error: unknown): error is Error => error instanceof Error && error.name === "Interrupted";

const quote = (argument: string) =>
  /^[\w./:=,@%+-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`;

function packageVersion(): string {
  return JSON.parse(readFileSync(path.join(__dirname, "../../package.json"), "utf8")).version;
}
