// The steps after training: joint, select, exits, merge, report. Each is done once for its inputs: their hash is kept beside the
// results, and a step whose inputs and outputs are as they were is skipped. What a step runs is the caller's matter.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { listRuns, methodFolder } from "../checkpoints/runs/run-folder";
import { modelError, usageError } from "../errors/errors";
import { writeFileAtomic } from "../files/atomic";
import { makeFolder } from "../files/folder";
import { canonicalJson, sha256File, sha256Hex } from "../files/hash";
import { parseJson } from "../files/json";
import { tryLeaseFolder } from "../files/lock";
import { packageVersion } from "../files/version";
import { Interrupted, type Reporter } from "../messages/reporter";
import { settingsFrom } from "../options/settings";
import { isJoint, selectRules } from "../settings/selection";
import { type LastStep, lastSteps } from "./plan";
import type { Resolver } from "./resolve";
import type { TrialResult } from "./results";

/** Where an experiment's results lie. */
export interface OutputPaths {
  readonly folder: string;
  readonly results: string;
  /** Finished trials as `select --scores` reads them; written however far the experiment is. */
  readonly scores: string;
  /** Of a search. */
  readonly front: string;
  /** Of models that several tasks trained together, as `joint --json` has them. */
  readonly joint: string;
  /** What layers cost, where the report measures them. */
  readonly latency: string;
  readonly selection: string;
  /** What was decided of each task's ramps, as `exits --json` has it. */
  readonly exits: string;
  readonly merged: string;
  readonly report: string;
}

export function outputsIn(folder: string): OutputPaths {
  return {
    folder,
    results: path.join(folder, "trials.csv"),
    scores: path.join(folder, "scores.csv"),
    front: path.join(folder, "front.csv"),
    joint: path.join(folder, "joint.json"),
    latency: path.join(folder, "latency.json"),
    selection: path.join(folder, "selection.json"),
    exits: path.join(folder, "exits.json"),
    merged: path.join(folder, "merged"),
    report: path.join(folder, "report"),
  };
}

/** What must be there for a step to count as done. */
function productOf(step: LastStep, outputs: OutputPaths): string {
  const { joint, selection, exits, merged, report } = outputs;
  // Of a folder the file that its command writes last.
  const products = { joint, select: selection, exits, merge: path.join(merged, "flexbert.json") };
  return { ...products, report: path.join(report, "index.html") }[step];
}

/** Throws modelError (4) unless every trial is finished, or needs no training. */
export function requireFinished({ trials, experiment }: Resolver, results: readonly TrialResult[], step: string): void {
  if (results.length === trials.length) return;
  const done = new Set(results.map(({ spec }) => spec.index));
  const open = [...trials].filter(({ index }) => !done.has(index));
  throw modelError(
    `${step} needs every trial: ${open.length} of ${trials.length} are not finished, the first is trial ${open[0]?.index}. ` +
      `Run: flexbert run ${experiment.file}, with the same --out`,
  );
}

/** The steps without whose products a step cannot do its work, where the file has them. */
const needs: Readonly<Record<LastStep, readonly LastStep[]>> = {
  joint: [],
  select: [],
  exits: ["select"],
  merge: ["select", "exits"],
  report: ["merge"],
};

/** Throws modelError (4) where the first step of a call reads what an earlier one, which the call leaves out, has not written. */
export function requireStepBefore({ experiment }: Resolver, first: LastStep, outputs: OutputPaths): void {
  const step = needs[first].find((one) => experiment[one] !== null && !existsSync(productOf(one, outputs)));
  if (step === undefined) return;
  throw modelError(
    `${first} needs the step ${step}: ${productOf(step, outputs)} is missing. ` +
      `Run: flexbert run ${experiment.file} --from ${step}, with the same --out`,
  );
}

/**
 * Throws usageError (2) where the folder holds finished runs that are no trial of the experiment but would count in
 * its selection: those of an earlier version of the file, or of other commands.
 */
