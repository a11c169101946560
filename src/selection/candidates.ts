// Which run of a task is merged: `teacher`, `kd-L`, `kd-L@FORK`, `best`, a method of frozen layers such as `lora`, or a task=choice list (a
// file that `select` wrote is read by selection-file.ts); and a task's runs as candidates of a selection.

import type { StoredRun } from "../checkpoints/runs/run-folder";
import { modelError, usageError } from "../errors/errors";
import { didYouMean } from "../messages/nearest";
import { counted } from "../messages/words";
import type { Adapter } from "../model/adapters/adapter";
import { type AdapterName, adapterOf, adapters } from "../model/adapters/adapters";
import { isSmaller, type Place } from "../model/place";
import type { ChooseBy } from "../settings/selection";
import type { Candidate } from "./candidate";
import { groupBy } from "./group-by";
import { bestRun, chooseTeacher, comparableRuns, teachingRun } from "./teacher";

/** "student": the best student if there is one, else the teacher: the default. */
export type Choice = "student" | "teacher" | "best" | AdapterName | `kd-${number}` | `kd-${number}@${number | "same"}`;

/** Which students a kd- choice means. */
export interface StudentChoice {
  readonly layers: number;
  /** "same": its teacher's, as in the paper; null: any. */
  readonly fork: number | "same" | null;
}

/** kd-2: of 2 layers on any fork; kd-2@same: on its teacher's; kd-2@3: on fork 3. null for a choice of another kind. */
export function studentChoice(choice: Choice): StudentChoice | null {
  const [, layers, fork] = /^kd-([1-9]\d*)(?:@(same|\d+))?$/.exec(choice) ?? [];
  if (layers === undefined) return null;
  return { layers: Number(layers), fork: fork === undefined ? null : fork === "same" ? fork : Number(fork) };
}

/** Whether a student is one of those that are meant. */
export const isMeant = ({ layers, fork }: StudentChoice, student: Place, teacher: Place | null): boolean =>
  student.layers === layers && (fork === null || student.fork === (fork === "same" ? teacher?.fork : fork));

/** Whether a teacher stays where there is no such student: it is no larger than one would be. */
export const staysFor = ({ layers, fork }: StudentChoice, teacher: Place): boolean =>
  typeof fork === "number" ? !isSmaller({ fork, layers }, teacher) : teacher.layers <= layers;

/** The options of distill that make them. */
export const studentOptions = ({ layers, fork }: StudentChoice): string =>
  `--student-layers ${layers}${typeof fork === "number" ? ` --student-forks ${fork}` : ""}`;

/** A task's finished runs on one base. */
export interface Candidates {
  readonly task: string;
  readonly teachers: readonly StoredRun[];
  readonly students: readonly StoredRun[];
  /** Whose layers stayed frozen: candidates of no selection, and merged by the name of their method. Absent: none. */
  readonly adapted?: readonly StoredRun[];
}

const isChoice = (text: string): text is Choice =>
  text === "teacher" || text === "best" || adapters.has(text) || studentChoice(text as Choice) !== null;

