// The process in which one engine is measured, started by processes.ts: engines that share tfjs's one current
// backend cannot take turns in a process, and peak memory is a process's. It answers calls over IPC, one at a time.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Compilation, Engine } from "../engines/engine";
import type { Gemm } from "../engines/gemm-rate";
import type { Placement } from "../engines/onnx/device/placement";
import { type ExitCode, UserError } from "../errors/errors";
import type { EncoderConfig } from "../model/config";
import { placeOf } from "../model/place";
import type { HostTensors } from "../model/tensors";
import type { DeviceChoice, EngineName } from "../settings/engine";
import type { RunTime, StepBenchmark, Workload } from "./step-benchmark";

export type WorkloadName = "train" | "inference";

export interface EngineSettings {
  readonly engine: EngineName;
  readonly device: DeviceChoice;
  readonly threads: number | undefined;
  readonly verbose: boolean;
}

export interface ModelSettings {
  /** null: random weights for `config`. */
  readonly base: string | null;
  readonly config: EncoderConfig;
  readonly layers: number;
  readonly batchSize: number;
  readonly dropout: number;
  readonly seed: number;
}

export type Opened =
  | {
      readonly present: true;
      readonly summary: string;
      readonly device: Engine["device"];
      readonly threads: number;
      /** Of a device that was not named. */
      readonly why?: string;
    }
  | { readonly present: false; readonly reason: string; readonly remedy: string; readonly exitCode?: ExitCode };

export interface Finished {
  /** What the workload compiled; null where the engine compiles nothing. */
  readonly compiled: Compilation | null;
  /** The process's peak resident memory so far. */
  readonly peakBytes: number;
}

export interface Calls {
  open(settings: EngineSettings): Promise<Opened>;
  /** Opens a workload in place of the one before. */
  load(workload: WorkloadName, settings: ModelSettings): Promise<null>;
  run(length: number): Promise<RunTime>;
  /** FLOP/s of one call of the engine's matrix product. */
  gemm(): Promise<number>;
  finish(): Promise<Finished>;
  /** Where the nodes of one run are; ends the workload, whose times it would spoil. null where the engine has no device. */
  placement(workload: WorkloadName, settings: ModelSettings, length: number): Promise<Placement | null>;
}

export interface WorkerRequest {
  readonly call: keyof Calls;
  readonly args: readonly unknown[];
}

export type WorkerReply = { readonly result: unknown } | { readonly error: string };

let engine: Engine;
let opening: EngineSettings;
let gemm: Gemm | undefined;
let weights: HostTensors | undefined;
let workload: Workload | undefined;

const calls: Calls = {
  async open(settings) {
    const { engine: name, device } = settings;
    const { explainAbsence } = await import("../engines/open.js");
    try {
      const opened = await openWith(settings);
      ({ engine } = opened);
      opening = settings;
      const why = device === "auto" ? { why: opened.why } : {};
      return { present: true, summary: engine.summary, device: engine.device, threads: engine.threads, ...why };
    } catch (error) {
      const { reason, remedy } = explainAbsence(name, error);
      return { present: false, reason, remedy, ...(error instanceof UserError ? { exitCode: error.exitCode } : {}) };
    }
  },
  async load(name, settings) {
    endWorkload();
    workload = await openWorkload(engine, name, settings);
    return null;
  },
  run: (length) => (workload as Workload).run(length),
  async gemm() {
    const { openGemm } = await import("../engines/gemm-rate.js");
    gemm ??= await openGemm(engine);
    return gemm.run();
  },
  finish: async () => ({ compiled: (workload as Workload).compiled(), peakBytes: peakBytes() }),
  async placement(name, settings, length) {
    if (engine.device !== "gpu" || engine.name !== "onnx") return null;
    endWorkload();
    const folder = mkdtempSync(path.join(tmpdir(), "flexbert-placement-"));
    try {
      const { readPlacement } = await import("../engines/onnx/device/placement.js");
      const profiled = await openWith({ ...opening, profile: path.join(folder, "profile") });
      const once = await openWorkload(profiled.engine, name, settings);
      try {
        await once.run(length);
      } finally {
        once.dispose(); // writes the profiles
      }
      return readPlacement(readdirSync(folder).map((file) => path.join(folder, file)));
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};

async function openWith({ engine: name, threads, ...how }: EngineSettings & { readonly profile?: string }) {
  const { openEngine } = await import("../engines/open.js");
  return openEngine(name, { ...how, ...(threads === undefined ? {} : { threads }) });
}

async function openWorkload(on: Engine, name: WorkloadName, settings: ModelSettings): Promise<Workload> {
  const { openInference, openTrainStep } = await import("./step-benchmark.js");
  weights ??= await modelWeights(settings);
  const { config, layers, batchSize, dropout, seed } = settings;
  const rates = { hiddenDropoutProb: dropout, attentionProbsDropoutProb: dropout };
  const benchmark: StepBenchmark = { config: { ...config, ...rates }, tensors: weights, layers, batchSize, seed };
  return (name === "train" ? openTrainStep : openInference)(on, benchmark);
}

function endWorkload(): void {
  workload?.dispose();
  workload = undefined;
}

/** The base's tensors or random ones, with pooler and head. */
async function modelWeights({ base: name, config, layers, seed }: ModelSettings): Promise<HostTensors> {
  const { branchOfBase } = await import("../recipes/trial/initial-branch.js");
  const { BENCHMARK_OUTPUTS } = await import("./step-benchmark.js");
  const { openBase } = await import("../checkpoints/bases/base.js");
  const { familyHead } = await import("../model/families/head.js");
  const { benchmarkWeights } = await import("./benchmark-weights.js");
  const tensors = name === null ? benchmarkWeights(config, seed) : (await openBase(name)).tensors;
  const place = placeOf(config.numHiddenLayers, layers);
  const head = familyHead(config, BENCHMARK_OUTPUTS);
  return { ...tensors, ...branchOfBase({ config, tensors }, place, head, seed) };
}

/** Linux counts into maxRSS what the process that started this one held; the high-water mark is this program's alone. */
function peakBytes(): number {
  if (process.platform === "linux") {
    const kibibytes = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1];
    if (kibibytes !== undefined) return 1024 * Number(kibibytes);
  }
  return 1024 * process.resourceUsage().maxRSS;
}

async function answer({ call, args }: WorkerRequest): Promise<WorkerReply> {
  try {
    const result = await (calls[call] as (...values: readonly unknown[]) => Promise<unknown>)(...args);
    return { result };
  } catch (error) {
    // Shown with --verbose alone, where this process has the terminal's stderr.
    if (!(error instanceof UserError)) process.stderr.write(`${(error as Error).stack}\n`);
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

process.on("message", (request: WorkerRequest) => {
  void answer(request).then((reply) => process.send?.(reply));
});
// Ctrl-C goes to the whole group of processes; the one that started this one decides what it means.
process.on("SIGINT", () => undefined);
process.on("disconnect", () => process.exit());
