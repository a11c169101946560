// One candidate a task: by the threshold c, by a budget of layers or milliseconds, or by name.

import { existsSync } from "node:fs";
import path from "node:path";
import { usageError } from "../../errors/errors";
import { countLayers } from "../../model/overhead";
import { type Given, readGiven } from "../../options/given";
import { option, optional, toggle, type Values } from "../../options/option";
import { choice, decimal, integer, text } from "../../options/readers";
import { type Decision, type Summary, summarize } from "../../selection/candidate";
import { parseSelect, requireKnown } from "../../selection/candidates";
import { type LatencyModel, latencyOf } from "../../selection/latency";
import type { Rule } from "../../selection/rule";
import type { ScoreUnit } from "../../selection/scores-file";
import { SELECTION_FORMAT, toSelectedTask, writeSelection } from "../../selection/selection-file";
import { baseOptions } from "../../settings/base";
import { engineOptions } from "../../settings/engine";
import { chooseBy } from "../../settings/selection";
import { taskOptions } from "../../settings/tasks";
import { checkpointOptions } from "../../settings/work";
import { type Call, type Caller, callOf } from "../caller";
import { type CandidatePool, readPool } from "./candidates";
import { findLatency, MEASURED, measure } from "./latency";

/** The paper's own threshold (its Table 2). */
const PAPER_THRESHOLD = 1;

/** merge knows a file by its ending. */
function jsonFile(given: unknown): string {
  const file = text(given);
  if (!/\.json$/i.test(file)) throw new Error("a file that ends with .json");
  return file;
}

export const selectOptions = {
  threshold: optional(decimal({ min: 0 }), {
    flag: "--threshold",
    value: "<c>",
    help: "points that every added layer must gain (default 1)",
  }),
  maxLayers: optional(integer({ min: 1 }), {
    flag: "--max-layers",
    value: "<layers>",
    help: "layers of the merged model, shared ones included",
  }),
  maxLatency: optional(decimal({ min: 0 }), {
    flag: "--max-latency",
    value: "<ms>",
    help: "milliseconds of one pass over all tasks",
  }),
  select: optional(text, {
    flag: "--select",
    value: "<choice>",
    help: "teacher, best, kd-2, kd-2@same, or rte=teacher,cola=kd-2@3",
  }),
  latency: optional(text, {
    flag: "--latency",
    value: "<file>",
    help: "JSON with sharedLayerMs and branchLayerMs; --measure writes it",
  }),
  measure: toggle({ flag: "--measure", help: "time the base's layers on this engine", inConfig: false }),
  batchSize: optional(integer({ min: 1, max: 4096 }), {
    flag: "--batch-size",
    value: "<rows>",
    help: `rows of the batch that --measure times (default ${MEASURED.batchSize})`,
    inConfig: false,
  }),
  length: optional(integer({ min: 2, max: 4096 }), {
    flag: "--length",
    value: "<tokens>",
    help: `length of the rows that --measure times (default ${MEASURED.length})`,
    inConfig: false,
  }),
  scores: optional(text, {
    flag: "--scores",
    value: "<file>",
    help: "CSV: task, base_layers, fork, layers, score; a row a candidate",
  }),
  scoreUnit: option(choice(["auto", "points", "fractions"]), {
    flag: "--score-unit",
    value: "<unit>",
    help: "of --scores: points (85.9) or fractions (0.859)",
    fallback: "auto",
  }),
  out: optional(jsonFile, {
    flag: "--out",
    short: "-o",
    value: "<file>",
    help: "write the choice to a .json file, for merge --select",
  }),
  allowUnshared: toggle({ flag: "--allow-unshared", help: "take branches of k = full, which share no layer" }),
  task: taskOptions.task,
  tasks: taskOptions.tasks,
  ...baseOptions,
  ...checkpointOptions,
  ...chooseBy,
  ...engineOptions,
};

export type SelectOptions = Given<typeof selectOptions>;
type SelectValues = Values<typeof selectOptions>;

/** A candidate; its score is in the result's unit, null where it is undefined. */
interface DescribedCandidate {
  readonly fork: number | null;
  readonly layers: number;
  readonly score: number | null;
  readonly role: "student" | "teacher" | "unshared";
  /** Its folder; null for a line of a table of scores. */
  readonly run: string | null;
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
  /** Milliseconds of one pass over all tasks, where a cost model was read or measured. */
  readonly latencyMs?: number;
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
  options: Pick<SelectOptions, "base" | "latency" | "batchSize" | "length" | "engine" | "threads"> = {},
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
  const pool = await readPool(values, call);
  if (values.select !== undefined) {
    requireKnown(
      values.select,
      pool.tasks.map(({ task }) => task),
    );
  }
  const latency = values.maxLatency === undefined ? null : await findLatency(values, pool, call);
  const rule = ruleOf(values, latency);
  const { applyRule, describeRule } = await import("../../selection/rule.js");
  const decisions = applyRule(pool.tasks, rule);
  const summary = summarize(
    decisions.map((decision) => decision.chosen),
    pool.baseLayers,
  );
  const chosen = { rule: describeRule(rule), decisions, summary, latency, pool };
  if (values.out !== undefined) await writeChosen(values.out, chosen, values.checkpoints);
  return chosen;
}

