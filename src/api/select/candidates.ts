// Where select's candidates come from: the finished runs in the checkpoints folder, or a table of scores.

import type { BaseDescription } from "../../checkpoints/bases/base";
import type { StoredRun } from "../../checkpoints/runs/run-folder";
import { modelError, usageError } from "../../errors/errors";
import { didYouMean } from "../../messages/nearest";
import { counted } from "../../messages/words";
import { headParameterCount } from "../../model/head-parameters";
import { embeddingParameterCount, layerParameterCount } from "../../model/parameters";
import type { TaskCandidates } from "../../selection/candidate";
import { type Candidates, leftOut, storedCandidates } from "../../selection/candidates";
import { jointCandidates, withSeeds } from "../../selection/joint-candidates";
import type { ScoreUnit } from "../../selection/scores-file";
import type { SizeModel } from "../../selection/size";
import { comparableRuns } from "../../selection/teacher";
import type { ChooseBy } from "../../settings/selection";
import { headOf, labelledAs, type Task } from "../../tasks/task";
import type { Call } from "../caller";
import { chosenTasks, describeBaseOf } from "../session";
import { hasRuns, noRuns, runsOf } from "../stored-runs";

export interface CandidatePool {
  readonly tasks: readonly TaskCandidates[];
  readonly baseLayers: number;
  /** null for a table of scores, which names none. */
  readonly base: { readonly name: string; readonly sha256: string } | null;
  /** The same with all that is known of it without its weights. */
  readonly description: BaseDescription | null;
  /** What --json prints scores in: the table's own unit, or fractions as everywhere. */
  readonly unit: ScoreUnit;
  /** Of the candidates' merged model; null for a table of scores, which does not know the base. */
  readonly size: SizeModel | null;
  /** What the candidates come from, task by task; none for a table of scores. */
  readonly stored: readonly StoredTask[];
}

/** A task with candidates, and every run that it has on the base. */
export interface StoredTask {
  readonly task: Task;
  readonly runs: Candidates;
}

interface PoolValues extends PoolRule {
  readonly scores: string | undefined;
  readonly scoreUnit: ScoreUnit | "auto";
  readonly task: string | undefined;
  readonly tasks: string | undefined;
  readonly base: string;
  readonly checkpoints: string;
}

/** Which of a task's runs are its candidates. */
export interface PoolRule {
  readonly chooseBy: ChooseBy;
  readonly allowUnshared: boolean;
  /** Every place that was trained, instead of the teacher and its students. */
  readonly joint: boolean;
}

/** A task's candidates, and how many students are none because other dev rows scored them. */
export function candidatesOf(
  runs: Candidates,
  { chooseBy, allowUnshared, joint }: PoolRule,
): { readonly pool: TaskCandidates; readonly incomparable: number } {
  if (joint) return jointCandidates(runs, chooseBy, allowUnshared);
  const { candidates, incomparable } = storedCandidates(runs, chooseBy, allowUnshared);
  const finished = runs.students.filter(({ record }) => record.state === "finished");
  const [newest = []] = comparableRuns(runs.teachers);
  return { pool: withSeeds({ task: runs.task, candidates }, [...newest, ...finished]), incomparable };
}

/** Throws dataError (3) for a table that cannot be read and modelError (4) where a task has no finished run. */
export async function readPool(values: PoolValues, call: Call): Promise<CandidatePool> {
  if (values.scores !== undefined) return tablePool(values.scores, values, call);
  const base = await describeBaseOf(values, call);
  const tasks: TaskCandidates[] = [];
  const used: StoredTask[] = [];
  for (const task of await chosenTasks(values, (known) => hasRuns(base, known, values.checkpoints, call))) {
    const stored = await runsOf(base, task, values.checkpoints, call);
    const { pool, incomparable } = candidatesOf(stored, values);
    // Students of other teachers count in a joint choice.
    const passedOver = values.joint ? { ...stored, students: [] } : stored;
    for (const line of leftOut(passedOver, values.chooseBy, values.allowUnshared))
      call.reporter.log(`${task.name}: ${line}`);
    if (incomparable > 0) {
      call.reporter.log(
        `${task.name}: ${incomparable} students scored on other dev rows than their teacher are no candidates`,
      );
    }
    if (pool.candidates.length > 0) {
      tasks.push(pool);
      const [{ record }] = (comparableRuns(stored.teachers)[0] ?? stored.students) as [StoredRun];
      used.push({ task: labelledAs(task, record), runs: stored });
    } else if (values.task !== undefined) throw noRun(task.name, stored.teachers.length > 0, base.name);
    else call.reporter.log(`${task.name} has no finished run that shares layers: left out`);
  }
  if (tasks.length === 0) {
    throw await noRuns(base, values.checkpoints, call, ", or give --scores FILE.csv");
  }
  const { name, sha256, config } = base;
  const heads = used.flatMap(({ task }) => headOf(task, config));
  // 32-bit floats, as every blob of a merged folder.
  const size = {
    layerBytes: 4 * layerParameterCount(config),
    fixedBytes: 4 * (embeddingParameterCount(config) + headParameterCount(heads)),
  };
  const found = { tasks, stored: used, baseLayers: config.numHiddenLayers, base: { name, sha256 }, description: base };
  return { ...found, unit: "fractions", size };
}

function noRun(task: string, anyRun: boolean, base: string): Error {
  const unusable = "only runs that are unfinished, or of k = full (which --allow-unshared takes)";
  return modelError(
    `${task} has ${anyRun ? unusable : "no run"} on the base ${base}. Run: flexbert finetune --task ${task} --base ${base}`,
  );
}

async function tablePool(file: string, values: PoolValues, call: Call): Promise<CandidatePool> {
  const { readScores } = await import("../../selection/scores-file.js");
  const { tasks, baseLayers, unit } = await readScores(file, values.scoreUnit);
  call.reporter.log(
    `${file}: ${counted(tasks.length, "task")} on a base of ${baseLayers} layers, scores read as ${unit}`,
  );
  const wanted = namedTasks(values.task, tasks, file);
  const shared = wanted.map(({ task, candidates }) => ({
    task,
    candidates: candidates.filter(({ fork }) => fork !== null || values.allowUnshared),
  }));
  const without = shared.find(({ candidates }) => candidates.length === 0);
  if (without) {
    throw usageError(`${file}: every candidate of ${without.task} has fork none. Give --allow-unshared to take them`);
  }
  return { tasks: shared, baseLayers, base: null, description: null, unit, size: null, stored: [] };
}

/** The tasks of the table that --task names, in its order; all without it. */
function namedTasks(names: string | undefined, tasks: readonly TaskCandidates[], file: string): TaskCandidates[] {
  if (names === undefined || names === "all") return [...tasks];
  const known = tasks.map(({ task }) => task);
  const wanted = names.split(",").map((name) => name.trim());
  return [...new Set(wanted)].map((name) => {
    const found = tasks.find(({ task }) => task.toLowerCase() === name.toLowerCase());
    if (found) return found;
    throw usageError(`--task ${name}: ${file} has no such task${didYouMean(name, known)}; it has ${known.join(", ")}`);
  });
}
