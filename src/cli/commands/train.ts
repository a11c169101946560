// flexbert finetune, flexbert distill and the command of any other recipe: its sweep of each task, and what came of it.

import { openSession } from "../../api/session";
import { openTrackers, trackerOptions } from "../../api/trackers";
import { readEverySplit, sweepsOf, type TrainingValues } from "../../api/train/sweeps";
import type { Definitions } from "../../options/option";
import type { Recipe } from "../../recipes/recipe";
import type { Sweep } from "../../recipes/sweep";
import { trainingCommandOptions } from "../../settings/training";
import { type Command, defineCommand } from "../command";
import { printPlans, printSummary } from "../run-tables";
import type { Terminal } from "../terminal";
import { headOfStudents, keepsTeacher, reportStudents, reportTeachers } from "../train-tables";

export const trainCommand = (recipe: Recipe): Command =>
  defineCommand({
    description: recipe.description,
    options: { ...(recipe.options as Definitions), ...trainingCommandOptions, ...trackerOptions },
    examples: recipe.examples,
    async run(values, terminal) {
      const trackers = await openTrackers(values, terminal);
      const sweeps = await sweepsOf(recipe, values, terminal);
      if (values.dryRun) return printDryRun(sweeps, values, terminal);
      if (recipe.makes === "teachers" && sweeps.length > 1) await readEverySplit(sweeps);
      const context = { ...(await openSession(values, terminal)), trackers };
      const { runSweep } = await import("../../recipes/sweep.js");
      const started = new Date().toISOString();
      const report = recipe.makes === "teachers" ? reportTeachers : reportStudents;
      const results = [];
      for (const sweep of sweeps) {
        const runs = await runSweep(sweep, context);
        results.push(await report(sweep, runs, values.chooseBy, terminal));
      }
      printSummary(results, started, context.engine, terminal);
    },
  });

async function printDryRun(sweeps: readonly Sweep[], values: TrainingValues, terminal: Terminal): Promise<void> {
  const { planSweep } = await import("../../recipes/plan.js");
  const plans = await Promise.all(sweeps.map(planSweep));
  const idle = sweeps.filter((_, i) => plans[i]?.trials.length === 0);
  if (!terminal.json) for (const sweep of idle) terminal.print(`${headOfStudents(sweep)}\n${keepsTeacher}`);
  // A table of no trials says nothing; --json has its empty list.
  if (terminal.json || idle.length < sweeps.length) await printPlans(plans, values, terminal);
}
