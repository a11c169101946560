// flexbert bench: how fast this machine trains and infers on each engine, beside what its matrix products reach alone.

import { type BenchOptions, bench, benchOptions, estimateBench } from "../../api/bench";
import type { EngineReport } from "../../benchmark/engine-report";
import { failure } from "../../errors/errors";
import { settingsOf } from "../../options/settings";
import { dryRun } from "../../settings/call";
import { printEstimate, printReports } from "../bench-output";
import { defineCommand } from "../command";

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
  options: { ...benchOptions, ...dryRun },
  examples: [
    "bench",
    "bench --size base --length 128 --engine onnx",
    "bench --base bert-base-uncased --k 4 --length 16,64,128 --json",
    "bench --dry-run",
  ],
  async run(values, terminal) {
    const options: BenchOptions = settingsOf(benchOptions, values);
    if (values.dryRun) {
      const { estimate, model } = await estimateBench(options, terminal);
      if (terminal.json) terminal.printJson(estimate);
      else printEstimate(estimate, { model, layers: values.k, batchSize: values.batchSize }, terminal);
      return;
    }
    const result = await bench(options, terminal);
    if (terminal.json) terminal.printJson(result);
    else printReports(result.engines, values.batchSize, terminal);
    failIfAnyFailed(result.engines);
  },
});

/** What the others showed has been printed by now. */
function failIfAnyFailed(reports: readonly EngineReport[]): void {
  const failed = reports.flatMap((report) => (report.present && report.failure !== null ? [report] : []));
  if (failed.length === 0) return;
  const reasons = failed.map(({ name, failure: reason }) => `${name} failed ${reason}`).join("; ");
  throw failure(`${reasons}. Give a smaller --batch-size or --length, another --base, or leave it out with --engine`);
}
