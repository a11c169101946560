// Every number of an engine that was measured, from its runs. docs/bench.md explains the fields.

import type { Compilation } from "../engines/engine";
import type { Placement } from "../engines/onnx/device/placement";
import { median } from "../predict/median";
import type { EngineMeasurement, LengthWork } from "./measure";
import type { RunTime } from "./step-benchmark";
import type { Opened, WorkloadName } from "./worker";

/** One workload at one length. Rates are those of the best run. */
export interface StepTimes {
  readonly length: number;
  readonly runs: number;
  readonly bestMs: number;
  readonly medianMs: number;
  readonly rowsPerSecond: number;
  readonly tokensPerSecond: number;
  /** Of the matrix products, from the shapes. */
  readonly flops: number;
  readonly flopsPerSecond: number;
  /** Of the same engine's matrix product; null where that was not measured. */
  readonly shareOfGemmPeak: number | null;
}

export interface TrainTimes extends StepTimes {
  /** The part of the best run and of the work that the frozen layers took. */
  readonly frozenMs: number;
  readonly frozenFlops: number;
}

export type EngineReport = { readonly name: string } & (
  | Extract<Opened, { present: false }>
  | (Extract<Opened, { present: true }> & {
      readonly gemmFlopsPerSecond: number | null;
      readonly compiled: Record<WorkloadName, Compilation | null>;
      /** Of a device: which nodes of a run it leaves to the CPU. */
      readonly placement: Record<WorkloadName, Placement | null>;
      readonly trainPeakBytes: number | null;
      /** Why it stopped early, or null. */
      readonly failure: string | null;
      readonly trainStep: readonly TrainTimes[];
      readonly inference: readonly StepTimes[];
    })
);

type PresentReport = Extract<EngineReport, { present: true }>;

/** Every number of an engine that was measured. */
export function reportEngine(
  name: string,
  opened: Extract<Opened, { present: true }>,
  measurement: EngineMeasurement,
  work: readonly LengthWork[],
  batchSize: number,
): PresentReport {
  const { times, finished, placement, gemmPeak, failure } = measurement;
  const results = <T>(workload: WorkloadName, make: (runs: readonly RunTime[], work: LengthWork) => T): T[] =>
    work.flatMap((one) => {
      const runs = times[workload].get(one.length) ?? [];
      return runs.length === 0 ? [] : [make(runs, one)];
    });
  return {
    name,
    ...opened,
    gemmFlopsPerSecond: gemmPeak,
    compiled: { train: finished.train?.compiled ?? null, inference: finished.inference?.compiled ?? null },
    placement: { train: placement.train ?? null, inference: placement.inference ?? null },
    trainPeakBytes: finished.train?.peakBytes ?? null,
    failure,
    trainStep: results("train", (runs, { length, trainStep: { frozen, branch } }) => ({
      ...summarise(runs, batchSize, length, frozen + branch, gemmPeak),
      frozenMs: best(runs).frozenMs,
      frozenFlops: frozen,
    })),
    inference: results("inference", (runs, { length, inference }) =>
      summarise(runs, batchSize, length, inference, gemmPeak),
    ),
  };
}

const best = (runs: readonly RunTime[]): RunTime => runs.reduce((a, b) => (b.ms < a.ms ? b : a));

function summarise(
  runs: readonly RunTime[],
  batchSize: number,
  length: number,
  flops: number,
  gemmPeak: number | null,
): StepTimes {
  const bestMs = best(runs).ms;
  const rowsPerSecond = (batchSize / bestMs) * 1000;
  const flopsPerSecond = (flops / bestMs) * 1000;
  return {
    length,
    runs: runs.length,
    bestMs,
    medianMs: median(runs.map(({ ms }) => ms)),
    rowsPerSecond,
    tokensPerSecond: rowsPerSecond * length,
    flops,
    flopsPerSecond,
    shareOfGemmPeak: gemmPeak === null ? null : flopsPerSecond / gemmPeak,
  };
}
