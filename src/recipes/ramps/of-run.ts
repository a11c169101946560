// A run's exits from training to rule: the ramps of every seed that was asked for, trained where they are not, and what is decided of
// them.

import { rowLogits } from "../../batches/row-logits";
import type { StoredRun } from "../../checkpoints/runs/run-folder";
import type { Engine } from "../../engines/engine";
import type { Asked } from "../../exits/asked";
import { thresholdGrid } from "../../exits/thresholds";
import { outputSize } from "../../tasks/task";
import { scoreLogits } from "../../training/loop/branch-source";
import type { RunContext } from "../../training/tracking/tracker";
import { type PlannedRamps, trainRamps } from "../exits";
import { exitCurve } from "./curve";
import { type Candidate, type Decision, decideExits } from "./decide";
import { type DecidedOn, writeDecision } from "./decision";
import { judgesOf, type LeavingBy } from "./judge";
import { rampOutputs } from "./outputs";
import { eachRamp } from "./task";

/** Points of the curve, beside the rule's own. */
const POINTS = 16;

export interface DecidedRamps extends DecidedOn {
  readonly plan: PlannedRamps;
  /** Those that were decided on. */
  readonly ramps: StoredRun;
  /** Those of the other seeds. */
  readonly passedOver: readonly StoredRun[];
  readonly decision: Decision;
  /** Whether the decision counts from now on: a look at some of the dev rows, where the run was scored on more, does not. */
  readonly stored: boolean;
  /** In words, what of the rule counts as kept or lost. */
  readonly kept: string;
}

/** Throws Interrupted with the state saved, as {@link trainRamps} does. */
export async function decideRamps(
  plan: PlannedRamps,
  by: LeavingBy,
  asked: Asked,
  context: RunContext<Engine>,
): Promise<DecidedRamps> {
  const { request, data, layers } = plan;
  const { task, base, model } = request;
  const candidates: (Candidate & { readonly ramps: StoredRun })[] = [];
  await trainRamps(plan, context, async (ramps, rows) => {
    const outputs = await rampOutputs(ramps, task, layers, rows, context);
    candidates.push({ ramps, outputs, judged: judgesOf(outputs, task, data, by) });
  });
  const { chosen, decision } = decideExits(candidates, { data, config: base.config, asked });
  const { ramps, outputs, judged } = chosen;
  const width = outputSize(task);
  const own = eachRamp(outputs.dev.data, layers.length, width);
  const scores = layers.map((layer, i) => {
    const logits = own[i] as Float32Array;
    return { layer, score: scoreLogits(task, rowLogits(logits, width), data.dev.labels).score };
  });
  const { exits } = decision;
  const thresholds = new Set([...thresholdGrid(judged.most, POINTS), ...(exits ? [exits.threshold] : [])]);
  const curve = exitCurve(
    ...([outputs.dev, task, data, judged.judges.dev] as const),
    exits?.stops ?? layers,
    [...thresholds].sort((a, b) => a - b),
  );
  const stored = !isLook(plan);
  if (stored) {
    await writeDecision(model, task, { ramps, asked: { criterion: by.name, ...asked }, decision, scores, curve });
  }
  const passedOver = candidates.flatMap((candidate) => (candidate === chosen ? [] : [candidate.ramps]));
  return { plan, ramps, passedOver, decision, stored, kept: by.leaving.kept, scores, curve };
}

/** The rows of a quick look are enough where the run itself was scored on them. */
const isLook = ({ request: { model }, data: { devData } }: PlannedRamps): boolean =>
  devData.limit !== undefined && devData.sha256 !== model.record.devData.sha256;
