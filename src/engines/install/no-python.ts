// What an install says where there is no Python whose pip it can ask.

import type { UnfitPython } from "./pip";
import type { Tool } from "./system-packages";

/** One that can be made to do comes before another from the package manager: `step` is null where only that is left. */
export function explainNoPython(found: readonly UnfitPython[]): {
  readonly problem: string;
  readonly step: string | null;
  readonly tool: Tool;
} {
  const reasons = found.map(({ why }) => why).join("; ");
  return {
    problem: `there is no Python 3.9 or later with pip 22.2 or later${reasons ? ` (${reasons})` : ""}`,
    step: found.find(({ remedy }) => remedy !== null)?.remedy ?? null,
    tool: found.some(({ lacksPip }) => lacksPip) ? "pip" : "python",
  };
}
