// flexbert bench: how fast this machine trains and infers on each engine, beside what its matrix products reach alone.

import { describeBaseOf, warnOfThreads } from "../../api/session";
import { type BenchmarkSize, benchmarkSizes } from "../../benchmark/benchmark-weights";
import type { BenchPlan } from "../../benchmark/measure";
import { isPresent, openEngines } from "../../benchmark/processes";
import { failure, usageError } from "../../errors/errors";
import { didYouMean } from "../../messages/nearest";
import { counted } from "../../messages/words";
import type { BertConfig } from "../../model/config";
import { option, optional, type Values } from "../../options/option";
import { choice, decimal, integer, names, text } from "../../options/readers";
import { dryRun } from "../../settings/call";
import { type EngineName, engineNames, threads } from "../../settings/engine";
import type { EngineReport } from "../benchmark/output";
import { defineCommand } from "../command";
import { describeMachine } from "../machine";
import type { Terminal } from "../terminal";

const sizeNames = Object.keys(benchmarkSizes) as BenchmarkSize[];

/** One number or a comma list of them, each once. */
function lengthList(given: unknown): number[] {
  const read = integer({ min: 1, max: 4096 });
  try {
    return [...new Set(names(given).split(",").map(read))];
  } catch {
    throw new Error("lengths from 1 to 4096, such as 64 or 16,64,128");
  }
}

/** The engines that were named; "all" stands for those that are present. */
function engineList(given: unknown): EngineName[] | "all" {
  const chosen = names(given)
    .split(",")
    .map((name) => name.trim());
  if (chosen.length === 1 && chosen[0] === "all") return "all";
  const unknown = chosen.find((name) => !(engineNames as readonly string[]).includes(name));
  if (unknown === undefined) return engineNames.filter((name) => chosen.includes(name));
  throw new Error(`all, or some of ${engineNames.join(", ")}${didYouMean(unknown, engineNames)}`);
}

const options = {
  engine: option(engineList, {
    flag: "--engine",
    value: "<names>",
    help: `all that are present, or some of ${engineNames.join(", ")}`,
    fallback: "all",
  }),
  base: optional(text, {
    flag: "--base",
    short: "-b",
    value: "<name>",
    help: "a base in the cache or a folder, instead of random weights",
    excludes: "--size",
  }),
  size: option(choice(sizeNames), {
    flag: "--size",
    value: `<${sizeNames.join("|")}>`,
    help: "random weights of BERT-base (12 x 768) or MiniLM-L6 (6 x 384)",
    fallback: "minilm",
  }),
  k: option(integer({ min: 1 }), { flag: "--k", short: "-k", value: "<n>", help: "top layers to train", fallback: 3 }),
  batchSize: option(integer({ min: 1, max: 65536 }), {
    flag: "--batch-size",
    value: "<rows>",
    help: "rows a step",
    fallback: 32,
  }),
  length: option(lengthList, {
    flag: "--length",
    value: "<tokens>",
    help: "tokens a row, without padding: 64 or 16,64,128",
    fallback: "64",
  }),
  runs: option(integer({ min: 1, max: 10000 }), {
    flag: "--runs",
    value: "<n>",
    help: "runs that count, after one that warms up",
    fallback: 3,
  }),
  dropout: option(decimal({ min: 0, max: 0.9 }), {
    flag: "--dropout",
    value: "<rate>",
    help: "dropout in the trained layers, its masks drawn in the timed step",
    fallback: 0,
  }),
  ...threads,
  seed: option(integer({ min: 0 }), {
    flag: "--seed",
    short: "-s",
    value: "<n>",
    help: "of random weights, token ids and dropout",
    fallback: 1,
  }),
  ...dryRun,
};

