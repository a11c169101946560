// flexbert finetune: partial fine-tuning over a range of k, and the table of dev scores.

import path from "node:path";
import { describeRun } from "../../api/runs";
import { chosenTasks, openBaseOf, openSession, seedsOf, tasksFileOf, userTasks } from "../../api/session";
import { standingOf } from "../../api/stored-runs";
import { openTrackers, trackerOptions } from "../../api/trackers";
import type { StoredRun } from "../../checkpoints/runs/run-folder";
import { dataError } from "../../errors/errors";
import { formatScore, formatSeconds } from "../../messages/quantities";
import { kOf, placesOf } from "../../model/place";
import { fitLayers } from "../../options/layers";
import { settingsOf } from "../../options/settings";
import type { FinetuneRequest } from "../../recipes/finetune";
import type { SearchReport } from "../../recipes/halving/rule";
import { kOption, searchOption } from "../../settings/finetuning";
import type { ChooseBy } from "../../settings/selection";
import { runSettings, trainingCommandOptions, trainingSettings } from "../../settings/training";
import type { Task } from "../../tasks/task";
import { defineCommand } from "../command";
import { formatRates, printPlans, printSummary } from "../run-tables";
import { type Terminal, table } from "../terminal";

export const finetuneCommand = defineCommand({
  description:
    "Trains each task's top k layers, pooler and head over the frozen layers below, whose activations are computed " +
    "once for the whole sweep.\nRepeating the command skips what is finished and goes on with what was stopped.",
  options: {
    ...kOption,
    ...searchOption,
    ...trainingCommandOptions,
    ...trackerOptions,
  },
  examples: [
    "finetune --task rte --k 3-9",
    "finetune --task rte,mrpc --k 4 --epochs 5 --seeds 5",
    "finetune --task all --k 1-6 --base sentence-transformers/all-MiniLM-L6-v2 --learning-rate 1e-4",
    "finetune --task rte --k 1-6 --epochs 4 --search halving",
    "finetune --tasks my-tasks.yaml --task support-intent --k 2 --dry-run",
    "finetune --config checkpoints/bert-base-uncased/rte/finetune/k05-seed1-0a1b2c3d/config.yaml",
  ],
  async run(values, terminal) {
    const trackers = await openTrackers(values, terminal);
    const run = settingsOf(runSettings, values);
    const { findSplitFile } = await import("../../data/read-split.js");
    const tasks = await chosenTasks(values, (task) => findSplitFile(task, "train", run.glueData) !== null);
    const lacking = await ownTasksWithoutTrain(values, tasks);
    if (tasks.length === 0) throw noTrainData(lacking, run.glueData);
    // A mistyped path should not leave a task out in silence.
    for (const { problem } of lacking.filter(({ named }) => named)) terminal.reporter.warn(`left out: ${problem}`);
    const base = await openBaseOf(values, terminal);
    const total = base.config.numHiddenLayers;
    const { values: ks, note } = fitLayers("k", values.k, total);
    if (note) terminal.reporter.log(note);
    const requests = tasks.map((task): FinetuneRequest => {
      const search = { method: values.search, by: values.chooseBy };
      return {
        task,
        base,
        places: placesOf(total, ks),
        seeds: seedsOf(values),
        training: settingsOf(trainingSettings, values),
        run,
        search,
      };
    });
    if (values.dryRun) {
      const { planFinetune } = await import("../../recipes/trial/estimate.js");
      await printPlans(await Promise.all(requests.map(planFinetune)), values, terminal);
      return;
    }
    if (requests.length > 1) await readEverySplit(requests);
    const context = { ...(await openSession(values, terminal)), trackers };
    const { finetune } = await import("../../recipes/finetune.js");
    const started = new Date().toISOString();
    const results = [];
    for (const request of requests) {
      const runs = await finetune(request, context);
      results.push(await summarise(request, runs, values.chooseBy, terminal));
    }
    printSummary(results, started, context.engine, terminal);
  },
});

interface LackingTask {
  /** The tasks file names a train file, so one is meant to be there. */
  readonly named: boolean;
  readonly problem: string;
}

/** The user's tasks that are not among the chosen ones for want of train data; none where --task names the tasks. */
async function ownTasksWithoutTrain(
  values: { readonly task: string | undefined; readonly tasks: string | undefined },
  chosen: readonly Task[],
): Promise<LackingTask[]> {
  const tasksFile = tasksFileOf(values);
  if (tasksFile === null || (values.task !== undefined && values.task !== "all")) return [];
  const lacking = (await userTasks(values)).filter(({ name }) => !chosen.some((task) => task.name === name));
  return lacking.map(({ name, splits: { train } }) => {
    if (!train) return { named: false, problem: `${name}: ${tasksFile} names no train file` };
    const below = path.relative(path.dirname(path.resolve(tasksFile)), train.file);
    const file = below.startsWith("..") ? train.file : below;
    return { named: true, problem: `${name}: ${tasksFile} names ${file}, which is not there` };
  });
}

