// How fast this machine trains and infers on each engine, beside what its matrix products reach alone.

import { type BenchmarkSize, benchmarkSizes } from "../benchmark/benchmark-weights";
import type { EngineReport } from "../benchmark/engine-report";
import type { BenchPlan, LengthWork } from "../benchmark/measure";
import type { StartedEngine } from "../benchmark/processes";
import type { Opened } from "../benchmark/worker";
import { usageError } from "../errors/errors";
import { didYouMean } from "../messages/nearest";
import { counted } from "../messages/words";
import type { EncoderConfig } from "../model/config";
import { mostTokens } from "../model/families/families";
import { type Given, readGiven } from "../options/given";
import { option, optional, type Values } from "../options/option";
import { choice, decimal, integer, names, text } from "../options/readers";
import { deviceOption, type EngineName, engineNames, threads } from "../settings/engine";
import { type Call, type Caller, callOf } from "./caller";
import { describeMachine } from "./machine";
import { describeBaseOf, warnOfThreads } from "./session";
import { SUSTAINED_SHARE } from "./train/plan";

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

export const benchOptions = {
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
  device: {
    ...deviceOption.device,
    help: "of the onnx engine, which then is the one that is timed: cpu, webgpu, cuda, auto",
  },
  ...threads,
  seed: option(integer({ min: 0 }), {
    flag: "--seed",
    short: "-s",
    value: "<n>",
    help: "of random weights, token ids and dropout",
    fallback: 1,
  }),
};

export type BenchOptions = Omit<Given<typeof benchOptions>, "engine" | "length"> & {
  /** All that are present, or some of them. */
  readonly engine?: "all" | EngineName | readonly EngineName[];
  /** Tokens a row, without padding. */
  readonly length?: number | readonly number[];
};
type BenchValues = Values<typeof benchOptions>;

/** docs/bench.md explains the fields. */
export interface BenchResult {
  readonly machine: ReturnType<typeof describeMachine>;
  readonly model: ReturnType<typeof describeSettings>["model"];
  readonly settings: ReturnType<typeof describeSettings>["settings"];
  readonly engines: readonly EngineReport[];
}

export interface BenchEstimate {
  readonly runs: number;
  readonly totalSeconds: number;
  readonly work: readonly {
    readonly length: number;
    readonly trainFlops: number;
    readonly frozenFlops: number;
    readonly inferenceFlops: number;
  }[];
  readonly engines: readonly ({ readonly name: string } & (
    | Extract<Opened, { present: false }>
    | (Extract<Opened, { present: true }> & { readonly gemmFlopsPerSecond: number; readonly seconds: number })
  ))[];
}

/**
 * Times train steps and inference on every engine, each in a process of its own that takes turns with the others.
 * An engine that fails says so in its report. Throws UserError (2) for sizes that the model does not admit.
 */
export async function bench(options: BenchOptions = {}, caller: Caller = {}): Promise<BenchResult> {
  const call = callOf(caller);
  const values = readGiven(benchOptions, options as Given<typeof benchOptions>);
  const model = await chooseModel(values, call);
  const plan = await planOf(values, model);
  return withEngines(values, call, async (engines) => {
    call.reporter.log(describeRun(values, model.description));
    const { measureEngines } = await import("../benchmark/measure.js");
    const { isPresent } = await import("../benchmark/processes.js");
    const { reportEngine } = await import("../benchmark/engine-report.js");
    const present = engines.filter(isPresent);
    const processes = present.map(({ process }) => process);
    const measurements = await measureEngines(processes, plan, call.reporter);
    const reports = engines.map((engine): EngineReport => {
      const { name } = engine.process;
      if (!isPresent(engine)) return { name, ...engine.opened } as EngineReport;
      const measurement = measurements[present.indexOf(engine)] as (typeof measurements)[number];
      return reportEngine(name, engine.opened, measurement, plan.work, values.batchSize);
    });
    return { ...describeSettings(values, model), engines: reports };
  });
}

/** What {@link bench} would measure and how long it would take, from a quick matrix product on each engine. */
export const planBench = async (options: BenchOptions = {}, caller: Caller = {}): Promise<BenchEstimate> =>
  (await estimateBench(options, callOf(caller))).estimate;

