// The commands as commander's program: the one that is asked for with its options, the others by name and summary alone.

import { Option, Command as Program } from "commander";
import { usageError } from "../errors/errors";
import { packageVersion } from "../files/version";
import { type ConfigFile, type Definition, type Definitions, resolveOptions, type Values } from "../options/option";
import type { Recipes } from "../recipes/recipe";
import { talk } from "../settings/call";
import { type CommandGroup, type Commands, isGroup } from "./catalogue";
import type { Command } from "./command";
import { createTerminal, type Interruption, type Streams } from "./terminal";
import { requestedCommand } from "./words";

/** What a command line runs in. */
export interface Shell {
  readonly streams: Streams;
  readonly interruption: Interruption;
  readonly recipes: Recipes;
  /** With one of each recipe. */
  readonly commands: Commands;
  /** Options and arguments are read and nothing is run; a file that --config names stays unread. */
  readonly parseOnly?: true;
}

export async function buildProgram(args: readonly string[], shell: Shell): Promise<Program> {
  const { streams, commands } = shell;
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
  const [name, action] = requestedCommand(args, commands);
  for (const [command, entry] of Object.entries(commands)) {
    const sub = addCommand(program, command, entry);
    if (command !== name) continue;
    if (isGroup(entry)) await addGroup(sub, entry, action, shell);
    else configure(sub, await entry.load(), shell);
  }
  return program;
}

const addCommand = (parent: Program, name: string, { summary }: { readonly summary: string }, isDefault = false) =>
  parent.command(name, { isDefault }).summary(summary).description(summary).exitOverride();

async function addGroup(
  group: Program,
  { commands: actions, fallback }: CommandGroup,
  action: string | undefined,
  shell: Shell,
): Promise<void> {
  const examples: string[] = [];
  for (const [name, entry] of Object.entries(actions)) {
    const sub = addCommand(group, name, entry, name === fallback);
    const command = await entry.load();
    examples.push(command.examples[0] as string);
    if (name === (action ?? fallback)) configure(sub, command, shell);
  }
  if (fallback !== undefined) group.addHelpText("after", `\nWithout a command, ${fallback}.`);
  addExamples(group, examples);
}

function addExamples(program: Program, examples: readonly string[]): void {
  program.addHelpText("after", `\nExamples:\n${examples.map((line) => `  flexbert ${line}`).join("\n")}`);
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

function configure<D extends Definitions>(
  program: Program,
  command: Command<D>,
  { streams, interruption, recipes, parseOnly }: Shell,
): void {
  const definitions = { ...command.options, ...talk };
  if (command.description) program.description(command.description);
  for (const { name, help } of command.arguments ?? []) program.argument(name, help);
  for (const definition of Object.values(definitions)) {
    program.addOption(toOption(definition));
    const { alias, short: _, ...same } = definition;
    if (alias !== undefined) program.addOption(toOption({ ...same, flag: alias }).hideHelp());
  }
  addExamples(program, command.examples);
  const taken = command.arguments?.length ?? 0;
  const { excess } = command;
  if (excess) program.allowExcessArguments();
  program.action(async (...received: unknown[]) => {
    const [surplus] = program.args.slice(taken);
    if (excess && surplus !== undefined) throw usageError(excess(surplus));
    const flags = program.opts() as Record<string, unknown>;
    const args = received.slice(0, taken).flatMap((value) => (value === undefined ? [] : (value as string | string[])));
    const config = typeof flags["config"] === "string" && !parseOnly ? await readConfig(flags["config"]) : null;
    const values = resolveOptions(definitions, flags, config) as Values<D> & Values<typeof talk>;
    if (!parseOnly) await command.run(values, createTerminal(streams, interruption, values, recipes), args);
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
  const { parseYamlFile, readYamlText } = await import("../options/yaml-file.js");
  const { content } = parseYamlFile(file, await readYamlText(file, "the file of --config"));
  const values = content ?? {};
  if (typeof values !== "object" || Array.isArray(values)) {
    throw usageError(`${file} holds no options: write one "key: value" a line`);
  }
  return { file, values: values as Record<string, unknown> };
}
