// The budget of a search. Time is turned into units of work (layers times tokens) once, by a measured rate, and both are
// written down: from then on units alone count, so that a slower day, a kill or a second process changes no decision.

import { existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import { modelError, oneLine, usageError } from "../../errors/errors";
import { shown } from "../../errors/printable";
import { writeFileAtomic } from "../../files/atomic";
import { makeFolder } from "../../files/folder";
import { formatProblem, stamped } from "../../files/format";
import { isCount, parseJson } from "../../files/json";
import { formatSeconds } from "../../messages/quantities";

export const BUDGET_FILE = "search.json";
const FORMAT = 1;

export interface SearchBudget {
  readonly format: typeof FORMAT;
  /** The version that wrote it. */
  readonly flexbert?: string;
  /** As it was asked for. */
  readonly seconds: number;
  readonly seed: number;
  /** Measured before the first trial, on this engine. */
  readonly unitsPerSecond: number;
  readonly engine: string;
  /** What may be spent. */
  readonly units: number;
}

/** What is asked of a search. */
export type SearchAsked = Pick<SearchBudget, "seconds" | "seed">;

/** A search's budget where one is written down. Throws usageError (2) where it is another than is asked for. */
export async function readBudget(folder: string, { seconds, seed }: SearchAsked): Promise<SearchBudget | null> {
  const file = path.join(folder, BUDGET_FILE);
  if (!existsSync(file)) return null;
  const found = await parse(file);
  if (found.seconds === seconds && found.seed === seed) return found;
  throw usageError(
    `${file} is of a search with a budget of ${formatSeconds(found.seconds)} and seed ${found.seed}, and this one has ` +
      `${formatSeconds(seconds)} and ${seed}. Give those, or another --out`,
  );
}

async function parse(file: string): Promise<SearchBudget> {
  let found: unknown;
  try {
    found = parseJson(await readFile(file, "utf8"));
  } catch (error) {
    throw modelError(`${file} is damaged (${oneLine(error)}). Remove it: the rate is measured again`, error);
  }
  const foreign = formatProblem(found, FORMAT);
  if (foreign !== null) throw modelError(`${file} ${foreign}`);
  const problem = budgetProblem(Object(found));
  if (problem === null) return found as SearchBudget;
  throw modelError(`${file} is damaged (${problem}). Remove it: the rate is measured again`);
}

/** The first field that is missing or wrong, in words; null where there is none. */
function budgetProblem(found: Readonly<Record<string, unknown>>): string | null {
  const isPositive = (value: unknown) => Number.isFinite(value) && (value as number) > 0;
  const fields = {
    seconds: isPositive,
    seed: isCount,
    unitsPerSecond: isPositive,
    engine: (value: unknown) => typeof value === "string",
    units: isCount,
  };
  for (const [field, holds] of Object.entries(fields)) {
    const value = found[field];
    if (!holds(value)) return value === undefined ? `it has no ${field}` : `its ${field} is ${shown(value)}`;
  }
  return null;
}

export async function writeBudget(
  folder: string,
  { seconds, seed }: SearchAsked,
  { unitsPerSecond, engine }: Pick<SearchBudget, "unitsPerSecond" | "engine">,
): Promise<SearchBudget> {
  const units = Math.round(seconds * unitsPerSecond);
  const budget: SearchBudget = { format: FORMAT, seconds, seed, unitsPerSecond, engine, units };
  await makeFolder(folder);
  await writeFileAtomic(path.join(folder, BUDGET_FILE), `${JSON.stringify(stamped(budget), null, 2)}\n`);
  return budget;
}

/** Takes a budget back that was too small to begin with, so that a larger one may be given. */
export const forgetBudget = (folder: string): Promise<void> => rm(path.join(folder, BUDGET_FILE), { force: true });