export async function estimateBench(
  options: BenchOptions,
  call: Call,
): Promise<{ readonly estimate: BenchEstimate; readonly model: string }> {
  const values = readGiven(benchOptions, options as Given<typeof benchOptions>);
  const model = await chooseModel(values, call);
  const plan = await planOf(values, model);
  const engines = await withEngines(values, call, async (opened) => {
    const { isPresent } = await import("../benchmark/processes.js");
    const reports: BenchEstimate["engines"][number][] = [];
    for (const engine of opened) {
      const { name } = engine.process;
      const report = isPresent(engine)
        ? { name, ...engine.opened, ...(await estimate(engine, plan)) }
        : { name, ...engine.opened };
      reports.push(report as BenchEstimate["engines"][number]);
    }
    return reports;
  });
  const totalSeconds = engines.reduce((sum, report) => sum + ("seconds" in report ? report.seconds : 0), 0);
  const work = plan.work.map(({ length, trainStep, inference }) => ({
    length,
    trainFlops: trainStep.frozen + trainStep.branch,
    frozenFlops: trainStep.frozen,
    inferenceFlops: inference,
  }));
  return { estimate: { runs: plan.runs, totalSeconds, work, engines }, model: model.description };
}

async function planOf(values: BenchValues, { settings }: ChosenModel): Promise<BenchPlan> {
  const { plannedWork } = await import("../benchmark/measure.js");
  const { BENCHMARK_OUTPUTS } = await import("../benchmark/step-benchmark.js");
  const work = plannedWork(settings, values.length, BENCHMARK_OUTPUTS);
  return { model: settings, lengths: values.length, runs: values.runs, work };
}

async function withEngines<T>(
  values: BenchValues,
  call: Call,
  work: (engines: readonly StartedEngine[]) => Promise<T>,
): Promise<T> {
  const { isPresent, openEngines } = await import("../benchmark/processes.js");
  const { reporter, verbose = false } = call;
  const { device, threads } = values;
  const engines = await openEngines(
    await enginesOf(values),
    { device, threads },
    { reporter, verbose, signal: call.signal },
  );
  try {
    for (const { process, opened } of engines.filter(isPresent)) {
      warnOfThreads({ ...opened, name: process.name }, call);
    }
    return await work(engines);
  } finally {
    for (const { process } of engines) process.end();
  }
}

/** Of a device the onnx engine alone. Throws usageError (2) where another one is named beside it. */
async function enginesOf({ engine, device }: BenchValues): Promise<BenchValues["engine"]> {
  if (device === "cpu") return engine;
  const { requireOnnx } = await import("../engines/open.js");
  for (const name of engine === "all" ? [] : engine) requireOnnx(name, device);
  return ["onnx"];
}

/** Matrix products that an estimate starts from; the best one counts. */
const REPEATS = 3;

/** Seconds that an engine would take: its runs, and the matrix products between them. */
async function estimate({ process }: StartedEngine, { runs, work }: BenchPlan) {
  const { WARM_UPS } = await import("../benchmark/measure.js");
  await process.call("gemm"); // warms up
  let gemmFlopsPerSecond = 0;
  for (let i = 0; i < REPEATS; i++) gemmFlopsPerSecond = Math.max(gemmFlopsPerSecond, await process.call("gemm"));
  const flops = work.reduce((sum, one) => sum + flopsOf(one), 0);
  return { gemmFlopsPerSecond, seconds: ((runs + WARM_UPS) * flops) / (SUSTAINED_SHARE * gemmFlopsPerSecond) };
}

const flopsOf = ({ trainStep, inference }: LengthWork) => trainStep.frozen + trainStep.branch + inference;

interface ChosenModel {
  readonly settings: BenchPlan["model"];
  readonly description: string;
  /** null: random weights. */
  readonly base: { readonly name: string; readonly sha256: string } | null;
}

/** The sizes that are measured. Throws usageError (2) where they do not admit k or a length. */
async function chooseModel(values: BenchValues, call: Call): Promise<ChosenModel> {
  const base = values.base === undefined ? null : await describeBaseOf({ base: values.base }, call);
  const config: EncoderConfig = base?.config ?? benchmarkSizes[values.size];
  const { numHiddenLayers: layers, hiddenSize } = config;
  const most = mostTokens(config);
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

function describeRun({ k, batchSize, length, runs, dropout }: BenchValues, model: string): string {
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
