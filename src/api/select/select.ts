// One candidate a task: by the threshold c, for all tasks together by price, share or budget, or by name.

import type { RunRecord } from "../../checkpoints/runs/run-folder";
import { countLayers } from "../../model/overhead";
import { readGiven } from "../../options/given";
import {
  type Candidate,
  type Decision,
  type Summary,
  summarize,
  type TaskCandidates,
  teacherScore,
} from "../../selection/candidate";
import { requireKnown } from "../../selection/candidates";
import type { Crossed } from "../../selection/cross";
import { type LatencyModel, latencyOf } from "../../selection/latency";
import { describeNoise } from "../../selection/noise";
import type { ScoreUnit } from "../../selection/scores-file";
import { SELECTION_FORMAT, toSelectedCross, toSelectedTask, writeSelection } from "../../selection/selection-file";
import { bytesOf } from "../../selection/size";
import { isJoint } from "../../settings/selection";
import { meanScore } from "../../tasks/scores";
import { type Call, type Caller, callOf } from "../caller";
import { type CandidatePool, readPool } from "./candidates";
import { crossOf } from "./cross";
import { findLatency, measure } from "./latency";
import { checkOptions, ruleOf, type SelectOptions, selectOptions } from "./options";

/** A candidate; its score is in the result's unit, null where it is undefined. */
interface DescribedCandidate {
  readonly fork: number | null;
  readonly layers: number;
  readonly score: number | null;
  readonly role: Candidate["role"];
  /** Its folder; null for a line of a table of scores. */
  readonly run: string | null;
  /** Of a student: what taught it; its score is in the result's unit too. */
  readonly teacher: Pick<NonNullable<RunRecord["teacher"]>, "id" | "folder" | "score"> | null;
  /** What the rule says of it. */
  readonly why: string;
}

export interface SelectResult {
  readonly rule: string;
  /** Of every score here. */
  readonly unit: ScoreUnit;
  readonly tasks: readonly (DescribedCandidate & {
    readonly task: string;
    readonly candidates: readonly (DescribedCandidate & { readonly chosen: boolean })[];
  })[];
  /** Encoder layers: those of the deepest fork, and all that the merged model would run. */
  readonly shared: number;
  readonly total: number;
  /** Of one whole base a task: a fraction. */
  readonly overhead: number;
  readonly average: number | null;
  /** The average of the tasks' teachers, where each task has one. */
  readonly teachers: number | null;
  /** Milliseconds of one pass over all tasks, where a cost model was read or measured. */
  readonly latencyMs?: number;
  /** Of the merged model's parameters; absent for a table of scores, and where a branch shares no layer. */
  readonly bytes?: number;
  /** With `cross`: the choice made on one half of the dev rows and scored on the other, both ways. Fractions. */
  readonly cross?: Crossed;
}

/** A selection as it was made. */
export interface Chosen {
  readonly rule: string;
  /** At least one. */
  readonly decisions: readonly Decision[];
  readonly summary: Summary;
  /** The cost model, where the rule uses one. */
  readonly latency: LatencyModel | null;
  readonly pool: CandidatePool;
  /** What it scores on rows that it was not made on, where that was asked for. */
  readonly crossed: Crossed | null;
}

/**
 * Chooses one candidate a task, and writes the choice to `out` for merge.
 * Throws UserError (2) for options that contradict each other and for a budget that no choice meets, (4) without runs.
 */
export async function select(options: SelectOptions = {}, caller: Caller = {}): Promise<SelectResult> {
  return describeChosen(await choose(options, callOf(caller)));
}

/** Times the base's layers on an engine, and writes `latency` where it is given: milliseconds a layer. */
export async function measureLatency(
  options: Pick<SelectOptions, "base" | "latency" | "batchSize" | "length" | "engine" | "device" | "threads"> = {},
  caller: Caller = {},
): Promise<LatencyModel> {
  const values = { ...readGiven(selectOptions, options), measure: true };
  checkOptions(values);
  return measure(values, callOf(caller));
}

