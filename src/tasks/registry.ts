// Which tasks a command means: `--task rte`, `--task rte,cola`, `--task all`, or nothing.

import { usageError } from "../errors/errors";
import { didYouMean } from "../messages/nearest";
import { glueTasks } from "./glue";
import type { Task } from "./task";

/** Every known task: GLUE's first, then the user's own in their file's order. */
export function knownTasks(userTasks: readonly Task[]): Task[] {
  return [...Object.values(glueTasks), ...userTasks];
}

/**
 * The tasks that a `--task` value names, each once, in the order named.
 * @param names a name, a comma-separated list, `all` (every task that has a train split), or undefined (every known
 *   task; the command keeps those that it finds ready)
 * @throws UserError (exit code 2) for a name that is no task
 */
export function resolveTasks(names: string | undefined, userTasks: readonly Task[]): Task[] {
  const known = knownTasks(userTasks);
  if (names === undefined) return known;
  const wanted = names
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  if (wanted.length === 0)
    throw usageError(`--task "${names}" names no task; give a name, a list like rte,cola or all`);
  const tasks = wanted.flatMap((name) =>
    name === "all" ? known.filter((task) => task.splits.train) : find(name, known),
  );
  return [...new Set(tasks)];
}

function find(name: string, known: readonly Task[]): Task {
  const task = known.find((candidate) => candidate.name === name);
  if (task) return task;
  // Titles are what people know the tasks by: "STS-B" means stsb.
  const titled = known.find((candidate) => candidate.title.toLowerCase() === name.toLowerCase());
  if (titled) return titled;
  const available = known.map((candidate) => candidate.name);
  throw usageError(
    `--task ${name}: no such task${didYouMean(name, available)}; there are ${available.join(", ")}, all, ` +
      "and those of a tasks file (--tasks FILE)",
  );
}
