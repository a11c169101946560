// What functions that write a model's file ask of its check (export/check/model-check.ts).

import type { Engine } from "../engines/engine";
import type { OpenModelFile } from "../engines/model-file";
import { oneLine } from "../errors/errors";
import type { BranchTools } from "../export/check/branches";
import type { CheckTools } from "../export/check/model-check";
import type { Reporter } from "../messages/reporter";
import type { EngineName } from "../settings/engine";
import type { Task } from "../tasks/task";
import type { RunContext } from "../training/tracking/tracker";

/** What opens the file; null, with a warning that says so, where the engine that does is absent. */
export async function openerOrWarning<T = OpenModelFile>(
  file: { readonly name: string; readonly engine: EngineName | null; readonly open: () => Promise<T> },
  reporter: Reporter,
): Promise<T | null> {
  try {
    return await file.open();
  } catch (error) {
    if (file.engine === null) {
      reporter.warn(`${file.name} is written but NOT CHECKED: ${oneLine(error)}`);
      return null;
    }
    const { explainAbsence } = await import("../engines/open.js");
    const { reason, remedy } = explainAbsence(file.engine, error);
    reporter.warn(`${file.name} is written but NOT CHECKED: ${reason}. ${remedy}`);
    return null;
  }
}

/** The tools of a check whose branches run on the engine that is open. */
export function branchTools(
  { engine, signal, reporter }: RunContext<Engine>,
  tasks: readonly Task[],
  glueData: string,
): BranchTools {
  const taskOf = (name: string) => tasks.find((task) => task.name === name);
  return { engine, signal, glueData, taskOf, warn: reporter.warn };
}

/** The same with what opens a model's file. */
export const checkTools = (
  open: OpenModelFile,
  session: RunContext<Engine>,
  tasks: readonly Task[],
  glueData: string,
): CheckTools => ({ ...branchTools(session, tasks, glueData), open });
