// flexbert run: a whole experiment from one file. What is done is skipped, what was stopped goes on, and several
// processes may share it.

import { type EngineValues, openSession } from "../../api/session";
import { openTrackers, trackerOptions } from "../../api/trackers";
import { sustainedRate } from "../../api/train/plan";
import type { LastStep } from "../../experiment/plan";
import type { Presence } from "../../experiment/presence";
import { type Result, scoreLines } from "../../experiment/results";
import type { Outputs } from "../../experiment/steps";
import { requireFreeSpace } from "../../files/atomic";
import type { Recipes } from "../../recipes/recipe";
import { dryRun } from "../../settings/call";
import { engineOptions } from "../../settings/engine";
import { workOptions } from "../../settings/work";
import type { Tracker } from "../../training/tracking/tracker";
import { defineCommand } from "../command";
import { experimentArgument, experimentOptions, type OpenedExperiment, openExperiment } from "../experiment";
import { runStepCommand } from "../experiment-steps";
import { describeTrial, printListing, printScores } from "../experiment-tables";
import type { Terminal } from "../terminal";

export const runCommand = (recipes: Recipes) =>
  defineCommand({
    description:
      "Trains every trial of an experiment file, then selects, merges and reports as the file says. Steps that are done " +
      "are skipped; a stopped or killed run goes on when it is repeated. Several processes on one folder share the " +
      "trials. Results lie in results/NAME: trials.csv, selection.json, merged, report, checkpoints.",
    arguments: experimentArgument,
    options: {
      ...experimentOptions(recipes),
      ...engineOptions,
      saveEvery: workOptions.saveEvery,
      ...trackerOptions,
      ...dryRun,
    },
    examples: [
      "run experiments/smoke.yaml",
      "run experiments/glue-minilm.yaml --dry-run",
      "run experiments/glue.yaml --only finetune --shard 0/8",
      "run experiments/glue.yaml --trial 17",
      "run experiments/smoke.yaml --tensorboard",
      "run experiments/glue.yaml --from select --force",
    ],
    async run(values, terminal, [file = ""]) {
      const trackers = await openTrackers(values, terminal);
      const opened = await openExperiment(file, values, terminal);
      const { resolver, experiment, steps, mine, out, checkpoints } = opened;
      const { outputsIn } = await import("../../experiment/steps.js");
      const { isLastStep } = await import("../../experiment/plan.js");
      const outputs = outputsIn(out);
      if (values.dryRun) return printDryRun(opened, values, terminal);
      const last = steps.filter(isLastStep);
      const engine = { engine: values.engine, threads: values.threads };
      const stepContext = { experiment, outputs, checkpoints, glueData: values.glueData, engine };
      if (mine.length > 0) await train(opened, { ...values, trackers }, terminal);
      const { collectResults } = await import("../../experiment/results.js");
      const results = await collectResults(resolver);
      const done: Record<string, string> = {};
      if (results.length === resolver.trials.length) await writeResults(results, outputs, recipes);
      if (last.length > 0) {
        const steps = await import("../../experiment/steps.js");
        const { doOnce, hashInputs, requireFinished, requireNoStrays, requireStepBefore } = steps;
        const [first] = last as [LastStep];
        requireFinished(resolver, results, first);
        requireStepBefore(resolver, first, outputs);
        await requireNoStrays(resolver, results);
        for (const step of last) {
          const inputs = () => hashInputs(step, resolver, results, outputs);
          const work = () => runStepCommand(step, stepContext, terminal);
          done[step] = await doOnce({ step, outputs, inputs, force: values.force, work }, terminal);
          terminal.reporter.log(`${step}: ${done[step] === "skipped" ? "nothing has changed, skipped" : "done"}`);
        }
      }
      printOutcome(opened, results, outputs, done, terminal);
    },
  });

type TrainingValues = Omit<EngineValues, "precision"> & { readonly trackers: readonly Tracker[] };

