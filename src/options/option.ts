// One definition gives a flag, its config key, default, type, unit and help. Values come from the defaults, then the
// --config file, then the flags; all problems are reported at once.

import { usageError } from "../errors/errors";
import { shown } from "../errors/printable";
import { didYouMean } from "../messages/nearest";

/** Turns what a flag or a config file gave into a value. Throws Error saying what is allowed. */
export type Read<T> = (given: unknown) => T;

export interface Definition<T> {
  /** "--learning-rate". The config key is the same in snake_case. */
  readonly flag: string;
  /** Another spelling of the flag, and so of the config key, that help leaves out. */
  readonly alias?: string;
  /** A letter, for the few that have one. */
  readonly short?: string;
  /** Name of the value in help; absent for a switch. */
  readonly value?: string;
  readonly help: string;
  readonly read: Read<T>;
  /** The default as `read` takes it; absent means undefined. */
  readonly fallback?: unknown;
  /** A flag that says the same otherwise: giving both is an error, and this one given as a flag beats that in a file. */
  readonly excludes?: string;
  /** Whether --config may hold it: options that change a run, not those of one call (--json, --force). */
  readonly inConfig: boolean;
  /** See {@link silentDefault}. */
  readonly silent?: boolean;
}

// biome-ignore lint/suspicious/noExplicitAny: a record of definitions of different types
export type Definitions = Readonly<Record<string, Definition<any>>>;

/** What --config read: its path, and its keys with their values. */
export interface ConfigFile {
  readonly file: string;
  readonly values: Readonly<Record<string, unknown>>;
}

export type TypeOf<D> = D extends Definition<infer T> ? T : never;

export type Values<D extends Definitions> = { readonly [K in keyof D]: TypeOf<D[K]> };

type Without<T> = Omit<Definition<T>, "read" | "inConfig"> & { inConfig?: boolean };

/** An option with a value that always exists: it has a default. */
export function option<T>(read: Read<T>, definition: Without<T> & { fallback: unknown }): Definition<T> {
  return { inConfig: true, ...definition, read };
}

/** An option that may be absent. */
export function optional<T>(read: Read<T>, definition: Without<T>): Definition<T | undefined> {
  return { inConfig: true, ...definition, read };
}

/** A switch, false by default. */
export function toggle(definition: Without<boolean>): Definition<boolean> {
  const read = (given: unknown) => {
    if (typeof given === "boolean") return given;
    throw new Error("true or false");
  };
  return { inConfig: true, fallback: false, ...definition, read };
}

/**
 * An option that came later than runs that lack it: at its default, ids, records and config.yaml leave it out, so that
 * what was trained before keeps its id.
 */
export function silentDefault<T>(definition: Definition<T>): Definition<T> & { readonly silent: true } {
  return { ...definition, silent: true };
}

export const camelCase = (flag: string) =>
  flag.replace(/^--/, "").replace(/-(\w)/g, (_, letter) => letter.toUpperCase());
export const configKey = (flag: string) => flag.replace(/^--/, "").replaceAll("-", "_");

/**
 * The values of all definitions. `flags` are commander's, by camel-case name; `config` is the parsed file.
 * Throws usageError (2) with every problem on a line of its own.
 */
export function resolveOptions<D extends Definitions>(
  definitions: D,
  flags: Readonly<Record<string, unknown>>,
  config: ConfigFile | null,
): Values<D> {
  const problems = config ? unknownKeys(definitions, config) : [];
  problems.push(...contradictions(definitions, flags, config));
  const values: Record<string, unknown> = {};
  for (const [name, definition] of Object.entries(definitions)) {
    const [given, where] = pick(definition, flags, config);
    if (given === undefined) continue;
    try {
      values[name] = definition.read(given);
    } catch (error) {
      problems.push(`${where} ${shown(given)}: it takes ${(error as Error).message}`);
    }
  }
  if (problems.length > 0) throw usageError(problems);
  return values as Values<D>;
}

/** Commander makes `--no-onnx` a value `onnx` that is false, and true without the flag. */
function flagValue(flag: string, flags: Readonly<Record<string, unknown>>): unknown {
  if (!flag.startsWith("--no-")) return flags[camelCase(flag)];
  return flags[camelCase(flag.slice("--no-".length))] === false ? true : undefined;
}

function pick(
  definition: Definition<unknown>,
  flags: Readonly<Record<string, unknown>>,
  config: ConfigFile | null,
): [unknown, string] {
  const { flag, fallback, inConfig, excludes } = definition;
  for (const spelling of spellings(definition)) {
    const fromFlag = flagValue(spelling, flags);
    if (fromFlag !== undefined) return [fromFlag, spelling];
  }
  const overruled = excludes !== undefined && flags[camelCase(excludes)] !== undefined;
  for (const key of inConfig && !overruled ? spellings(definition).map(configKey) : []) {
    const fromConfig = config?.values[key];
    if (fromConfig !== undefined && fromConfig !== null) return [fromConfig, `${config?.file}: ${key}`];
  }
  return [fallback, flag];
}

const spellings = ({ flag, alias }: Pick<Definition<unknown>, "flag" | "alias">): string[] =>
  alias === undefined ? [flag] : [flag, alias];

function contradictions(
  definitions: Definitions,
  flags: Readonly<Record<string, unknown>>,
  config: ConfigFile | null,
): string[] {
  return Object.values(definitions).flatMap(({ flag, alias, excludes }) => {
    if (alias !== undefined) return twoValues(flag, alias, flags, config);
    if (excludes === undefined) return [];
    if (flags[camelCase(flag)] !== undefined && flags[camelCase(excludes)] !== undefined) {
      return [`${flag} and ${excludes} exclude each other: give one`];
    }
    const [key, other] = [configKey(flag), configKey(excludes)];
    const both = config !== null && key in config.values && other in config.values;
    return both ? [`${config.file}: ${key} and ${other} exclude each other: keep one`] : [];
  });
}

/** Two spellings of one option that say different things. */
function twoValues(
  flag: string,
  alias: string,
  flags: Readonly<Record<string, unknown>>,
  config: ConfigFile | null,
): string[] {
  const differ = (a: unknown, b: unknown) => a !== undefined && b !== undefined && a !== b;
  const [given, other] = [flags[camelCase(flag)], flags[camelCase(alias)]];
  if (differ(given, other)) return [`${flag} ${given} and ${alias} ${other} name the same thing: give one`];
  const [key, otherKey] = [configKey(flag), configKey(alias)];
  if (!config || !differ(config.values[key], config.values[otherKey])) return [];
  return [`${config.file}: ${key} and ${otherKey} name the same thing: keep one`];
}

function unknownKeys(definitions: Definitions, { file, values }: ConfigFile) {
  const known = Object.values(definitions)
    .filter(({ inConfig }) => inConfig)
    .flatMap(spellings)
    .map(configKey);
  return Object.keys(values)
    .filter((key) => !known.includes(key))
    .map((key) => `${file}: unknown key ${key}${didYouMean(key, known)}`);
}
