// A task as its ramps learn it: all of them at once, outputs side by side, under the same labels. What a score is of them is the
// mean of theirs, which chooses the epoch.

import { rowLogits } from "../../batches/row-logits";
import type { EncoderConfig } from "../../model/config";
import type { Kind } from "../../tasks/kinds/kind";
import type { Metric } from "../../tasks/metrics";
import { outputSize, type Task } from "../../tasks/task";
import { predictions } from "../../training/loop/branch-source";

/** @param layers that the ramps stand on */
export function rampsTask(task: Task, layers: readonly number[]): Task {
  const { kind } = task;
  const width = outputSize(task);
  const ramps: Kind = {
    ...kind,
    head: async (config: EncoderConfig) => {
      const { rampsHead } = await import("../../model/ramps.js");
      return rampsHead(await kind.head(config), layers);
    },
    outputs: () => layers.flatMap((layer) => kind.outputs(task).map((name) => `${layer}/${name}`)),
    // Of the topmost ramp: nobody asks what all say together.
    decide: (logits) => kind.decide(logits.subarray(logits.length - width), task),
    metrics: Object.fromEntries(
      Object.entries(kind.metrics).map(([name, metric]) => [name, meanMetric(metric, task, layers.length)]),
    ),
  };
  return { ...task, kind: ramps };
}

function meanMetric(metric: Metric, task: Task, ramps: number): Metric {
  return {
    ...metric,
    of(_, targets, labels, logits) {
      const values = eachRamp(Float32Array.from(logits), ramps, outputSize(task)).map((own) =>
        metric.of(predictions(task, rowLogits(own, outputSize(task))), targets, labels, own),
      );
      return values.reduce((sum, value) => sum + value, 0) / ramps;
    },
  };
}

/** Logits [rows, outputs] of each ramp, of [rows, ramps x outputs]. */
export function eachRamp(logits: Float32Array, ramps: number, width: number): Float32Array[] {
  const rows = logits.length / (ramps * width);
  return Array.from({ length: ramps }, (_, ramp) => {
    const own = new Float32Array(rows * width);
    for (let row = 0; row < rows; row++) {
      const at = (row * ramps + ramp) * width;
      own.set(logits.subarray(at, at + width), row * width);
    }
    return own;
  });
}