export const benchCommand = defineCommand({
  description:
    "A train step is the forward pass of all layers, with gradients and AdamW for " +
    "the top k; nothing is cached, so training on cached trunk activations takes " +
    "the frozen part less. Inference is one forward pass of the whole model.\n\n" +
    "Engines take turns run by run, each in a process of its own. The best run " +
    "gives the rates. FLOP are those of matrix products, counted from the shapes; " +
    "the peak is the engine's own product of 1024 x 768 by 768 x 768, measured " +
    "between the runs.\n\n" +
    "docs/bench.md explains the fields of --json.",
  options,
  examples: [
    "bench",
    "bench --size base --length 128 --engine onnx",
    "bench --base bert-base-uncased --k 4 --length 16,64,128 --json",
    "bench --dry-run",
  ],
  async run(values, terminal) {
    const model = await chooseModel(values, terminal);
    const { measureEngines, plannedWork } = await import("../../benchmark/measure.js");
    const { BENCHMARK_OUTPUTS } = await import("../../benchmark/step-benchmark.js");
    const work = plannedWork(model.settings, values.length, BENCHMARK_OUTPUTS);
    const plan: BenchPlan = { model: model.settings, lengths: values.length, runs: values.runs, work };
    const engines = await openEngines(values.engine, values.threads, terminal);
    try {
      for (const { process, opened } of engines.filter(isPresent))
        warnOfThreads({ ...opened, name: process.name }, terminal);
      if (values.dryRun) {
        const { printDryRun } = await import("../benchmark/dry-run.js");
        await printDryRun(engines, plan, model.description, terminal);
        return;
      }
      terminal.reporter.log(describeBench(values, model.description));
      const present = engines.filter(isPresent);
      const measurements = await measureEngines(
        present.map(({ process }) => process),
        plan,
        terminal.reporter,
      );
      const { printReports, reportEngine } = await import("../benchmark/output.js");
      const reports = engines.map((engine): EngineReport => {
        const { name } = engine.process;
        if (!isPresent(engine)) return { name, ...engine.opened } as EngineReport;
        const measurement = measurements[present.indexOf(engine)] as (typeof measurements)[number];
        return reportEngine(name, engine.opened, measurement, work, values.batchSize);
      });
      if (terminal.json) terminal.printJson({ ...describeSettings(values, model), engines: reports });
      else printReports(reports, values.batchSize, terminal);
      failIfAnyFailed(reports);
    } finally {
      for (const { process } of engines) process.end();
    }
  },
});

type BenchValues = Values<typeof options>;

interface ChosenModel {
  readonly settings: BenchPlan["model"];
  readonly description: string;
  /** null: random weights. */
  readonly base: { readonly name: string; readonly sha256: string } | null;
}

/** The sizes that are measured. Throws usageError (2) where they do not admit k or a length. */
async function chooseModel(values: BenchValues, terminal: Terminal): Promise<ChosenModel> {
  const base = values.base === undefined ? null : await describeBaseOf({ base: values.base }, terminal);
  const config: BertConfig = base?.config ?? benchmarkSizes[values.size];
  const { numHiddenLayers: layers, maxPositionEmbeddings: most, hiddenSize } = config;
  const name = base ? `the base ${base.name}` : `--size ${values.size}`;
  if (values.k > layers) throw usageError(`--k ${values.k}: ${name} has ${layers} layers. Give at most ${layers}`);
  const long = values.length.find((length) => length > most);
  if (long !== undefined) throw usageError(`--length ${long}: ${name} takes at most ${most} tokens`);
  const { k, batchSize, dropout, seed } = values;
  return {
    settings: { base: values.base ?? null, config, layers: k, batchSize, dropout, seed },
    description: `${base ? base.name : "random weights"}, ${layers} layers of ${hiddenSize}`,
    base: base && { name: base.name, sha256: base.sha256 },
  };
}

function describeBench({ k, batchSize, length, runs, dropout }: BenchValues, model: string): string {
  const rows = length.map((one) => `${batchSize} x ${one}`).join(", ");
  const dropped = dropout > 0 ? `, dropout ${dropout}` : "";
  return `${model}, the top ${k} trained, ${rows} tokens, float32${dropped}, ${counted(runs, "run")}`;
}

/** What --json says beside the engines. */
function describeSettings(values: BenchValues, { base, settings: { config } }: ChosenModel) {
  const { k, batchSize, length, runs, dropout, seed, size } = values;
  return {
    machine: describeMachine(),
    model: {
      base,
      size: base ? null : size,
      layers: config.numHiddenLayers,
      hiddenSize: config.hiddenSize,
      intermediateSize: config.intermediateSize,
      heads: config.numAttentionHeads,
      vocabulary: config.vocabSize,
    },
    settings: { k, batchSize, lengths: length, runs, dropout, seed },
  };
}

/** What the others showed has been printed by now. */
function failIfAnyFailed(reports: readonly EngineReport[]): void {
  const failed = reports.flatMap((report) => (report.present && report.failure !== null ? [report] : []));
  if (failed.length === 0) return;
  const reasons = failed.map(({ name, failure: reason }) => `${name} failed ${reason}`).join("; ");
  throw failure(`${reasons}. Give a smaller --batch-size or --length, another --base, or leave it out with --engine`);
}
