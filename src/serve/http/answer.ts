// Asking on behalf of a request, and a prediction as the API has it: what all routes that predict share.

import type { FastifyReply, FastifyRequest } from "fastify";
import type { Prediction } from "../../tasks/kinds/kind";
import { type Answered, type AskedRow, type AskOptions, ask } from "../ask";
import type { Hold } from "../model/live";
import { predictionOf, type Served, type VersionTask } from "../model/served";
import type { ServerContext } from "./context";
import { invalid } from "./rows";
import { clientSignal, deadlineOf, LONGEST_DEADLINE_MS, noteAnswer } from "./timing";

/** That of `flexbert predict --format jsonl`, with the task's version. */
export type ApiPrediction = Readonly<Record<string, unknown>>;

/** Asks for rows on behalf of a request: by its deadline, and for as long as its client is there. */
export async function askFor(
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  hold: Hold,
  rows: readonly AskedRow[],
  options: Pick<AskOptions, "onLogits" | "onAdmitted">,
): Promise<Answered> {
  const deadline = deadlineOf(request);
  if (Number.isNaN(deadline)) {
    throw invalid(`x-deadline-ms takes milliseconds from above 0 to ${LONGEST_DEADLINE_MS}`);
  }
  const answered = await ask(context, hold, rows, { ...options, deadline, signal: clientSignal(reply) });
  noteAnswer(context, request, rows.length, answered);
  return answered;
}

/** What the log says of a request: texts where it may alone. */
export function noteRequest(
  { logTexts }: ServerContext,
  request: FastifyRequest,
  served: Served,
  rows: readonly AskedRow[],
): void {
  const tasks = new Set(rows.flatMap((row) => row.tasks.map(({ name }) => name)));
  Object.assign(request.trace, { rows: rows.length, tasks: [...tasks], version: served.id });
  if (logTexts) request.trace.texts = rows.flatMap(({ text, pair }) => (pair === null ? text : [text, pair]));
}

export function apiPrediction(task: VersionTask, logits: Float32Array, topK: number | null): ApiPrediction {
  const prediction: Prediction & { readonly version: string } = predictionOf(task, logits);
  if (topK === null || !("scores" in prediction)) return { ...prediction };
  const best = Object.entries(prediction.scores)
    .map(([label, score]) => ({ label, score }))
    .sort((a, b) => b.score - a.score)
    .slice(0, topK);
  return { ...prediction, scores: best };
}
