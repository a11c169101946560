// select's options, what of them contradicts what, and the rule that they ask for.

import { existsSync } from "node:fs";
import path from "node:path";
import { usageError } from "../../errors/errors";
import type { Given } from "../../options/given";
import { option, optional, toggle, type Values } from "../../options/option";
import { choice, integer, text } from "../../options/readers";
import { parseSelect } from "../../selection/candidates";
import type { LatencyModel } from "../../selection/latency";
import type { Rule } from "../../selection/rule";
import type { SizeModel } from "../../selection/size";
import { baseOptions } from "../../settings/base";
import { engineOptions } from "../../settings/engine";
import { chooseBy, isJoint, type SelectRules, selectExtras, selectRules } from "../../settings/selection";
import { taskOptions } from "../../settings/tasks";
import { checkpointOptions } from "../../settings/work";
import { MEASURED } from "./latency";

/** The paper's own threshold (its Table 2). */
const PAPER_THRESHOLD = 1;

/** merge knows a file by its ending. */
function jsonFile(given: unknown): string {
  const file = text(given);
  if (!/\.json$/i.test(file)) throw new Error("a file that ends with .json");
  return file;
}

export const selectOptions = {
  ...selectRules,
  ...selectExtras,
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
  glueData: taskOptions.glueData,
  ...baseOptions,
  ...checkpointOptions,
  ...chooseBy,
  ...engineOptions,
};

export type SelectOptions = Given<typeof selectOptions>;
export type SelectValues = Values<typeof selectOptions>;

/** Whether nothing is to be chosen. */
export const isMeasurementAlone = ({ select, scores, out, ...values }: SelectOptions): boolean =>
  [values.threshold, select, scores, out].every((value) => value === undefined) &&
  !isJoint(values as Partial<SelectRules>) &&
  !values.withinNoise &&
  !values.cross;

/** Contradictions, told before anything is read or measured. */
export function checkOptions(values: SelectValues): void {
  const rules = givenRules(values);
  if (rules.length > 1) throw usageError(`${rules.join(" and ")} exclude each other: give one`);
  if (values.select !== undefined) parseSelect(values.select);
  checkMeasuring(values, rules);
  const { allowUnshared, maxLatency, maxBytes, scores, scoreUnit, out, withinNoise, cross } = values;
  if (allowUnshared && (maxLatency !== undefined || maxBytes !== undefined)) {
    const limit = maxLatency === undefined ? "--max-bytes" : "--max-latency";
    throw usageError(`${limit} and --allow-unshared exclude each other: it costs layers of one shared trunk`);
  }
  if (withinNoise && values.select !== undefined) {
    throw usageError("--within-noise and --select exclude each other: a name compares no scores");
  }
  const ofRuns = [
    ...(withinNoise ? ["--within-noise needs seeds"] : []),
    ...(cross ? ["--cross needs predictions"] : []),
    ...(maxBytes === undefined ? [] : ["--max-bytes needs the base's sizes"]),
  ];
  if (scores !== undefined && ofRuns.length > 0) {
    throw usageError(`${ofRuns.join(" and ")}, and a table of scores has none: leave one out, or --scores`);
  }
  if (scores === undefined && scoreUnit !== "auto") {
    throw usageError(`--score-unit ${scoreUnit} is about --scores FILE: give that too`);
  }
  if (out !== undefined && !existsSync(path.dirname(out))) {
    throw usageError(`--out ${out}: the folder ${path.dirname(out)} does not exist. Make it, or give another file`);
  }
}

/** Of those that exclude each other, each as it was given. Limits go together, and with a price or a share to keep. */
function givenRules({ threshold, price, keep, select, ...limits }: SelectValues): string[] {
  const { maxLayers, maxLatency } = limits;
  const limit = maxLayers !== undefined ? "--max-layers" : maxLatency !== undefined ? "--max-latency" : "--max-bytes";
  const goals = [
    ...(price === undefined ? [] : ["--price"]),
    ...(keep === undefined ? [] : ["--keep"]),
    ...(select === undefined ? [] : ["--select"]),
  ];
  const limited = limits.maxBytes !== undefined || maxLayers !== undefined || maxLatency !== undefined;
  const alone = threshold !== undefined || select !== undefined || goals.length === 0;
  return [...(threshold === undefined ? [] : ["--threshold"]), ...(limited && alone ? [limit] : []), ...goals];
}

/** What is said of times without a use for them. */
function checkMeasuring(values: SelectValues, rules: readonly string[]): void {
  const { maxLatency, latency, measure, batchSize, length } = values;
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
}

/** What limits need to know of a layer: read or measured. */
export interface LayerCosts {
  readonly latency: LatencyModel | null;
  readonly size: SizeModel | null;
}

export function ruleOf(values: SelectValues, { latency, size }: LayerCosts): Rule {
  const { threshold, price, keep, maxLayers, maxLatency, maxBytes, select, withinNoise } = values;
  if (select !== undefined) return { kind: "named", text: select, choiceOf: parseSelect(select) };
  if (!isJoint(values)) return { kind: "threshold", c: threshold ?? PAPER_THRESHOLD, withinNoise };
  return {
    kind: "budget",
    withinNoise,
    ...(price === undefined ? {} : { price }),
    ...(keep === undefined ? {} : { keep }),
    ...(maxLayers === undefined ? {} : { maxLayers }),
    ...(maxLatency !== undefined && latency ? { latency: { maxMs: maxLatency, model: latency } } : {}),
    ...(maxBytes !== undefined && size ? { size: { maxBytes, model: size } } : {}),
  };
}
