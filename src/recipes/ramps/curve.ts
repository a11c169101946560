// Score against layers on dev as the threshold moves.

import { rowLogits } from "../../batches/row-logits";
import { doubtsAt, type ExitJudge, leavesAt, measure } from "../../exits/thresholds";
import { outputSize, type Task } from "../../tasks/task";
import { scoreLogits } from "../../training/loop/branch-source";
import type { TaskData } from "../trial/task-data";
import type { SplitOutputs } from "./outputs";

/** What dev rows do at a threshold. */
export interface CurvePoint {
  readonly threshold: number;
  /** Encoder layers that a row takes on average. */
  readonly layers: number;
  /** A fraction; null where it is undefined. */
  readonly score: number | null;
}

/** From no exits on, which is threshold 0. */
export function exitCurve(
  dev: SplitOutputs,
  task: Task,
  { dev: { labels } }: Pick<TaskData, "dev">,
  judge: ExitJudge,
  stops: readonly number[],
  thresholds: readonly number[],
): CurvePoint[] {
  const doubts = doubtsAt(stops, dev, judge);
  const width = outputSize(task);
  return [0, ...thresholds].map((threshold) => {
    const logits = new Float32Array(dev.rows * width);
    for (let row = 0; row < dev.rows; row++) {
      const at = threshold === 0 ? -1 : leavesAt(doubts, row, threshold);
      const own = at < 0 ? dev.full : (dev.ramps.get(stops[at] as number) as SplitOutputs["full"]);
      logits.set(own(row), row * width);
    }
    const { score } = scoreLogits(task, rowLogits(logits, width), labels);
    return { threshold, layers: threshold === 0 ? dev.top : measure(doubts, threshold).layers, score };
  });
}
