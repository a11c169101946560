// bench --dry-run: what would be measured, and about how long that takes, from a quick matrix product on each engine.

import { SUSTAINED_SHARE } from "../../api/train/plan";
import { type BenchPlan, type LengthWork, WARM_UPS } from "../../benchmark/measure";
import { isPresent, type StartedEngine } from "../../benchmark/processes";
import { formatSeconds } from "../../messages/quantities";
import { type Terminal, table } from "../terminal";
import { printRemedies, threeDigits } from "./output";

/** Matrix products that the estimate starts from; the best one counts. */
const REPEATS = 3;

export async function printDryRun(
  engines: readonly StartedEngine[],
  plan: BenchPlan,
  model: string,
  terminal: Terminal,
): Promise<void> {
  const reports = [];
  for (const engine of engines) {
    const { name } = engine.process;
    reports.push(
      isPresent(engine) ? { name, ...engine.opened, ...(await estimate(engine, plan)) } : { name, ...engine.opened },
    );
  }
  const totalSeconds = reports.reduce((sum, report) => sum + ("seconds" in report ? report.seconds : 0), 0);
  const work = plan.work.map(({ length, trainStep, inference }) => ({
    length,
    trainFlops: trainStep.frozen + trainStep.branch,
    frozenFlops: trainStep.frozen,
    inferenceFlops: inference,
  }));
  if (terminal.json) {
    terminal.printJson({ runs: plan.runs, totalSeconds, work, engines: reports });
    return;
  }
  terminal.print(`${model}, the top ${plan.model.layers} trained`);
  const gigaflops = (flops: number) => threeDigits(flops / 1e9);
  const rows = work.map((one) => [
    `${plan.model.batchSize} x ${one.length}`,
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
  terminal.print(`\n${plan.runs} runs of each, about ${formatSeconds(totalSeconds)}`);
  printRemedies(reports as Parameters<typeof printRemedies>[0], terminal);
}

/** Seconds that an engine would take: its runs, and the matrix products between them. */
async function estimate({ process }: StartedEngine, { runs, work }: BenchPlan) {
  await process.call("gemm"); // warms up
  let gemmFlopsPerSecond = 0;
  for (let i = 0; i < REPEATS; i++) gemmFlopsPerSecond = Math.max(gemmFlopsPerSecond, await process.call("gemm"));
  const flops = work.reduce((sum, one) => sum + flopsOf(one), 0);
  return { gemmFlopsPerSecond, seconds: ((runs + WARM_UPS) * flops) / (SUSTAINED_SHARE * gemmFlopsPerSecond) };
}

const flopsOf = ({ trainStep, inference }: LengthWork) => trainStep.frozen + trainStep.branch + inference;
