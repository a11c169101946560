// select --cross: what the choice scores on dev rows that it was not made on.

import type { BaseDescription } from "../../checkpoints/bases/base";
import type { StoredRun } from "../../checkpoints/runs/run-folder";
import { formatScore } from "../../messages/quantities";
import { defaultOf } from "../../options/settings";
import type { Decision } from "../../selection/candidate";
import type { Crossed, CrossInput } from "../../selection/cross";
import type { Rule } from "../../selection/rule";
import { comparableRuns, teachingRun } from "../../selection/teacher";
import { workOptions } from "../../settings/work";
import type { Call } from "../caller";
import { type EngineValues, openSession, type Session } from "../session";
import { type CandidatePool, candidatesOf, type PoolRule, type StoredTask } from "./candidates";

interface CrossValues extends EngineValues, PoolRule {
  readonly glueData: string;
  readonly checkpoints: string;
}

/**
 * Predicts the dev rows with every run that counts, where that is not done yet, and chooses on halves.
 * Throws dataError (3) where the dev rows are not those that scored the runs.
 */
export async function crossOf(
  { stored, description }: CandidatePool,
  rule: Rule,
  made: readonly Decision[],
  values: CrossValues,
  call: Call,
): Promise<Crossed> {
  const { crossSelect } = await import("../../selection/cross.js");
  let session: Session | null = null;
  const open = async () => {
    session ??= await openSession(values, call);
    return session;
  };
  try {
    const inputs: CrossInput[] = [];
    for (const task of stored) inputs.push(await inputOf(task, description as BaseDescription, values, open, call));
    return crossSelect(inputs, (runs) => candidatesOf(runs, values).pool, rule, values.chooseBy, made);
  } finally {
    (session as Session | null)?.close();
  }
}

async function inputOf(
  { task, runs }: StoredTask,
  base: BaseDescription,
  values: CrossValues,
  open: () => Promise<Session>,
  call: Call,
): Promise<CrossInput> {
  const { devLogits, devRowsOf } = await import("../../predict/dev-logits.js");
  const { scoreHalves } = await import("../../predict/half-scores.js");
  const { differs } = await import("../../selection/cross.js");
  const counted = countedRuns({ task, runs }, values);
  const rows = await devRowsOf(task, counted[0] as StoredRun, values.glueData);
  const { checkpoints } = values;
  const work = { checkpoints, cacheBudget: defaultOf(workOptions.cacheBudget) };
  const scores = scoreHalves(rows, await devLogits(counted, rows, base, work, open), counted);
  for (const { folder, record } of counted) {
    const here = scores.get(folder)?.whole ?? null;
    if (!differs(here, record.score)) continue;
    call.reporter.warn(
      `${folder} scores ${formatScore(here, "undefined")} on its dev rows here, and ${formatScore(record.score, "undefined")} ` +
        "in its run.json: another engine or precision scored it then",
    );
  }
  return { runs, scores };
}

/** The runs from which halves choose: all that were scored on the rows of the task's teacher. */
function countedRuns({ runs: { teachers, students } }: StoredTask, { chooseBy, joint }: PoolRule): StoredRun[] {
  const [newest = []] = comparableRuns(teachers);
  const teacher = teachingRun(newest, chooseBy);
  const [first] = newest;
  const comparable = students.filter(
    ({ record }) =>
      record.state === "finished" &&
      record.devData.sha256 === first?.record.devData.sha256 &&
      (joint || record.teacher?.sha256 === teacher?.record.sha256),
  );
  return [...newest, ...comparable];
}
