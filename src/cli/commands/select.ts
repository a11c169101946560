// flexbert select: one candidate a task, by the threshold c, by a budget of layers or milliseconds, or by name.

import { existsSync } from "node:fs";
import path from "node:path";
import { readPool } from "../../api/select/candidates";
import { findLatency, MEASURED, measure } from "../../api/select/latency";
import { usageError } from "../../errors/errors";
import { option, optional, toggle } from "../../options/option";
import { choice, decimal, integer, text } from "../../options/readers";
import { summarize } from "../../selection/candidate";
import { parseSelect, requireKnown } from "../../selection/candidates";
import type { LatencyModel } from "../../selection/latency";
import type { Rule } from "../../selection/rule";
import { baseOptions } from "../../settings/base";
import { configOption } from "../../settings/call";
import { engineOptions } from "../../settings/engine";
import { chooseBy } from "../../settings/selection";
import { taskOptions } from "../../settings/tasks";
import { checkpointOptions } from "../../settings/work";
import { defineCommand } from "../command";
import { printLatency, printSelection, type SelectionResult, writeResult } from "../select-output";

/** The paper's own threshold (its Table 2). */
const PAPER_THRESHOLD = 1;

/** merge knows a file by its ending. */
function jsonFile(given: unknown): string {
  const file = text(given);
  if (!/\.json$/i.test(file)) throw new Error("a file that ends with .json");
  return file;
}

export const selectCommand = defineCommand({
  summary: "choose one candidate a task: threshold, budget or name",
  description:
    "A task's candidates are its students and its teacher, or the rows of --scores.\n\n" +
    "--threshold: from the smallest on, a larger candidate is taken when it gains " +
    "at least c points for each layer that it adds. Without a rule, c is 1.\n" +
    "--max-layers, --max-latency or both: the best total score within the budget, " +
    "exactly. Shared layers count as deep as the choice's deepest fork.\n" +
    "--select: by name, as in merge.\n\n" +
    "Ties go to fewer layers, then to the order of tasks and candidates. With\n" +
    "--scores, --json prints scores in the file's own unit, else in fractions.",
  options: {
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
      help: "teacher, best, kd-2, or rte=teacher,cola=kd-2",
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
    ...configOption,
  },
  examples: [
    "select --threshold 1 --out mixed.json",
    "select --max-layers 24 --json",
    "select --measure --batch-size 1 --length 64 --latency cpu.json",
    "select --max-latency 40 --latency cpu.json",
    "select --scores table.csv --threshold 2",
  ],
  async run(values, terminal) {
    checkFlags(values);
    if (values.measure && isMeasurementAlone(values)) {
      printLatency(await measure(values, terminal), terminal);
      return;
    }
    const pool = await readPool(values, terminal);
    if (values.select !== undefined) {
      requireKnown(
        values.select,
        pool.tasks.map(({ task }) => task),
      );
    }
    const latency = values.maxLatency === undefined ? null : await findLatency(values, pool, terminal);
    const rule = ruleOf(values, latency);
    const { applyRule, describeRule } = await import("../../selection/rule.js");
    const decisions = applyRule(pool.tasks, rule);
    const chosen = decisions.map((decision) => decision.chosen);
    const result: SelectionResult = {
      rule: describeRule(rule),
      decisions,
      summary: summarize(chosen, pool.baseLayers),
      latency,
    };
    if (values.out !== undefined) await writeResult(values.out, result, pool, values.checkpoints);
    printSelection(result, pool, terminal);
    if (values.out !== undefined) terminal.reporter.log(`${values.out}: written; merge takes it with --select`);
  },
});

interface RuleValues {
  readonly threshold: number | undefined;
  readonly maxLayers: number | undefined;
  readonly maxLatency: number | undefined;
  readonly select: string | undefined;
}

interface FlagValues extends RuleValues {
  readonly latency: string | undefined;
  readonly measure: boolean;
  readonly batchSize: number | undefined;
  readonly length: number | undefined;
  readonly allowUnshared: boolean;
  readonly scores: string | undefined;
  readonly scoreUnit: string;
  readonly out: string | undefined;
}

/** Contradictions, told before anything is read or measured. */
function checkFlags(values: FlagValues): void {
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

const isMeasurementAlone = ({ threshold, maxLayers, maxLatency, select, scores, out }: FlagValues): boolean =>
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
