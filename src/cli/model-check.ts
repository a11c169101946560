// What commands say of a model's file and of its check.

import type { ModelCheck } from "../export/check/model-check";
import type { OnnxReport } from "../export/onnx/onnx";
import type { PiecesCheck } from "../export/pieces/pieces-check";
import { formatBytes } from "../files/atomic";

/** What the check found, in words. */
export function describeCheck(check: ModelCheck | null): string {
  if (!check) return "not checked";
  const rows = check.batches.reduce((sum, batch) => sum + batch.rows, 0);
  const sources = new Set(check.tasks.map((task) => (task.rows === "sample texts" ? task.rows : "dev rows")));
  const difference = check.largestDifference.toExponential(1);
  return `largest difference from the branches alone ${difference} on ${rows} ${[...sources].join(" and ")}`;
}

/** One line: size, tasks, what the check found. */
export function describeOnnx({ file, bytes, weights, check }: OnnxReport, tasks: readonly { name: string }[]): string {
  const outputs = tasks.map(({ name }) => name).join(", ");
  const size = `${formatBytes(bytes)}${weights === "blobs" ? " (its weights stay in blobs/)" : ""}`;
  return `${file}: ${size}, outputs ${outputs}; ${describeCheck(check)}`;
}

/** One line for each form of the weights: which tasks' pieces were run, what the check found. */
export const describePieces = (checks: readonly PiecesCheck[]): string[] =>
  checks.map((check) => {
    const names = check.tasks.map(({ task }) => task).join(", ");
    const which = check.leaving ? `by which texts of ${names} leave early` : `of ${names}`;
    return `pieces in ${check.weights} ${which}: ${describeCheck(check)}`;
  });