/** The selection, written where the values say so. */
export async function choose(options: SelectOptions, call: Call): Promise<Chosen> {
  const values = readGiven(selectOptions, options);
  checkOptions(values);
  const joint = isJoint(values);
  const pool = await readPool({ ...values, joint }, call);
  if (values.select !== undefined) {
    requireKnown(
      values.select,
      pool.tasks.map(({ task }) => task),
    );
  }
  const latency = values.maxLatency === undefined ? null : await findLatency(values, pool, call);
  if (values.withinNoise) for (const task of pool.tasks) call.reporter.log(describeNoise(task));
  const rule = ruleOf(values, { latency, size: pool.size });
  const { applyRule, describeRule } = await import("../../selection/rule.js");
  const decisions = applyRule(pool.tasks, rule);
  const summary = summarize(
    decisions.map((decision) => decision.chosen),
    pool.baseLayers,
  );
  const crossed = values.cross ? await crossOf(pool, rule, decisions, { ...values, joint }, call) : null;
  const chosen = { rule: describeRule(rule), decisions, summary, latency, pool, crossed };
  if (values.out !== undefined) await writeChosen(values.out, chosen, values.checkpoints);
  return chosen;
}

/** Writes what merge --select reads. Scores are fractions there, as in every file. */
async function writeChosen(file: string, { rule, decisions, summary, pool, crossed }: Chosen, checkpoints: string) {
  const tasks = decisions.map((decision) => toSelectedTask(decision, checkpoints));
  const teachers = pool.base ? { teachers: teachersAverage(pool.tasks) } : {};
  const cross = crossed ? { cross: toSelectedCross(crossed) } : {};
  const { base } = pool;
  await writeSelection(file, { format: SELECTION_FORMAT, rule, base, tasks, ...summary, ...teachers, ...cross });
}

export function millisecondsOf(decisions: readonly Decision[], latency: LatencyModel): number {
  const chosen = decisions.map((decision) => decision.chosen);
  return latencyOf(latency, countLayers(chosen), chosen.length);
}

/** Bytes of the merged model's parameters; null where the base is not known, or a branch brings embeddings of its own. */
export function bytesOfChoice({ summary, decisions, pool: { size } }: Pick<Chosen, "summary" | "decisions" | "pool">) {
  const shares = decisions.every(({ chosen }) => chosen.fork !== null);
  return size && shares ? bytesOf(size, summary.total) : null;
}

/** The average of the teachers; null where a task has none, or its score is undefined. */
export const teachersAverage = (tasks: readonly TaskCandidates[]): number | null =>
  meanScore(tasks.map((task) => teacherScore(task) ?? null));

export function describeChosen(made: Chosen): SelectResult {
  const { rule, decisions, summary, latency, pool, crossed } = made;
  const { unit } = pool;
  // To ten digits: 71.5 points went through fractions and should not come back as 71.50000000000001.
  const inUnit = (score: number | null) =>
    score === null || unit === "fractions" ? score : Number((100 * score).toFixed(10));
  const described = ({ fork, layers, score, role, run }: Candidate) => {
    const taught = run?.record.teacher;
    const teacher = taught ? { id: taught.id, folder: taught.folder, score: inUnit(taught.score) } : null;
    return { fork, layers, score: inUnit(score), role, run: run?.folder ?? null, teacher };
  };
  const tasks = decisions.map(({ task, candidates, chosen, notes }) => ({
    task,
    ...described(chosen),
    why: notes[candidates.indexOf(chosen)] ?? "",
    candidates: candidates.map((one, i) => ({ ...described(one), chosen: one === chosen, why: notes[i] ?? "" })),
  }));
  const { shared, total, overhead, average } = summary;
  const bytes = bytesOfChoice(made);
  return {
    ...{ rule, unit, tasks, shared, total, overhead },
    average: inUnit(average),
    teachers: inUnit(teachersAverage(pool.tasks)),
    ...(latency ? { latencyMs: millisecondsOf(decisions, latency) } : {}),
    ...(bytes === null ? {} : { bytes }),
    ...(crossed ? { cross: crossed } : {}),
  };
}
