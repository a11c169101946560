// A choice that is scored on rows which it was not made on: everything is chosen anew on one half of the dev rows (teachers
// and their seeds, students and theirs, the mix), the chosen branches are scored on the other half, both ways, and the two
// are averaged. What stays in it of choosing on dev: each run's best epoch, which training picked on all rows.

import type { RunRecord, StoredRun } from "../checkpoints/runs/run-folder";
import { UserError } from "../errors/errors";
import { countLayers } from "../model/overhead";
import type { ChooseBy } from "../settings/selection";
import { meanScore } from "../tasks/scores";
import type { Candidate, Decision, TaskCandidates } from "./candidate";
import type { Candidates } from "./candidates";
import { applyRule, type Rule } from "./rule";
import { bestRun, chooseTeacher, comparableRuns, teachingRun } from "./teacher";

/** Fractions; null where a score is undefined. */
export interface HalfScores {
  readonly whole: number | null;
  readonly halves: readonly [number | null, number | null];
}

/** A branch that one half chose. */
export interface CrossChoice extends Pick<Candidate, "role" | "fork" | "layers"> {
  readonly folder: string;
  /** On the half that chose it, and on the other one. */
  readonly chosenOn: number | null;
  readonly score: number | null;
}

export interface CrossTask {
  readonly task: string;
  /** By the first half, and by the second. */
  readonly choices: readonly [CrossChoice, CrossChoice];
  /** The mean of what the choices score on the rows that did not choose them. */
  readonly score: number | null;
  /** What the choice on all rows scores on those same rows. */
  readonly maximum: number | null;
}

/** An average over tasks, twice. */
export interface CrossAverage {
  readonly score: number | null;
  readonly maximum: number | null;
}

export interface Crossed extends CrossAverage {
  readonly tasks: readonly CrossTask[];
  /** Layers of what each half chose. */
  readonly layers: readonly [number, number];
  /** The teachers alone, and full fine-tuning where every task has it, chosen and scored the same way. */
  readonly teachers: CrossAverage | null;
  readonly full: CrossAverage | null;
}

/** A task with its runs, and what each of them scores by folder. */
export interface CrossInput {
  readonly runs: Candidates;
  readonly scores: ReadonlyMap<string, HalfScores>;
}

/**
 * @param candidatesOf a task's candidates of its runs, as for the choice on all rows
 * @param made the choice on all rows
 * Throws UserError (2) where a half finds no choice.
 */
export function crossSelect(
  inputs: readonly CrossInput[],
  candidatesOf: (runs: Candidates) => TaskCandidates,
  rule: Rule,
  by: ChooseBy,
  made: readonly Decision[],
): Crossed {
  const choose = (half: 0 | 1) => {
    const decisions = onHalf(() =>
      applyRule(
        inputs.map((one) => candidatesOf(onOneHalf(one, half, by))),
        rule,
      ),
    );
    return decisions.map(({ chosen }, t) => choiceOf(chosen, inputs[t] as CrossInput, half));
  };
  const [first, second] = [choose(0), choose(1)];
  const tasks = inputs.map(({ runs: { task } }, t): CrossTask => {
    const choices = [first[t] as CrossChoice, second[t] as CrossChoice] as const;
    const score = meanScore(choices.map((choice) => choice.score));
    return { task, choices, score, maximum: made[t]?.chosen.score ?? null };
  });
  const layersOf = (choices: readonly CrossChoice[]) => {
    const { shared, branch } = countLayers(choices);
    return shared + branch;
  };
  return {
    tasks,
    layers: [layersOf(first), layersOf(second)],
    ...averageOf(tasks),
    teachers: reference(inputs, (runs) => chooseTeacher(newest(runs), by)),
    full: reference(inputs, ({ teachers }) => {
      const full = newest({ teachers }).filter(({ record }) => record.fork === null);
      return full.length === 0 ? null : bestRun(full);
    }),
  };
}

function onHalf<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    throw new UserError(error.exitCode, `--cross: on one half of dev, ${error.message}`);
  }
}

/**
 * The same runs with their scores on one half. Whichever run is the teacher there, the students that are candidates on all
 * rows stay candidates.
 */
function onOneHalf({ runs, scores }: CrossInput, half: 0 | 1, by: ChooseBy): Candidates {
  const whole = teachingRun(newest(runs), by);
  const rescored = (run: StoredRun, also: Partial<RunRecord> = {}): StoredRun => {
    const score = scores.get(run.folder)?.halves[half] ?? null;
    return { folder: run.folder, record: { ...run.record, score, ...also } };
  };
  const scored = (run: StoredRun) => scores.has(run.folder);
  const teachers = runs.teachers.filter(scored).map((run) => rescored(run));
  const teacher = teachingRun(newest({ teachers }), by);
  const students = runs.students.filter(scored).map((run) => {
    const taught = run.record.teacher;
    if (!taught || !teacher || taught.sha256 !== whole?.record.sha256) return rescored(run);
    return rescored(run, { teacher: { ...taught, sha256: teacher.record.sha256 as string } });
  });
  return { task: runs.task, teachers, students };
}

const newest = ({ teachers }: Pick<Candidates, "teachers">) => comparableRuns(teachers)[0] ?? [];

function choiceOf({ role, fork, layers, score, run }: Candidate, { scores }: CrossInput, half: 0 | 1): CrossChoice {
  const { folder } = run as StoredRun;
  const other = scores.get(folder)?.halves[half === 0 ? 1 : 0] ?? null;
  return { role, fork, layers, folder, chosenOn: score, score: other };
}

const averageOf = (tasks: readonly CrossAverage[]): CrossAverage => ({
  score: meanScore(tasks.map(({ score }) => score)),
  maximum: meanScore(tasks.map(({ maximum }) => maximum)),
});

/** What one method scores so; null where a task has no such run. */
function reference(
  inputs: readonly CrossInput[],
  choose: (runs: Pick<Candidates, "teachers">) => StoredRun | null,
): CrossAverage | null {
  const tasks: CrossAverage[] = [];
  for (const { runs, scores } of inputs) {
    const own = newest(runs).filter(({ folder }) => scores.has(folder));
    const onHalves = ([0, 1] as const).map((half) => {
      const score = ({ folder }: StoredRun) => scores.get(folder)?.halves[half] ?? null;
      const chosen = choose({ teachers: own.map((run) => ({ ...run, record: { ...run.record, score: score(run) } })) });
      return chosen && (scores.get(chosen.folder)?.halves[half === 0 ? 1 : 0] ?? null);
    });
    const onAll = choose({ teachers: own });
    if (!onAll) return null;
    tasks.push({ score: meanScore(onHalves), maximum: onAll.record.score });
  }
  return averageOf(tasks);
}

/** Whether a run's score here is not the one in its record: another engine or precision computed it. */
export const differs = (score: number | null, recorded: number | null): boolean =>
  score === null || recorded === null ? score !== recorded : Math.abs(score - recorded) > 5e-4;
