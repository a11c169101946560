// Submissions of an experiment: OUT/jobs/0001/ has the files that were handed over, submission.json with what they are to the
// job system, and the logs and exit codes that jobs leave there.

import { existsSync } from "node:fs";
import { chmod, readFile } from "node:fs/promises";
import path from "node:path";
import { modelError, oneLine } from "../errors/errors";
import { writeFileAtomic } from "../files/atomic";
import { makeFolder, subfolders } from "../files/folder";
import { formatProblem, stamped } from "../files/format";
import { parseJson } from "../files/json";
import { jobSystems } from "../settings/jobs";
import type { JobFile, Submission } from "./job-system";

export interface StoredSubmission {
  readonly folder: string;
  readonly submission: Submission;
}

export const jobsFolder = (out: string) => path.join(out, "jobs");

export const submissionFolder = (out: string, number: number) =>
  path.join(jobsFolder(out), String(number).padStart(4, "0"));

/** The number of the next submission. A folder without a record counts too: it may have logs. */
export async function nextNumber(out: string): Promise<number> {
  const numbers = (await subfolders(jobsFolder(out))).map(Number).filter(Number.isInteger);
  return Math.max(0, ...numbers) + 1;
}

export async function writeJobFiles(folder: string, files: readonly JobFile[]): Promise<void> {
  for (const inner of ["logs", "exits"]) await makeFolder(path.join(folder, inner));
  for (const { name, content, executable } of files) {
    const file = path.join(folder, name);
    await writeFileAtomic(file, content);
    if (executable) await chmod(file, 0o755);
  }
}

export async function writeSubmission(folder: string, submission: Submission): Promise<void> {
  await writeFileAtomic(recordIn(folder), `${JSON.stringify(stamped(submission), null, 2)}\n`);
}

const recordIn = (folder: string) => path.join(folder, "submission.json");

/** From the oldest. Throws modelError (4) for one that cannot be read. */
export async function readSubmissions(out: string): Promise<StoredSubmission[]> {
  const found: StoredSubmission[] = [];
  for (const name of (await subfolders(jobsFolder(out))).sort()) {
    const folder = path.join(jobsFolder(out), name);
    if (existsSync(recordIn(folder))) found.push({ folder, submission: await read(recordIn(folder)) });
  }
  return found;
}

async function read(file: string): Promise<Submission> {
  let content: unknown;
  try {
    content = parseJson(await readFile(file, "utf8"));
  } catch (error) {
    throw damaged(file, oneLine(error), error);
  }
  const foreign = formatProblem(content, 1);
  if (foreign !== null) throw modelError(`${file} ${foreign}`);
  const problem = problemOf(Object(content));
  if (problem !== null) throw damaged(file, problem);
  return content as Submission;
}

const damaged = (file: string, problem: string, cause?: unknown) =>
  modelError(`${file} is damaged (${problem}). Remove its folder: runs and results lie elsewhere`, cause);

/** "0-3,7", or nothing: numbers that are no longer than a plan can have. */
const TRIALS = /^(\d{1,7}(-\d{1,7})?(,\d{1,7}(-\d{1,7})?)*)?$/;

function problemOf({
  system,
  number,
  experiment,
  plan,
  at,
  namespace,
  arrays,
}: Partial<Record<keyof Submission, unknown>>): string | null {
  if (!(jobSystems as readonly unknown[]).includes(system)) return "its system is none";
  if (!Number.isSafeInteger(number)) return "its number is none";
  if (typeof experiment !== "string" || typeof plan !== "string") return "it names no experiment or no plan";
  if (typeof at !== "string") return "it does not say when it was submitted";
  if (namespace !== undefined && !/^[a-z0-9-]{1,63}$/.test(String(namespace))) return "its namespace is none";
  if (!Array.isArray(arrays)) return "it has no arrays";
  const isArray = (one: unknown) => {
    const { name, stage, packs, id } = Object(one) as Record<string, unknown>;
    // Names become file names, ids arguments.
    const plain = [name, stage, id].every((text) => typeof text === "string" && /^[a-z0-9][\w.-]*$/i.test(text));
    return plain && Array.isArray(packs) && packs.every((pack) => typeof pack === "string" && TRIALS.test(pack));
  };
  return arrays.every(isArray) ? null : "one of its arrays has no name, stage, id or trials";
}
