// Which of a call's tasks leave early, and by which rule: what was decided for each, or a threshold of the caller's.

import { usageError } from "../errors/errors";
import type { ExitRule, TaskExits } from "../exits/exits";
import type { ExitChoice } from "../settings/exits";
import type { ServedTask } from "./model";
import type { CallExits, ExitsOfCall } from "./segments/pieces";

/** The rule of each task that leaves early. Throws usageError (2) where none of them can, and for one that was named and cannot. */
export function exitRules(
  tasks: readonly ServedTask[],
  choice: ExitChoice | undefined,
  { folder, named }: { readonly folder: string; readonly named: boolean },
): Readonly<Record<string, ExitRule>> {
  if (choice === "off") return {};
  const found = tasks.map((task) => [task.name, ruleOf(task, choice)] as const);
  const rules = Object.fromEntries(found.flatMap(([name, rule]) => (typeof rule === "string" ? [] : [[name, rule]])));
  if (choice === undefined) return rules;
  const problems = found.flatMap(([name, rule]) => (typeof rule === "string" ? [`${name} ${rule}`] : []));
  if (problems.length > 0 && (named || problems.length === tasks.length)) {
    throw usageError(`--exit ${choice}: ${folder}: ${problems.join("; ")}. Leave it out, or give --exit off`);
  }
  return rules;
}

/** The rule of a task, or why it has none. */
function ruleOf({ kind, exits, noExits }: ServedTask, choice: "on" | number | undefined): ExitRule | string {
  const { leaving } = kind;
  if (!leaving) return `is a task of ${kind.name}, which has no early exits`;
  if (!exits || exits.layers.length === 0) return noExits ?? "has no ramps (flexbert exits trains them)";
  const { rule } = exits;
  if (typeof choice === "number") return threshold(exits, Object.keys(leaving.criteria)[0] as string, choice);
  if (!rule) return "has ramps, and no rule by which texts leave (flexbert exits decides one)";
  return rule;
}

/** Below what pays the rule asks no ramp, and its texts tell that they went all the way. */
const threshold = ({ layers, rule }: TaskExits, criterion: string, value: number): ExitRule => ({
  criterion: rule?.criterion ?? criterion,
  threshold: value,
  stops: value < (rule?.pays ?? 0) ? [] : (rule?.stops ?? layers),
});

type Rules = Readonly<Record<string, ExitRule>>;

/** As a call of the model's pieces takes it. */
export const callExits = (tasks: readonly ServedTask[], rules: Rules): ExitsOfCall => boundedExits(tasks, rules, null);

/** The same where every ramp is asked and no row leaves. */
export const stayingExits = (tasks: readonly ServedTask[], rules: Rules): ExitsOfCall =>
  callExits(tasks, Object.fromEntries(Object.entries(rules).map(([name, rule]) => [name, { ...rule, threshold: -1 }])));

/**
 * The same with a bound of each row's own beside its tasks' thresholds: below 0, and below what pays, it does not leave. A task of which no
 * row may leave has none: a call in which nobody leaves runs as if the model had no ramps.
 * @param wants names of tasks, a list for each row
 */
export function rowExits(
  tasks: readonly ServedTask[],
  rules: Rules,
  wants: readonly (readonly string[])[],
  bounds: ArrayLike<number>,
): ExitsOfCall {
  if (Object.keys(rules).length === 0) return {};
  const asked = new Set(
    wants.flatMap((names, row) => names.filter((name) => mayLeave(rules[name], bounds[row] as number))),
  );
  return boundedExits(
    tasks.filter(({ name }) => asked.has(name)),
    rules,
    bounds,
  );
}

/** Its own bound decides, whatever its neighbours may do. */
const mayLeave = (rule: ExitRule | undefined, bound: number): boolean =>
  rule !== undefined && bound >= (rule.pays ?? 0);

function boundedExits(tasks: readonly ServedTask[], rules: Rules, bounds: ArrayLike<number> | null): ExitsOfCall {
  const given = tasks.flatMap((task): (readonly [string, CallExits])[] => {
    const rule = rules[task.name];
    const criterion = rule && task.kind.leaving?.criteria[rule.criterion];
    if (!rule || !criterion) return [];
    const { stops, threshold } = rule;
    const leaves: CallExits["leaves"] = (outputs, row) => {
      const bound = bounds?.[row] ?? Number.POSITIVE_INFINITY;
      return mayLeave(rule, bound) && criterion.doubt(outputs, task) <= Math.min(threshold, bound);
    };
    return [[task.name, { stops, leaves }]];
  });
  return Object.fromEntries(given);
}