/** Reads --select: one choice for all, or rte=teacher,cola=kd-2. Throws usageError (2). */
export function parseSelect(text: string): (task: string) => Choice {
  if (isChoice(text)) return () => text;
  const chosen = new Map<string, Choice>();
  for (const part of text.split(",")) {
    const [task = "", choice = ""] = part.split("=").map((word) => word.trim());
    if (!task || !isChoice(choice)) {
      throw usageError(
        `--select ${text}: "${part}" is none of teacher, best, kd-1, kd-2, kd-2@same, kd-2@3, ${[...adapters.keys()].join(", ")}, task=choice. ` +
          "Example: rte=teacher,cola=kd-2",
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

/**
 * The run that a choice names. Throws modelError (4) with the command that would make it.
 * @param allowUnshared whether whole students count, which share no layer
 */
export function selectRun(
  { task, teachers, students, adapted = [] }: Candidates,
  choice: Choice,
  by: ChooseBy,
  allowUnshared = false,
): StoredRun {
  const adapter = adapters.get(choice);
  if (adapter) return adaptedRun(task, adapted, adapter);
  const teacher = teachingRun(comparableRuns(teachers)[0] ?? [], by);
  const ofTeacher = studentsOf(students, teacher).filter((run) => allowUnshared || isSharing(run));
  if (choice === "teacher" || (choice === "student" && ofTeacher.length === 0)) {
    if (!teacher) throw noRun(task, adapted);
    return teacher;
  }
  if (choice === "student") return bestRun(ofTeacher);
  if (choice === "best") {
    // A full one shares no layer: it is taken where there is nothing else, and merge then says what it would cost.
    const shares = teacher !== null && (teacher.record.fork !== null || ofTeacher.length === 0);
    const all = [...ofTeacher, ...(shares ? [teacher] : [])];
    if (all.length === 0) throw noRun(task, adapted);
    return bestRun(all.sort((a, b) => a.record.layers - b.record.layers));
  }
  const wanted = studentChoice(choice) as StudentChoice;
  const matching = ofTeacher.filter(({ record }) => isMeant(wanted, record, teacher?.record ?? null));
  if (matching.length > 0) return bestRun(matching);
  if (teacher && staysFor(wanted, teacher.record)) return teacher;
  const above =
    wanted.fork === null ? "" : ` above ${wanted.fork === "same" ? "its teacher's fork" : `fork ${wanted.fork}`}`;
  throw modelError(
    `${task} has no student of ${counted(wanted.layers, "layer")}${above}. ` +
      `Run: flexbert distill --task ${task} ${studentOptions(wanted)}`,
  );
}

/** The best run of a method of frozen layers, whatever its sizes and its k. Throws modelError (4) where there is none. */
function adaptedRun(task: string, adapted: readonly StoredRun[], adapter: Adapter): StoredRun {
  const own = adapted.filter(({ record }) => adapterOf(record.options) === adapter);
  const [newest] = comparableRuns(own);
  if (newest) return bestRun(newest);
  throw modelError(
    `${task} has no finished run of ${adapter.name}. Run: flexbert finetune --task ${task} --method ${adapter.name}`,
  );
}

function noRun(task: string, adapted: readonly StoredRun[]): Error {
  const [first] = methodsOf(adapted);
  const others = first ? `, or give --select ${task}=${first} to take one of frozen layers` : "";
  return modelError(
    `${task} has no finished run whose layers were trained. Run: flexbert finetune --task ${task}${others}`,
  );
}

/** Of finished runs the names of their methods, each once. */
const methodsOf = (adapted: readonly StoredRun[]): string[] => [
  ...new Set(adapted.flatMap(({ record }) => (record.state === "finished" ? [String(record.options["method"])] : []))),
];

/**
 * A task's candidates from the fewest layers to the most, then from the shallowest fork: the best student of each place
 * that was scored on its teacher's dev rows, the teacher, and with `allowUnshared` the best run of k = full and the best whole
 * students. Also how many students were left out because other dev rows scored them.
 */
export function storedCandidates(
  { teachers, students }: Candidates,
  by: ChooseBy,
  allowUnshared: boolean,
): { candidates: Candidate[]; incomparable: number } {
  const newest = comparableRuns(teachers)[0] ?? [];
  const teacher = chooseTeacher(newest, by);
  const taught = teachingRun(newest, by);
  const ofTeacher = studentsOf(students, taught);
  const comparable = ofTeacher.filter(({ record }) => record.devData.sha256 === taught?.record.devData.sha256);
  const best = bestByPlace(comparable.filter(isSharing));
  const whole = bestByPlace(comparable.filter((run) => !isSharing(run)));
  const full = newest.filter(({ record }) => record.fork === null);
  const candidates = [
    ...best.map((run) => toCandidate("student", run)),
    ...(teacher ? [toCandidate("teacher", teacher)] : []),
    ...(allowUnshared && full.length > 0 ? [toCandidate("unshared", bestRun(full))] : []),
    ...(allowUnshared ? whole.map((run) => toCandidate("unshared", run)) : []),
  ];
  return { candidates, incomparable: ofTeacher.length - comparable.length };
}

/** What a choice among a task's runs passes over, a line each: people should not have to find out by themselves. */
export function leftOut(
  { teachers, students, adapted = [] }: Omit<Candidates, "task">,
  by: ChooseBy,
  allowUnshared = false,
): string[] {
  const [first = [], ...others] = comparableRuns(teachers);
  const teacher = teachingRun(first, by);
  const runs = others.reduce((sum, group) => sum + group.length, 0);
  const finished = students.filter(({ record }) => record.state === "finished").length;
  const ofTeacher = studentsOf(students, teacher);
  const orphans = finished - ofTeacher.length;
  const whole = allowUnshared ? 0 : ofTeacher.filter((run) => !isSharing(run)).length;
  const lines: string[] = [];
  if (runs > 0) lines.push(`${counted(runs, "run")} scored on other dev rows left out`);
  if (orphans > 0) lines.push(`${counted(orphans, "student")} of other teachers left out`);
  if (whole > 0)
    lines.push(`${counted(whole, "whole student")}, sharing no layer, left out: --allow-unshared takes them`);
  for (const method of methodsOf(adapted)) {
    const own = adapted.filter(({ record }) => record.state === "finished" && record.options["method"] === method);
    lines.push(`${counted(own.length, "run")} of ${method} left out: --select ${method} takes the best`);
  }
  return lines;
}

/** Whether a run stands on the trunk: one of k = full has embeddings of its own, and a whole student too. */
export const isSharing = ({ record }: StoredRun): boolean => record.fork !== null;

export const toCandidate = (role: Candidate["role"], run: StoredRun): Candidate => {
  const { fork, layers, score } = run.record;
  return { role, fork, layers, score, run };
};

/** The best run of each place, from the fewest layers to the most, of equals from the shallowest fork. */
export function bestByPlace(students: readonly StoredRun[]): StoredRun[] {
  const places = groupBy(students, ({ record: { layers, fork } }) => `${layers} ${fork}`);
  const depth = ({ record: { layers, fork } }: StoredRun) => [layers, fork ?? 0] as const;
  return [...places.values()].map(bestRun).sort((a, b) => {
    const [[ownA, forkA], [ownB, forkB]] = [depth(a), depth(b)];
    return ownA - ownB || forkA - forkB;
  });
}

/** Students of the run that teaches now: those of an earlier one stand for scores that nobody would choose any more. */
function studentsOf(students: readonly StoredRun[], teacher: StoredRun | null): StoredRun[] {
  return students.filter(
    ({ record }) => record.state === "finished" && teacher !== null && record.teacher?.sha256 === teacher.record.sha256,
  );
}
