// What bench prints: the engines, then a table of train steps and one of inference. docs/bench.md explains the fields.

import type { EngineMeasurement, LengthWork } from "../../benchmark/measure";
import type { RunTime } from "../../benchmark/step-benchmark";
import type { Opened, WorkloadName } from "../../benchmark/worker";
import type { Compilation } from "../../engines/engine";
import { formatBytes } from "../../files/atomic";
import { formatSeconds } from "../../messages/quantities";
import { type Terminal, table } from "../terminal";

/** One workload at one length. Rates are those of the best run. */
export interface BenchResult {
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

export interface BenchTrainResult extends BenchResult {
  /** The part of the best run and of the work that the frozen layers took. */
  readonly frozenMs: number;
  readonly frozenFlops: number;
}

export type EngineReport = { readonly name: string } & (
  | Extract<Opened, { present: false }>
  | (Extract<Opened, { present: true }> & {
      readonly gemmFlopsPerSecond: number | null;
      readonly compiled: Record<WorkloadName, Compilation | null>;
      readonly trainPeakBytes: number | null;
      /** Why it stopped early, or null. */
      readonly failure: string | null;
      readonly trainStep: readonly BenchTrainResult[];
      readonly inference: readonly BenchResult[];
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
  const { times, finished, gemmPeak, failure } = measurement;
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
): BenchResult {
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

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1] as number, sorted[sorted.length >> 1] as number];
  return (low + high) / 2;
}

/** The engines with their peak, and what the measured ones did at each length. */
export function printReports(reports: readonly EngineReport[], batchSize: number, terminal: Terminal): void {
  terminal.print(
    `\n${table(["engine", "", "", "matrix product", "graphs", "compiled in", "peak memory"], reports.map(engineRow))}`,
  );
  const present = reports.filter((report) => report.present);
  const steps = present.flatMap(({ name, trainStep }) => trainStep.map((result) => ({ name, ...result })));
  if (steps.length > 0) {
    const rows = steps.map((step) => [...timeCells(step, batchSize), formatMs(step.frozenMs), ...rateCells(step)]);
    terminal.print(`\n${table(["train step", "batch", "best ms", "median ms", "frozen ms", ...rateHeads], rows)}`);
  }
  const passes = present.flatMap(({ name, inference }) => inference.map((result) => ({ name, ...result })));
  if (passes.length > 0) {
    const rows = passes.map((pass) => [...timeCells(pass, batchSize), ...rateCells(pass)]);
    terminal.print(`\n${table(["inference", "batch", "best ms", "median ms", ...rateHeads], rows)}`);
  }
  printRemedies(reports, terminal);
}

export function printRemedies(reports: readonly EngineReport[], terminal: Terminal): void {
  for (const report of reports) if (!report.present) terminal.print(`\n${report.name}: ${report.remedy}`);
}

function engineRow(report: EngineReport): string[] {
  if (!report.present) return [report.name, "absent", report.reason, "", "", "", ""];
  const { name, summary, gemmFlopsPerSecond, compiled, trainPeakBytes, failure } = report;
  const made = [compiled.train, compiled.inference].filter((one) => one !== null);
  const seconds = made.reduce((total, one) => total + one.seconds, 0);
  return [
    name,
    failure === null ? "present" : "failed",
    summary,
    gemmFlopsPerSecond === null ? "-" : formatRate(gemmFlopsPerSecond),
    made.length === 0 ? "-" : String(made.reduce((total, one) => total + one.graphs, 0)),
    made.length === 0 ? "-" : formatSeconds(seconds),
    trainPeakBytes === null ? "-" : formatBytes(trainPeakBytes),
  ];
}

const rateHeads = ["rows/s", "tokens/s", "GFLOP", "GFLOP/s", "of peak"];

const timeCells = (result: BenchResult & { name: string }, batchSize: number) => [
  result.name,
  `${batchSize} x ${result.length}`,
  formatMs(result.bestMs),
  formatMs(result.medianMs),
];

const rateCells = ({ rowsPerSecond, tokensPerSecond, flops, flopsPerSecond, shareOfGemmPeak }: BenchResult) => [
  threeDigits(rowsPerSecond),
  threeDigits(tokensPerSecond),
  threeDigits(flops / 1e9),
  threeDigits(flopsPerSecond / 1e9),
  shareOfGemmPeak === null ? "-" : `${Math.round(100 * shareOfGemmPeak)} %`,
];

const formatRate = (flopsPerSecond: number) => `${threeDigits(flopsPerSecond / 1e9)} GFLOP/s`;
const formatMs = threeDigits;

/** 1234, 123, 12.3, 1.23, 0.00123: a tiny model's numbers are small. */
export function threeDigits(value: number): string {
  return value >= 100 ? String(Math.round(value)) : Number(value.toPrecision(3)).toString();
}
