// What an experiment file's section `exits` asks for: one decision a task, on the run that is merged.

import { settingsFrom, withDefaults } from "../options/settings";
import type { Problem } from "../options/yaml-file";
import { exitSettings, rampDefaults } from "../settings/exits";
import { seedOptions, trainingSettings } from "../settings/training";
import type { Task } from "../tasks/task";
import type { ExperimentFile } from "./schema";

type Section = NonNullable<ExperimentFile["exits"]>;

/** Of an experiment what this reads. */
interface WithExits {
  readonly tasks: readonly Task[];
  /** null where the file leaves the step out. */
  readonly exits?: Section | null | undefined;
}

const { maxLength: _, ...ramps } = withDefaults(trainingSettings, rampDefaults);

/** What of the section `flexbert exits` takes by its own names: its defaults are that command's, as a rate for a model would be far too small. */
export const exitOptionsOf = ({ exits }: Pick<WithExits, "exits">) =>
  settingsFrom({ ...exitSettings, seeds: seedOptions.seeds, ...ramps }, { ...exits });

/** Of the experiment's tasks those that get exits: those that the section names, or all that can have them. */
export const tasksWithExits = ({ tasks, exits }: WithExits): readonly Task[] =>
  tasks.filter((task) => (exits?.tasks ? exits.tasks.includes(task.name) : task.kind.leaving));

/** What the section says that cannot be, which the command would say hours later. */
export function exitProblems(section: Section, tasks: readonly Task[], outside: (name: string) => string): Problem[] {
  const { criterion, budget, keep, confidence } = section;
  const problems: Problem[] = [];
  if (budget !== undefined && (keep ?? confidence) !== undefined) {
    problems.push({ path: ["exits", "budget"], message: "promises nothing: keep it, or keep and confidence" });
  }
  for (const name of section.tasks ?? []) {
    const task = tasks.find((one) => one.name === name);
    if (!task) problems.push({ path: ["exits", "tasks"], message: outside(name) });
    else if (!task.kind.leaving) {
      const message = `${name} is a task of ${task.kind.name}, which has no early exits`;
      problems.push({ path: ["exits", "tasks"], message });
    }
  }
  if (criterion === undefined) return problems;
  for (const { name, kind } of tasksWithExits({ tasks, exits: section })) {
    const names = Object.keys(kind.leaving?.criteria ?? {});
    if (names.length === 0 || names.includes(criterion)) continue;
    const message = `${criterion} is none of ${name}'s, a task of ${kind.name}: ${names.join(" and ")}`;
    problems.push({ path: ["exits", "criterion"], message });
  }
  return problems;
}
