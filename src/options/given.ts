// Options as a library's caller gives them: plain values by name, checked by the readers that flags go through.

import { usageError } from "../errors/errors";
import { shown } from "../errors/printable";
import { didYouMean } from "../messages/nearest";
import { camelCase, type Definition, type Definitions, type Values } from "./option";
import type { Range } from "./ranges";

/** Layers or forks as on the command line ("3-9", "2"), one number, or a list. */
type GivenRange<Word extends string> = Range<Word> | string | number | readonly (number | Word)[];

/** Options that are comma lists on the command line, and may be lists here. */
type Lists = "task" | "leaveOut" | "remove" | "labels" | "transfer";

type GivenAs<K, T> = T extends Range<infer Word> ? GivenRange<Word> : K extends Lists ? T | readonly string[] : T;

/** What a call may give for some definitions: each absent one takes its default. */
export type Given<D extends Definitions> = {
  readonly [K in keyof D]?: (D[K] extends Definition<infer T> ? GivenAs<K, T> : never) | undefined;
};

/** The values of all definitions. Throws usageError (2) with every problem on a line of its own. */
export function readGiven<D extends Definitions>(definitions: D, given: Given<D>): Values<D> {
  const problems: string[] = [];
  const names = Object.keys(definitions);
  for (const name of Object.keys(given)) {
    if (!names.includes(name)) problems.push(`unknown option ${name}${didYouMean(name, names)}`);
  }
  const { ...own }: Readonly<Record<string, unknown>> = given;
  // A default may come along: a command's values have all of them.
  const isGiven = (name: string) => own[name] !== undefined && own[name] !== definitions[name]?.fallback;
  const values: Record<string, unknown> = {};
  for (const [name, { read, fallback, excludes }] of Object.entries(definitions)) {
    const value = own[name] === undefined ? fallback : own[name];
    if (value === undefined) continue;
    const other = excludes === undefined ? name : camelCase(excludes);
    if (other !== name && isGiven(name) && isGiven(other)) {
      problems.push(`${name} and ${other} exclude each other: give one`);
    }
    try {
      values[name] = read(value);
    } catch (error) {
      problems.push(`${name} ${shown(value)}: it takes ${(error as Error).message}`);
    }
  }
  if (problems.length > 0) throw usageError(problems);
  return values as Values<D>;
}
