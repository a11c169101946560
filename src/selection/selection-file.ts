// What `select --out FILE.json` writes and `merge --select FILE.json` reads: one run a task, named by its folder under
// the checkpoints folder and by the hash of its weights, so that merge takes exactly that run or says why it cannot.
// A choice from a table of scores names no run: merge looks for the task's candidate of that shape.

import path from "node:path";
import { readRecord, type StoredRun } from "../checkpoints/runs/run-folder";
import { modelError, oneLine, usageError } from "../errors/errors";
import { writeFileAtomic } from "../files/atomic";
import { formatProblem, stamped } from "../files/format";
import { parseOwnJson } from "../files/json";
import { readWhole } from "../files/read-whole";
import type { Place } from "../model/place";
import type { Decision, Summary } from "./candidate";
import type { CrossAverage, Crossed } from "./cross";

export const SELECTION_FORMAT = 1;

export interface SelectedTask extends Place {
  readonly task: string;
  /** A fraction. */
  readonly score: number | null;
  /** null: chosen from a table of scores. */
  readonly run: { readonly folder: string; readonly sha256: string } | null;
  /** What taught it; null for what has no teacher, absent in files of 0.1.0 and from tables. */
  readonly teacher?: { readonly id: string; readonly sha256: string; readonly score: number | null } | null | undefined;
}

export interface Selected extends Summary {
  readonly format: typeof SELECTION_FORMAT;
  /** The version that wrote it, put there by writeSelection; absent where 0.1.0 did. */
  readonly flexbert?: string | undefined;
  /** How it was chosen, for people: "threshold 1". */
  readonly rule: string;
  /** null: chosen from a table of scores. */
  readonly base: { readonly name: string; readonly sha256: string } | null;
  readonly tasks: readonly SelectedTask[];
  /** Average of the tasks' teachers: a fraction. Absent in files of 0.1.0 and from tables. */
  readonly teachers?: number | null | undefined;
  /** What the same rule scores on dev rows that did not choose (cross.ts); absent where that was not asked for. */
  readonly cross?: SelectedCross | undefined;
}

/** Scores as they are where choosing did not inflate them; those beside them, on the rows that chose, are the tasks' own. */
export interface SelectedCross {
  readonly average: number | null;
  /** Layers of what either half chose. */
  readonly layers: readonly number[];
  readonly teachers: SelectedReference | null;
  readonly full: SelectedReference | null;
  readonly tasks: readonly { readonly task: string; readonly score: number | null }[];
}

/** Averages of teachers, or of full fine-tuning, crossed and as the maximum on all rows. */
interface SelectedReference {
  readonly average: number | null;
  readonly maximum: number | null;
}

export function toSelectedCross({ tasks, score, layers, teachers, full }: Crossed): SelectedCross {
  const reference = (one: CrossAverage | null) => one && { average: one.score, maximum: one.maximum };
  return {
    average: score,
    layers,
    teachers: reference(teachers),
    full: reference(full),
    tasks: tasks.map(({ task, score: own }) => ({ task, score: own })),
  };
}

/** Whether --select means a file. */
export const namesFile = (select: string) => /\.json$/i.test(select.trim());

/** What was chosen, as the file holds it. `checkpoints` is what the runs' folders are relative to. */
export function toSelectedTask({ task, chosen }: Decision, checkpoints: string): SelectedTask {
  const { fork, layers, score, run } = chosen;
  const named = run && {
    folder: path.relative(checkpoints, run.folder).split(path.sep).join("/"),
    sha256: run.record.sha256 as string,
  };
  const { teacher } = run?.record ?? {};
  const taught = teacher ? { id: teacher.id, sha256: teacher.sha256, score: teacher.score } : null;
  return { task, fork, layers, score, run: named ?? null, ...(run ? { teacher: taught } : {}) };
}

export async function writeSelection(file: string, selected: Selected): Promise<void> {
  await writeFileAtomic(file, `${JSON.stringify(stamped(selected), null, 2)}\n`);
}

/** Throws usageError (2) for a file that is absent, damaged or no selection. @param flag what named it */
export async function readSelection(file: string, flag = "--select"): Promise<Selected> {
  const advice = `Write it with: flexbert select --out ${file}`;
  let json: unknown;
  try {
    json = parseOwnJson((await readWhole(file)).toString("utf8"));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const problem = code ? `cannot be read (${code})` : `is no JSON (${oneLine(error)})`;
    throw usageError(`${flag} ${file} ${problem}. ${advice}`);
  }
  const foreign = formatProblem(json, SELECTION_FORMAT);
  if (foreign !== null) throw usageError(`${flag} ${file} ${foreign}`);
  const { selectionSchema } = await import("./selection-schema.js");
  const parsed = selectionSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const [problem] = parsed.error.issues;
  const where = problem?.path.join(".") || "the file";
  throw usageError(`${flag} ${file} is no selection (${where}: ${problem?.message}). ${advice}`);
}

/** The run that a selection names. Throws modelError (4) where it has gone, or holds other weights by now. */
export async function selectedRun(
  file: string,
  { task, run: named }: SelectedTask & { readonly run: NonNullable<SelectedTask["run"]> },
  checkpoints: string,
): Promise<StoredRun> {
  const folder = path.join(checkpoints, named.folder);
  const record = await readRecord(folder);
  const again = `Choose again: flexbert select --out ${file}`;
  const chose = `${file} chooses ${folder} for ${task}`;
  if (!record) throw modelError(`${chose}, and there is no such run. Give the --checkpoints that it lies in. ${again}`);
  if (record.task !== task) throw modelError(`${chose}, which is a run of ${record.task}. ${again}`);
  if (record.state !== "finished") {
    throw modelError(
      `${chose}, which is not finished any more: it is being trained again. Wait for it, or choose again`,
    );
  }
  if (record.sha256 !== named.sha256) {
    const [chosen, found] = [named.sha256.slice(0, 8), record.sha256?.slice(0, 8)];
    throw modelError(`${chose} with sha256 ${chosen}, which has ${found} by now: it was trained again. ${again}`);
  }
  return { folder, record };
}
