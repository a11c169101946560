// The order of a benchmark: every engine in turn, run by run, so that a slow moment of the machine falls on all alike.
// The first round warms up and does not count. Train steps come first, inference after: a process holds one of them.

import type { Placement } from "../engines/onnx/device/placement";
import { Interrupted, type ProgressBar, type Reporter } from "../messages/reporter";
import { inferenceFlops, type StepFlops, trainStepFlops } from "../model/flops";
import { placeOf } from "../model/place";
import type { EngineProcess } from "./processes";
import type { RunTime } from "./step-benchmark";
import type { Finished, ModelSettings, WorkloadName } from "./worker";

/** Rounds that do not count. */
export const WARM_UPS = 1;

const workloads = ["train", "inference"] as const satisfies readonly WorkloadName[];

export interface BenchPlan {
  readonly model: ModelSettings;
  readonly lengths: readonly number[];
  readonly runs: number;
  readonly work: readonly LengthWork[];
}

/** Products of one run at a length, in FLOP. */
export interface LengthWork {
  readonly length: number;
  readonly trainStep: StepFlops;
  readonly inference: number;
}

/** What an engine showed; what it did not come to is empty or null. */
export interface EngineMeasurement {
  /** By workload, then by length: the runs that count. */
  readonly times: Record<WorkloadName, Map<number, RunTime[]>>;
  readonly finished: Partial<Record<WorkloadName, Finished>>;
  /** Where the nodes of a run are; null where the engine has no device. */
  readonly placement: Partial<Record<WorkloadName, Placement | null>>;
  /** FLOP/s of the best product. */
  gemmPeak: number | null;
  /** Why it stopped early. */
  failure: string | null;
}

/** The work of each length, from the shapes. */
export function plannedWork(
  { config, layers, batchSize }: Pick<ModelSettings, "config" | "layers" | "batchSize">,
  lengths: readonly number[],
  outputs: number,
): LengthWork[] {
  const place = placeOf(config.numHiddenLayers, layers);
  return lengths.map((length) => ({
    length,
    trainStep: trainStepFlops(config, place, batchSize, length, outputs),
    inference: inferenceFlops(config, batchSize, length, outputs),
  }));
}

/** Measures all engines side by side. One that fails drops out, and the others go on. Throws Interrupted. */
export async function measureEngines(
  engines: readonly EngineProcess[],
  plan: BenchPlan,
  reporter: Reporter,
): Promise<EngineMeasurement[]> {
  const all = engines.map((engine) => ({ engine, measurement: emptyMeasurement() }));
  const rounds = WARM_UPS + plan.runs;
  const total = workloads.length * rounds * plan.lengths.length * engines.length;
  const bar = reporter.progress("benchmark, runs", total);
  try {
    for (const workload of workloads) await measureWorkload(workload, all, plan, bar);
    for (const workload of workloads) await placeWorkload(workload, all, plan, bar);
  } finally {
    bar.end();
  }
  return all.map(({ measurement }) => measurement);
}

interface Measured {
  readonly engine: EngineProcess;
  readonly measurement: EngineMeasurement;
}

async function measureWorkload(
  workload: WorkloadName,
  all: readonly Measured[],
  { model, lengths, runs }: BenchPlan,
  bar: ProgressBar,
): Promise<void> {
  for (const one of all)
    await attempt(one, `while loading the ${titles[workload]}`, (call) => call("load", workload, model));
  for (let round = -WARM_UPS; round < runs; round++) {
    for (const length of lengths) {
      for (const one of all) {
        const time = await attempt(one, `in the ${titles[workload]} at length ${length}`, (call) =>
          call("run", length),
        );
        if (time && round >= 0) timesOf(one.measurement, workload, length).push(time);
        bar.advance(1, `${one.engine.name}, ${titles[workload]}, length ${length}`);
      }
    }
    for (const one of all) {
      const rate = await attempt(one, "in the matrix product", (call) => call("gemm"));
      if (rate && round >= 0) one.measurement.gemmPeak = Math.max(rate, one.measurement.gemmPeak ?? 0);
    }
  }
  for (const one of all) {
    const finished = await attempt(one, `after the ${titles[workload]}`, (call) => call("finish"));
    if (finished) one.measurement.finished[workload] = finished;
  }
}

/** After all that is timed: a run of its own that onnxruntime writes down node by node. Which nodes there are no length changes. */
async function placeWorkload(
  workload: WorkloadName,
  all: readonly Measured[],
  { model, lengths }: BenchPlan,
  bar: ProgressBar,
): Promise<void> {
  for (const one of all) {
    bar.advance(0, `${one.engine.name}, where the ${titles[workload]}'s nodes are`);
    const placement = await attempt(one, `while looking where the ${titles[workload]}'s nodes are`, (call) =>
      call("placement", workload, model, lengths[0] as number),
    );
    one.measurement.placement[workload] = placement;
  }
}

const titles = { train: "train step", inference: "inference" } satisfies Record<WorkloadName, string>;

/** The call's result; null where the engine has failed, now or before. */
async function attempt<T>(
  { engine, measurement }: Measured,
  what: string,
  make: (call: EngineProcess["call"]) => Promise<T>,
): Promise<T | null> {
  if (measurement.failure !== null) return null;
  try {
    return await make(engine.call);
  } catch (error) {
    if (error instanceof Interrupted) throw error;
    measurement.failure = `${what}: ${(error as Error).message}`;
    engine.end();
    return null;
  }
}

const emptyMeasurement = (): EngineMeasurement => ({
  times: { train: new Map(), inference: new Map() },
  finished: {},
  placement: {},
  gemmPeak: null,
  failure: null,
});

function timesOf({ times }: EngineMeasurement, workload: WorkloadName, length: number): RunTime[] {
  const known = times[workload].get(length) ?? [];
  times[workload].set(length, known);
  return known;
}