/** Trains what is left, unless nothing is: then no engine is opened. */
async function train(opened: OpenedExperiment, values: TrainingValues, terminal: Terminal): Promise<void> {
  const { announce } = await import("../../experiment/presence.js");
  const tunes = opened.mine.some(({ recipe }) => recipe.makes === "teachers");
  const presence = await announce(opened.checkpoints, tunes ? `fine-tuning of ${opened.experiment.file}` : null);
  try {
    await trainWhatIsLeft(opened, presence, values, terminal);
  } finally {
    await presence.withdraw();
  }
}

async function trainWhatIsLeft(
  { resolver, mine, out }: OpenedExperiment,
  presence: Presence,
  { trackers, ...values }: TrainingValues,
  terminal: Terminal,
): Promise<void> {
  const { listWork } = await import("../../experiment/listing.js");
  // Reads the data of every task: a broken file should not come to light after the hours that the first ones take.
  const { trials, openBytes } = await listWork(resolver, mine);
  const open = trials.filter(({ state }) => state !== "finished" && state !== "unneeded");
  terminal.reporter.log(`${resolver.experiment.name}: ${open.length} of ${mine.length} trials to train`);
  if (open.length === 0) return;
  await requireFreeSpace(out, openBytes, `what is left of ${resolver.experiment.file}`);
  const { trainTrials } = await import("../../experiment/train.js");
  const context = await openSession({ ...values, precision: resolver.experiment.precision }, terminal);
  await trainTrials(resolver, mine, presence, { ...context, trackers });
}

async function writeResults(results: readonly Result[], outputs: Outputs, recipes: Recipes): Promise<void> {
  const { makeFolder } = await import("../../files/folder.js");
  const { writeFileAtomic } = await import("../../files/atomic.js");
  const { resultsCsv } = await import("../../experiment/results-csv.js");
  await makeFolder(outputs.folder);
  await writeFileAtomic(outputs.results, resultsCsv(results, recipes));
}

async function printDryRun(
  { resolver, mine, steps }: OpenedExperiment,
  values: Omit<EngineValues, "precision">,
  terminal: Terminal,
) {
  const { listWork } = await import("../../experiment/listing.js");
  const listing = await listWork(resolver, mine);
  const { engine } = await openSession({ ...values, precision: resolver.experiment.precision }, terminal);
  const flopsPerSecond = await sustainedRate(engine);
  if (!terminal.json) {
    printListing(listing, flopsPerSecond, terminal);
    terminal.print(`steps: ${steps.join(", ")}`);
    return;
  }
  const trials = listing.trials.map((trial) => ({
    ...describeTrial(trial),
    seconds: trial.flops / flopsPerSecond,
  }));
  const { openFlops, openBytes } = listing;
  const totalSeconds = openFlops / flopsPerSecond;
  terminal.printJson({ engine: engine.summary, flopsPerSecond, totalSeconds, openBytes, steps, trials });
}

function printOutcome(
  { resolver, experiment, mine }: OpenedExperiment,
  results: readonly Result[],
  outputs: Outputs,
  steps: Readonly<Record<string, string>>,
  terminal: Terminal,
): void {
  const { trials } = resolver;
  const done = new Set(results.map(({ spec }) => spec.index));
  const complete = results.length === trials.length;
  if (terminal.json) {
    terminal.printJson({
      experiment: experiment.name,
      trials: trials.length,
      finished: results.length,
      done: mine.filter(({ index }) => done.has(index)).map(({ index }) => index),
      steps,
      results: complete ? outputs.results : null,
      folder: outputs.folder,
      scores: scoreLines(results),
    });
    return;
  }
  if (results.length > 0) printScores(results, terminal);
  terminal.print(
    complete
      ? `\nall ${trials.length} trials are finished: ${outputs.results}`
      : `\n${results.length} of ${trials.length} trials are finished`,
  );
}