export async function requireNoStrays(resolver: Resolver, results: readonly TrialResult[]): Promise<void> {
  const { experiment, base } = resolver;
  const own = new Set(results.flatMap(({ run }) => (run ? [path.resolve(run.folder)] : [])));
  const joint = isJoint(settingsFrom(selectRules, { ...experiment.select }));
  for (const task of experiment.tasks) {
    const { checkpoints } = resolver.run(task);
    const { devData } = await resolver.data(task);
    const teacher = await resolver.teacher(task);
    for (const { method, makes } of Object.values(experiment.recipes)) {
      const runs = await listRuns(methodFolder(checkpoints, base.name, task.name, method));
      const strays = runs.filter(({ folder, record }) => {
        const finished = record.state === "finished" && !own.has(path.resolve(folder));
        // Students of other teachers, unless all tasks are chosen for together, and runs scored on other rows are no candidates.
        const counts = makes === "teachers" || joint || record.teacher?.sha256 === teacher?.record.sha256;
        return finished && counts && record.base.sha256 === base.sha256 && record.devData.sha256 === devData.sha256;
      });
      if (strays.length === 0) continue;
      throw usageError(
        `${strays.length} finished ${method} runs of ${task.name} in ${checkpoints} are no trials of ${experiment.file}, ` +
          `but would count: ${strays[0]?.folder}. Move them away, or give another --out`,
      );
    }
  }
}

/** The hash of what a step starts from: its settings, every trial's weights, and what the steps before it wrote. */
export async function hashInputs(
  step: LastStep,
  { experiment, base }: Resolver,
  results: readonly TrialResult[],
  outputs: OutputPaths,
): Promise<string> {
  const products: Record<string, string> = {};
  for (const earlier of lastSteps.slice(0, lastSteps.indexOf(step))) {
    if (experiment[earlier] === null) continue;
    const file = productOf(earlier, outputs);
    if (existsSync(file)) products[earlier] = await sha256File(file);
  }
  const inputs = {
    step,
    settings: experiment[step] ?? {},
    // Exits are of the runs that merge will take.
    ...(step === "exits" ? { taken: experiment.merge?.select ?? null } : {}),
    chooseBy: experiment.chooseBy,
    base: base.sha256,
    tasks: experiment.tasks.map(({ name }) => name),
    trials: results.map(({ run }) =>
      run ? { id: run.record.id, sha256: run.record.sha256, score: run.record.score } : null,
    ),
    products,
  };
  return sha256Hex(canonicalJson(inputs));
}

export interface StepRequest {
  readonly step: LastStep;
  readonly outputs: OutputPaths;
  /** Computed when the folder is this process's own. */
  readonly inputs: () => Promise<string>;
  readonly force: boolean;
  readonly work: () => Promise<void>;
}

/** Does a step, unless it was done from the same inputs. One process at a time; the others wait, and skip it. */
export async function doOnce(
  { step, outputs, inputs, force, work }: StepRequest,
  { reporter, signal }: { readonly reporter: Reporter; readonly signal: AbortSignal },
): Promise<"done" | "skipped"> {
  const unlock = await lockPatiently(outputs.folder, step, reporter, signal);
  try {
    const marks = path.join(outputs.folder, "steps");
    const mark = path.join(marks, `${step}.json`);
    const wanted = await inputs();
    const done = existsSync(productOf(step, outputs)) ? await readMark(mark) : null;
    if (!force && done === wanted) return "skipped";
    await work();
    await makeFolder(marks);
    await writeFileAtomic(mark, `${JSON.stringify({ flexbert: packageVersion(), inputs: wanted }, null, 2)}\n`);
    return "done";
  } finally {
    await unlock();
  }
}

async function readMark(file: string): Promise<string | null> {
  if (!existsSync(file)) return null;
  try {
    return (parseJson(await readFile(file, "utf8")) as { inputs?: string }).inputs ?? null;
  } catch {
    return null; // damaged: the step is done again
  }
}

async function lockPatiently(folder: string, step: string, reporter: Reporter, signal: AbortSignal) {
  for (let told = false; ; told = true) {
    const claim = await tryLeaseFolder(folder, step);
    if ("unlock" in claim) return claim.unlock;
    if (!told) reporter.log(claim.heldBy);
    await sleep(500, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) throw new Interrupted(null);
  }
}
