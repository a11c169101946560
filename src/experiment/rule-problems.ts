// What an experiment file's select, search and merge say that cannot be.

import { configKey } from "../options/option";
import type { Problem } from "../options/yaml-file";
import { parseSelect, tasksOfSelect } from "../selection/candidates";
import { namesFile } from "../selection/selection-file";
import { selectRules } from "../settings/selection";

type Raw = Readonly<Record<string, unknown>> | null;

/** Exactly one rule; limits go together, and with a price or a share to keep. */
export function ruleProblems(given: readonly string[]): Problem[] {
  const rules = Object.values(selectRules).map(({ flag }) => configKey(flag));
  const has = rules.filter((rule) => given.includes(rule));
  const goals = has.filter((rule) => !rule.startsWith("max_"));
  const lone = goals.includes("threshold") && has.length > 1;
  if (has.length > 0 && goals.length < 2 && !lone) return [];
  if (has.length > 0) return [{ path: ["select"], message: `${has.join(" and ")} exclude each other: keep one` }];
  return [{ path: ["select"], message: `takes one of ${rules.join(", ")}; it has 0` }];
}

/** A budget is of a search by budget, which cannot do without. */
export function searchProblems(content: unknown): Problem[] {
  const { search, budget } = (content ?? {}) as { search?: unknown; budget?: unknown };
  if (search === "auto" && budget === undefined) {
    return [{ path: ["search"], message: "auto spends a budget: add one, such as budget: 2h" }];
  }
  if (budget !== undefined && search !== "auto") {
    return [{ path: ["budget"], message: "is spent by search: auto alone: add that, or leave the budget out" }];
  }
  return [];
}

/** merge would say the same, hours later. */
export function choiceProblems(
  content: unknown,
  tasks: readonly string[],
  outside: (name: string) => string,
): string[] {
  const choice = ((content as Raw)?.["merge"] as Raw)?.["select"];
  if (typeof choice !== "string" || choice === "" || namesFile(choice)) return [];
  try {
    parseSelect(choice);
  } catch (error) {
    return [(error as Error).message.replace(/^--select /, "")];
  }
  return tasksOfSelect(choice)
    .filter((name) => !tasks.includes(name))
    .map(outside);
}
