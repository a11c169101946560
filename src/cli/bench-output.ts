// What bench prints: the engines, then a table of train steps and one of inference; of a dry run the work and its time.

import type { BenchEstimate } from "../api/bench";
import type { EngineReport, StepTimes } from "../benchmark/engine-report";
import type { Placement } from "../engines/onnx/device/placement";
import { formatBytes } from "../files/atomic";
import { formatSeconds } from "../messages/quantities";
import { type Terminal, table } from "./terminal";

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
  const placed = present.flatMap(({ name, placement: { train, inference } }) => [
    ...(train ? [placementRow(name, "train step", train)] : []),
    ...(inference ? [placementRow(name, "inference", inference)] : []),
  ]);
  if (placed.length > 0) {
    terminal.print(`\n${table(["nodes of a run", "", "in all", "copies", "on the CPU", ""], placed)}`);
  }
  printRemedies(reports, terminal);
}

function placementRow(name: string, what: string, { nodes, copies, onCpu }: Placement): string[] {
  const left = onCpu.reduce((sum, one) => sum + one.nodes, 0);
  const ops = onCpu.map((one) => `${one.nodes} ${one.op}`).join(", ");
  return [name, what, String(nodes), String(copies), String(left), ops];
}

function printRemedies(reports: BenchEstimate["engines"] | readonly EngineReport[], terminal: Terminal): void {
  for (const report of reports) if (!report.present) terminal.print(`\n${report.name}: ${report.remedy}`);
}

/** What would be measured, and about how long that takes. */
export function printEstimate(
  { runs, totalSeconds, work, engines: reports }: BenchEstimate,
  { model, layers, batchSize }: { readonly model: string; readonly layers: number; readonly batchSize: number },
  terminal: Terminal,
): void {
  terminal.print(`${model}, the top ${layers} trained`);
  const gigaflops = (flops: number) => threeDigits(flops / 1e9);
  const rows = work.map((one) => [
    `${batchSize} x ${one.length}`,
    gigaflops(one.trainFlops),
    gigaflops(one.frozenFlops),
    gigaflops(one.inferenceFlops),
  ]);
  terminal.print(`\n${table(["batch", "train step, GFLOP", "of it frozen", "inference, GFLOP"], rows)}`);
  const engineRows = reports.map((report) =>
    "seconds" in report
      ? [report.name, report.summary, formatSeconds(report.seconds)]
      : [report.name, report.present ? "" : `absent: ${report.reason}`, ""],
  );
  terminal.print(`\n${table(["engine", "", "estimate"], engineRows)}`);
  terminal.print(`\n${runs} runs of each, about ${formatSeconds(totalSeconds)}`);
  printRemedies(reports, terminal);
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

const timeCells = (result: StepTimes & { name: string }, batchSize: number) => [
  result.name,
  `${batchSize} x ${result.length}`,
  formatMs(result.bestMs),
  formatMs(result.medianMs),
];

const rateCells = ({ rowsPerSecond, tokensPerSecond, flops, flopsPerSecond, shareOfGemmPeak }: StepTimes) => [
  threeDigits(rowsPerSecond),
  threeDigits(tokensPerSecond),
  threeDigits(flops / 1e9),
  threeDigits(flopsPerSecond / 1e9),
  shareOfGemmPeak === null ? "-" : `${Math.round(100 * shareOfGemmPeak)} %`,
];

const formatRate = (flopsPerSecond: number) => `${threeDigits(flopsPerSecond / 1e9)} GFLOP/s`;
const formatMs = threeDigits;

/** 1234, 123, 12.3, 1.23, 0.00123: a tiny model's numbers are small. */
function threeDigits(value: number): string {
  return value >= 100 ? String(Math.round(value)) : Number(value.toPrecision(3)).toString();
}
