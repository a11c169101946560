// Which run of a task is merged: `teacher`, `kd-L`, `best` or a task=choice list (a file that `select` wrote is read by
// selection-file.ts); and a task's runs as candidates of a selection.

import type { StoredRun } from "../checkpoints/runs/run-folder";
import { modelError, usageError } from "../errors/errors";
import { didYouMean } from "../messages/nearest";
import { counted } from "../messages/words";
import type { ChooseBy } from "../settings/selection";
import type { Candidate } from "./candidate";
import { bestRun, chooseTeacher, comparableRuns } from "./teacher";

/** "student": the best student if there is one, else the teacher: the default. */
export type Choice = "student" | "teacher" | "best" | `kd-${number}`;

/** A task's finished runs on one base. */
export interface Candidates {
  readonly task: string;
  readonly teachers: readonly StoredRun[];
  readonly students: readonly StoredRun[];
}

const isChoice = (text: string): text is Choice => /^(teacher|best|kd-[1-9]\d*)$/.test(text);

/** Reads --select: one choice for all, or rte=teacher,cola=kd-2. Throws usageError (2). */
export function parseSelect(text: string): (task: string) => Choice {
  if (isChoice(text)) return () => text;
  const chosen = new Map<string, Choice>();
  for (const part of text.split(",")) {
    const [task = "", choice = ""] = part.split("=").map((word) => word.trim());
    if (!task || !isChoice(choice)) {
      throw usageError(
        `--select ${text}: "${part}" is none of teacher, best, kd-1, kd-2, task=choice. Example: rte=teacher,cola=kd-2`,
      );
    }
    chosen.set(task, choice);
  }
  return (task) => chosen.get(task) ?? "student";
}

/** Throws usageError (2) where --select names a task that is not known: the one that was meant would get the default. */
export function requireKnown(select: string, known: readonly string[]): void {
  const unknown = tasksOfSelect(select).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw usageError(
    `--select ${select}: ${unknown} is not among the tasks${didYouMean(unknown, known)}: ${known.join(", ")}`,
  );
}

/** The tasks that a task=choice list names; none for one choice for all. */
export const tasksOfSelect = (text: string): string[] =>
  text.includes("=") ? text.split(",").map((part) => part.slice(0, part.indexOf("=")).trim()) : [];

/** The run that a choice names. Throws modelError (4) with the command that would make it. */
export function selectRun({ task, teachers, students }: Candidates, choice: Choice, by: ChooseBy): StoredRun {
  const teacher = chooseTeacher(comparableRuns(teachers)[0] ?? [], by) ?? onlyFull(teachers);
  const ofTeacher = studentsOf(students, teacher);
  if (choice === "teacher" || (choice === "student" && ofTeacher.length === 0)) {
    if (!teacher) throw modelError(`${task} has no finished run. Run: flexbert finetune --task ${task}`);
    return teacher;
  }
  if (choice === "student") return bestRun(ofTeacher);
  if (choice === "best") {
    const all = [...ofTeacher, ...(teacher ? [teacher] : [])];
    if (all.length === 0) throw modelError(`${task} has no finished run. Run: flexbert finetune --task ${task}`);
    return bestRun(all.sort((a, b) => a.record.layers - b.record.layers));
  }
  const layers = Number(choice.slice(3));
  const matching = ofTeacher.filter(({ record }) => record.layers === layers);
  if (matching.length > 0) return bestRun(matching);
  // KD-l keeps a teacher that is no larger than l.
  if (teacher && teacher.record.layers <= layers) return teacher;
  throw modelError(
    `${task} has no student of ${layers} layers. Run: flexbert distill --task ${task} --student-layers ${layers}`,
  );
}

/**
 * A task's candidates from the fewest layers to the most: the best student of each size that was scored on its teacher's
 * dev rows, the teacher, and with `allowUnshared` the best run of k = full. Also how many students were left out because
 * other dev rows scored them.
 */
export function storedCandidates(
  { teachers, students }: Candidates,
  by: ChooseBy,
  allowUnshared: boolean,
): { candidates: Candidate[]; incomparable: number } {
  const newest = comparableRuns(teachers)[0] ?? [];
  const teacher = chooseTeacher(newest, by);
  const ofTeacher = studentsOf(students, teacher);
  const comparable = ofTeacher.filter(({ record }) => record.devData.sha256 === teacher?.record.devData.sha256);
  const sizes = [...new Set(comparable.map(({ record }) => record.layers))].sort((a, b) => a - b);
  const best = sizes.map((size) => bestRun(comparable.filter(({ record }) => record.layers === size)));
  const full = newest.filter(({ record }) => record.fork === null);
  const candidates = [
    ...best.map((run) => toCandidate("student", run)),
    ...(teacher ? [toCandidate("teacher", teacher)] : []),
    ...(allowUnshared && full.length > 0 ? [toCandidate("unshared", bestRun(full))] : []),
  ];
  return { candidates, incomparable: ofTeacher.length - comparable.length };
}

/** What a choice among a task's runs passes over, a line each: people should not have to find out by themselves. */
export function leftOut({ teachers, students }: Omit<Candidates, "task">, by: ChooseBy): string[] {
  const [first = [], ...others] = comparableRuns(teachers);
  const teacher = chooseTeacher(first, by);
  const runs = others.reduce((sum, group) => sum + group.length, 0);
  const finished = students.filter(({ record }) => record.state === "finished").length;
  const orphans = finished - studentsOf(students, teacher).length;
  const lines: string[] = [];
  if (runs > 0) lines.push(`${counted(runs, "run")} scored on other dev rows left out`);
  if (orphans > 0) lines.push(`${counted(orphans, "student")} of other teachers left out`);
  return lines;
}

const toCandidate = (role: Candidate["role"], run: StoredRun): Candidate => {
  const { fork, layers, score } = run.record;
  return { role, fork, layers, score, run };
};

/** Students of the teacher that is chosen now; those of an earlier teacher have another fork. */
function studentsOf(students: readonly StoredRun[], teacher: StoredRun | null): StoredRun[] {
  return students.filter(
    ({ record }) => record.state === "finished" && teacher !== null && record.teacher?.sha256 === teacher.record.sha256,
  );
}

/** A full run where there is nothing else: merge then says what it would cost. */
function onlyFull(teachers: readonly StoredRun[]): StoredRun | null {
  const finished = teachers.filter(({ record }) => record.state === "finished");
  return finished.length > 0 ? bestRun(finished) : null;
}
