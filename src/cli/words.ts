// Which command a command line means: its words, before commander reads the rest.

import { usageError } from "../errors/errors";
import { didYouMean } from "../messages/nearest";
import type { Definitions } from "../options/option";
import { type CommandEntry, type CommandGroup, type Commands, isGroup } from "./catalogue";

const entryOf = (name: string, commands: Commands): CommandEntry | CommandGroup | undefined =>
  Object.hasOwn(commands, name) ? commands[name] : undefined;

/**
 * `help NAME ACTION` as `NAME ACTION --help`, which commander does for one word alone; and for a group, the action before
 * its options: `data --task rte check` is as good as `data check --task rte`.
 */
export async function commandFirst(args: readonly string[], commands: Commands): Promise<string[]> {
  if (args[0] === "help" && args.length > 1) return commandFirst([...args.slice(1), "--help"], commands);
  const [name = "", ...rest] = args;
  const entry = entryOf(name, commands);
  if (!entry || !isGroup(entry)) return [...args];
  if (rest[0] === "help") return commandFirst([rest[0], name, ...rest.slice(1)], commands);
  if (!rest[0]?.startsWith("-")) return [...args];
  const loaded = await Promise.all(Object.values(entry.commands).map(({ load }) => load()));
  const valued = loaded.flatMap(({ options }) =>
    Object.values(options as Definitions).flatMap(({ flag, alias, short, value }) =>
      value ? [flag, alias, short] : [],
    ),
  );
  const at = rest.findIndex((word, i) => Object.hasOwn(entry.commands, word) && !valued.includes(rest[i - 1]));
  return at < 0 ? [...args] : [name, rest[at] as string, ...rest.slice(0, at), ...rest.slice(at + 1)];
}

/** The command, and its action where it is a group. Options of other commands stay unloaded. */
export function requestedCommand(args: readonly string[], commands: Commands): [name?: string, action?: string] {
  const at = args.findIndex((argument) => !argument.startsWith("-"));
  const name = args[at];
  if (name === undefined || name === "help") return [];
  const entry = entryOf(name, commands);
  if (!entry) {
    const known = Object.keys(commands);
    throw usageError(`unknown command ${name}${didYouMean(name, known)}. Run: flexbert --help`);
  }
  if (!isGroup(entry)) return [name];
  const action = args[at + 1];
  const wanted = action === undefined || action.startsWith("-") ? undefined : action;
  if (wanted !== undefined && Object.hasOwn(entry.commands, wanted)) return [name, wanted];
  const asksForHelp = args.includes("--help") || args.includes("-h");
  if (wanted === undefined && (asksForHelp || entry.fallback !== undefined)) return [name];
  const takes = Object.keys(entry.commands)
    .join(", ")
    .replace(/, (\w+)$/, " or $1");
  throw usageError(`${name} takes ${takes}${wanted ? `, not ${wanted}` : ""}. Run: flexbert ${name} --help`);
}

/** The words of a command line that name its command. */
export function commandIn(args: readonly string[], commands: Commands): string[] {
  const at = args.findIndex((argument) => Object.hasOwn(commands, argument));
  const [name, action = ""] = args.slice(at < 0 ? args.length : at);
  if (name === undefined) return [];
  const entry = entryOf(name, commands);
  if (!entry || !isGroup(entry)) return [name];
  const known = Object.hasOwn(entry.commands, action) ? action : entry.fallback;
  return known === undefined ? [name] : [name, known];
}
