// flexbert finetune, flexbert distill and the command of any other recipe: its sweep of each task, and what came of it.

import { estimate, planSweeps } from "../../api/train/plan";
import { type TrainGiven, train, trainOptions } from "../../api/train/train";
import { settingsOf } from "../../options/settings";
import type { Recipe } from "../../recipes/recipe";
import { configOption, dryRun } from "../../settings/call";
import { type Command, defineCommand } from "../command";
import { printPlan, printSummary } from "../run-tables";
import type { Terminal } from "../terminal";
import { headOfStudents, keepsTeacher, printStudents, printTeachers } from "../train-tables";

export function trainCommand(recipe: Recipe): Command {
  const own = trainOptions(recipe);
  return defineCommand({
    description: recipe.description,
    options: { ...own, ...configOption, ...dryRun },
    examples: recipe.examples,
    async run(values, terminal) {
      const options = settingsOf(own, values);
      if (values["dryRun"]) return printDryRun(recipe, options, terminal);
      const started = new Date().toISOString();
      const print = recipe.makes === "teachers" ? printTeachers : printStudents;
      const result = await train(recipe, options, terminal, (trained) => {
        if (!terminal.json) print(trained, terminal);
      });
      if (terminal.json) terminal.printJson(result);
      else printSummary(result, started, terminal);
    },
  });
}

async function printDryRun(recipe: Recipe, options: TrainGiven, terminal: Terminal): Promise<void> {
  const { values, plans, idle } = await planSweeps(recipe, options, terminal);
  if (terminal.json) {
    terminal.printJson(await estimate(plans, values, terminal));
    return;
  }
  for (const sweep of idle) terminal.print(`${headOfStudents(sweep)}\n${keepsTeacher}`);
  // A table of no trials says nothing; --json has its empty list.
  if (idle.length < plans.length) printPlan(recipe, await estimate(plans, values, terminal), plans, terminal);
}