function noTrainData(lacking: readonly LackingTask[], glueData: string): Error {
  const problems = lacking.map(({ problem }) => problem);
  if (problems.length === 0)
    return dataError(`no task has train data in ${glueData}. Give --glue-data, or --tasks with your own tasks`);
  return dataError(
    `no task has train data. ${problems.join("; ")}; nor has ${glueData} any of GLUE's. Correct the tasks file, or give --glue-data`,
  );
}

/** A broken file of the last task should not come to light after the hours that the first ones take. */
async function readEverySplit(requests: readonly FinetuneRequest[]): Promise<void> {
  const { readSplit } = await import("../../data/read-split.js");
  for (const { task, run } of requests) {
    const { glueData, skipBrokenRows: skipBroken, maxTrainSamples, maxEvalSamples } = run;
    const limit = (maxRows: number | undefined) => (maxRows === undefined ? {} : { maxRows });
    await readSplit(task, "train", { glueData, skipBroken, ...limit(maxTrainSamples) });
    await readSplit(task, "dev", { glueData, skipBroken, ...limit(maxEvalSamples) });
  }
}

/** The table of one task, with the teacher marked; returns what --json prints. */
async function summarise(
  { task, base, run, search }: FinetuneRequest,
  runs: readonly StoredRun[],
  by: ChooseBy,
  terminal: Terminal,
) {
  const { scoresByLayers } = await import("../../selection/teacher.js");
  const { comparable, teacher } = await standingOf(runs, { base, task, checkpoints: run.checkpoints, by });
  const rows = scoresByLayers(comparable).map(({ place, runs: seeds, max, mean }) => {
    const chosen = teacher !== null && seeds.includes(teacher);
    const seconds = seeds.reduce((sum, { record }) => sum + record.seconds, 0);
    const k = String(kOf(place));
    const rate = formatRates(seeds.map(({ record }) => record.tokensPerSecond));
    const mark = chosen ? "teacher" : "";
    return [k, formatScore(max), formatScore(mean), seeds.length, formatSeconds(seconds), rate, mark];
  });
  if (!terminal.json) {
    terminal.print(`${task.name}: dev ${task.metric} by k, in points`);
    terminal.print(`${table(["k", "max", "mean", "runs", "time", "tokens/s", ""], rows)}\n`);
  }
  const settings = differingOptions(comparable);
  if (settings.length > 0) {
    terminal.reporter.log(
      `${task.name}: its runs differ in ${settings.join(", ")} too; flexbert report keeps them apart`,
    );
  }
  if (teacher && !comparable.includes(teacher)) {
    const { layers, seed, score, devData } = teacher.record;
    terminal.reporter.log(
      `${task.name}: a quick look. The teacher stays k=${layers} seed ${seed}, ${formatScore(score)} points on ${devData.rows} dev rows`,
    );
  }
  const { reportSearch } = await import("../../recipes/halving/rule.js");
  const report = await reportSearch(runs, task.metric, by);
  // A sweep that halving never touched has the report in its JSON alone.
  const halved = search?.method === "halving" || runs.some(({ record }) => record.stopped);
  if (report && halved && !terminal.json) terminal.print(`${describeSearch(task.name, report)}\n`);
  return { task: task.name, runs: runs.map(describeRun), teacher: teacher?.folder ?? null, search: report };
}

/** Names of the options in which runs differ. */
function differingOptions(runs: readonly StoredRun[]): string[] {
  const names = new Set(runs.flatMap(({ record }) => Object.keys(record.options)));
  const values = (name: string) => new Set(runs.map(({ record }) => JSON.stringify(record.options[name])));
  return [...names].filter((name) => values(name).size > 1).map((name) => `--${kebabCase(name)}`);
}

const kebabCase = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** What halving chose, stopped and saved; after a whole sweep, whether that sweep chooses the same. */
function describeSearch(task: string, { halving, full, stopped, saved, of }: SearchReport): string {
  const named = ({ layers, score }: { layers: number; score: number | null }) => `k=${layers} (${formatScore(score)})`;
  const time =
    saved.seconds > 0
      ? `about ${formatSeconds(saved.seconds)} of ${formatSeconds(of.seconds)}, ${Math.round((100 * saved.seconds) / of.seconds)} % of the time`
      : "but no time, as steps so few cost less than compiling them again";
  const work = `${saved.epochs} of ${of.epochs} epochs, ${saved.steps} of ${of.steps} steps, ${time}`;
  if (full && saved.epochs === 0) {
    return `${task}: every k ran to its end, and the choice is ${named(full)}; their scores tie, and halving stops none that ties`;
  }
  if (full) {
    const same = full.layers === halving.layers;
    return same
      ? `${task}: every k ran to its end, and the choice is ${named(full)}, as by halving, which saves ${work}`
      : `${task}: every k ran to its end, and the choice is ${named(full)}; halving chooses ${named(halving)} and saves ${work}`;
  }
  const stops = stopped.map((arm) => `${named(arm)} after epoch ${arm.epoch}`).join(", ");
  return (
    `${task}: halving chose ${named(halving)}. Stopped, with the best score so far: ${stops || "none"}\n` +
    `Saved: ${work}. None of those scores is above the choice's; whether the full search chooses the same,\n` +
    "--search full tells: it goes on where they stopped"
  );
}
