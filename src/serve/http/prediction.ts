// Predictions as the API has them: one, and those of a whole request.

import type { PredictAnswer, RowsAnswer, TaskAnswer } from "../../client/api";
import type { Row } from "../../predict/encode";
import type { Prediction } from "../../tasks/kinds/kind";
import { predictionOf, type Served, type VersionTask } from "../model/served";
import type { PredictRequest } from "./rows";

/** That of `flexbert predict --format jsonl`, with the task's version. */
export function apiPrediction(
  task: VersionTask,
  logits: Float32Array,
  row: Row,
  { topK, offsetUnit }: Pick<PredictRequest, "topK" | "offsetUnit">,
  layer?: number,
): TaskAnswer {
  const prediction: Prediction & { readonly version: string } = predictionOf(task, logits, row, offsetUnit, layer);
  if (topK === null || !("scores" in prediction)) return { ...prediction } as TaskAnswer;
  const best = Object.entries(prediction.scores)
    .map(([label, score]) => ({ label, score }))
    .sort((a, b) => b.score - a.score)
    .slice(0, topK);
  return { ...prediction, scores: best } as TaskAnswer;
}

export interface Collected {
  onLogits(row: number, task: VersionTask, logits: Float32Array, layer?: number): void;
  /** When all are there: tasks in the model's order, not in that in which they came. */
  answer(): PredictAnswer | RowsAnswer;
}

export function collectAnswers(request: PredictRequest, { id }: Served): Collected {
  const { rows, single } = request;
  const predictions = rows.map((): Record<string, TaskAnswer> => ({}));
  return {
    onLogits(row, task, logits, layer) {
      (predictions[row] as Record<string, TaskAnswer>)[task.name] = apiPrediction(
        task,
        logits,
        rows[row] as Row,
        request,
        layer,
      );
    },
    answer() {
      const model = { version: id };
      const answered = rows.map((row, i) => ({
        ...(row.id === undefined ? {} : { id: row.id }),
        predictions: Object.fromEntries(row.tasks.map(({ name }) => [name, predictions[i]?.[name] as TaskAnswer])),
      }));
      return single ? { model, predictions: answered[0]?.predictions ?? {} } : { model, rows: answered };
    },
  };
}