/** Writes what merge --select reads. Scores are fractions there, as in every file. */
async function writeChosen(file: string, { rule, decisions, summary, pool }: Chosen, checkpoints: string) {
  const tasks = decisions.map((decision) => toSelectedTask(decision, checkpoints));
  await writeSelection(file, { format: SELECTION_FORMAT, rule, base: pool.base, tasks, ...summary });
}

export function millisecondsOf(decisions: readonly Decision[], latency: LatencyModel): number {
  const chosen = decisions.map((decision) => decision.chosen);
  return latencyOf(latency, countLayers(chosen), chosen.length);
}

export function describeChosen({ rule, decisions, summary, latency, pool: { unit } }: Chosen): SelectResult {
  // To ten digits: 71.5 points went through fractions and should not come back as 71.50000000000001.
  const inUnit = (score: number | null) =>
    score === null || unit === "fractions" ? score : Number((100 * score).toFixed(10));
  const tasks = decisions.map(({ task, candidates, chosen, notes }) => ({
    task,
    fork: chosen.fork,
    layers: chosen.layers,
    score: inUnit(chosen.score),
    role: chosen.role,
    run: chosen.run?.folder ?? null,
    why: notes[candidates.indexOf(chosen)] ?? "",
    candidates: candidates.map((candidate, i) => ({
      fork: candidate.fork,
      layers: candidate.layers,
      score: inUnit(candidate.score),
      role: candidate.role,
      run: candidate.run?.folder ?? null,
      chosen: candidate === chosen,
      why: notes[i] ?? "",
    })),
  }));
  const { shared, total, overhead, average } = summary;
  const cost = latency ? { latencyMs: millisecondsOf(decisions, latency) } : {};
  return { rule, unit, tasks, shared, total, overhead, average: inUnit(average), ...cost };
}

interface RuleValues {
  readonly threshold: number | undefined;
  readonly maxLayers: number | undefined;
  readonly maxLatency: number | undefined;
  readonly select: string | undefined;
}

/** Contradictions, told before anything is read or measured. */
function checkOptions(values: SelectValues): void {
  const { threshold, maxLayers, maxLatency, select, latency, measure, batchSize, length, allowUnshared, out } = values;
  const budget = maxLayers === undefined ? maxLatency : maxLayers;
  const rules = [
    ...(threshold === undefined ? [] : ["--threshold"]),
    ...(budget === undefined ? [] : [maxLayers === undefined ? "--max-latency" : "--max-layers"]),
    ...(select === undefined ? [] : ["--select"]),
  ];
  if (rules.length > 1) throw usageError(`${rules.join(" and ")} exclude each other: give one`);
  if (select !== undefined) parseSelect(select);
  if (maxLatency !== undefined && latency === undefined && !measure) {
    throw usageError("--max-latency needs what a layer costs: give --latency FILE, or --measure to time it here");
  }
  if (!measure && (batchSize !== undefined || length !== undefined)) {
    const given = batchSize === undefined ? `--length ${length}` : `--batch-size ${batchSize}`;
    throw usageError(`${given} is about what --measure times: give that too, or leave it out`);
  }
  if (maxLatency === undefined && latency !== undefined && !measure) {
    throw usageError(`--latency ${latency} does nothing by itself: give --max-latency, or --measure to write the file`);
  }
  if (maxLatency === undefined && measure && !isMeasurementAlone(values)) {
    throw usageError(
      `--measure times layers for --max-latency, not for ${rules[0] ?? "--out and --scores"}: give it alone`,
    );
  }
  if (maxLatency !== undefined && allowUnshared) {
    throw usageError("--max-latency and --allow-unshared exclude each other: it costs layers of one shared trunk");
  }
  if (values.scores === undefined && values.scoreUnit !== "auto") {
    throw usageError(`--score-unit ${values.scoreUnit} is about --scores FILE: give that too`);
  }
  if (out !== undefined && !existsSync(path.dirname(out))) {
    throw usageError(`--out ${out}: the folder ${path.dirname(out)} does not exist. Make it, or give another file`);
  }
}

/** Whether nothing is to be chosen. */
export const isMeasurementAlone = ({ threshold, maxLayers, maxLatency, select, scores, out }: SelectOptions): boolean =>
  [threshold, maxLayers, maxLatency, select, scores, out].every((value) => value === undefined);

function ruleOf({ threshold, maxLayers, maxLatency, select }: RuleValues, model: LatencyModel | null): Rule {
  if (select !== undefined) return { kind: "named", text: select, choiceOf: parseSelect(select) };
  if (maxLayers === undefined && maxLatency === undefined)
    return { kind: "threshold", c: threshold ?? PAPER_THRESHOLD };
  return {
    kind: "budget",
    ...(maxLayers === undefined ? {} : { maxLayers }),
    ...(maxLatency !== undefined && model ? { latency: { maxMs: maxLatency, model } } : {}),
  };
}
