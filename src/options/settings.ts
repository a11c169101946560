// Settings: the values of a group of definitions, with the types that follow from them. What code is given, what a run's
// record holds and what an experiment file resolves to are all one of these.

import { shown } from "../errors/printable";
import { canonicalJson } from "../files/hash";
import { configKey, type Definition, type Definitions, type TypeOf } from "./option";

type Flat<T> = { [K in keyof T]: T[K] };

/** The values of a group; those that may be absent are optional. */
export type SettingsOf<D extends Definitions> = Flat<
  { readonly [K in keyof D as undefined extends TypeOf<D[K]> ? never : K]: TypeOf<D[K]> } & {
    readonly [K in keyof D as undefined extends TypeOf<D[K]> ? K : never]?: TypeOf<D[K]>;
  }
>;

/** The same as a record holds them: silent ones are absent at their default. */
export type Recorded<D extends Definitions> = Flat<
  Omit<SettingsOf<D>, Silent<D>> & Partial<Pick<SettingsOf<D>, Silent<D> & keyof SettingsOf<D>>>
>;
type Silent<D extends Definitions> = { [K in keyof D]: D[K] extends { silent: true } ? K : never }[keyof D];

export const defaultOf = <T>({ read, fallback }: Definition<T>): T =>
  fallback === undefined ? (undefined as T) : read(fallback);

/** Definitions with other defaults for some of them. */
export const withDefaults = <D extends Definitions>(definitions: D, defaults: Readonly<Record<string, unknown>>): D =>
  Object.fromEntries(
    Object.entries(definitions).map(([name, definition]) => [
      name,
      name in defaults ? { ...definition, fallback: defaults[name] } : definition,
    ]),
  ) as D;

/** A group's own values out of those of more definitions. */
export function settingsOf<D extends Definitions>(definitions: D, values: SettingsOf<D>): SettingsOf<D> {
  const own = Object.keys(definitions).map((name) => [name, (values as Record<string, unknown>)[name]] as const);
  return Object.fromEntries(own.filter(([, value]) => value !== undefined)) as SettingsOf<D>;
}

/** A group's values where a file gives some of them by config key and the others have their defaults. */
export function settingsFrom<D extends Definitions>(
  definitions: D,
  given: Readonly<Record<string, unknown>>,
): SettingsOf<D> {
  const values = Object.entries(definitions).map(([name, definition]) => {
    return [name, given[configKey(definition.flag)] ?? defaultOf(definition)] as const;
  });
  return Object.fromEntries(values.filter(([, value]) => value !== undefined)) as SettingsOf<D>;
}

/** Settings as ids, records and config.yaml hold them. */
export function recorded<D extends Definitions>(definitions: D, settings: SettingsOf<D>): Recorded<D> {
  const said = Object.entries(settingsOf(definitions, settings)).filter(([name, value]) => {
    const definition = definitions[name] as Definition<unknown>;
    return !definition.silent || value !== defaultOf(definition);
  });
  return Object.fromEntries(said) as Recorded<D>;
}

/** The first value of a record that is missing or wrong, in words; null where there is none. */
export function recordedProblem(definitions: Definitions, options: Readonly<Record<string, unknown>>): string | null {
  for (const [name, definition] of Object.entries(definitions)) {
    const value = options[name];
    if (value === undefined) {
      if (definition.silent || definition.fallback === undefined) continue;
      return `it has no options.${name}`;
    }
    try {
      // A record holds a value, not another way of writing it.
      if (canonicalJson(definition.read(value)) === canonicalJson(value)) continue;
      return `its options.${name} is ${shown(value)}`;
    } catch (error) {
      return `its options.${name} is ${shown(value)}: it takes ${(error as Error).message}`;
    }
  }
  return null;
}

/** A group's settings out of what a record holds, which {@link recordedProblem} finds nothing wrong with. */
export function fromRecorded<D extends Definitions>(
  definitions: D,
  options: Readonly<Record<string, unknown>>,
): SettingsOf<D> {
  const values = Object.entries(definitions).map(([name, definition]) => [
    name,
    options[name] ?? defaultOf(definition),
  ]);
  return Object.fromEntries(values.filter(([, value]) => value !== undefined)) as SettingsOf<D>;
}
