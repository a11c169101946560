// POST /v1/predict: rows to predictions, at once or as a stream.

import type { FastifyInstance } from "fastify";
import { type ApiPrediction, apiPrediction, askFor, noteRequest } from "./answer";
import type { ServerContext } from "./context";
import { readPredictRequest } from "./rows";
import { streamPredictions } from "./stream";
import { timingHeaders } from "./timing";

export function predictRoutes(app: FastifyInstance, context: ServerContext): void {
  app.post("/v1/predict", async (request, reply) => {
    const hold = context.live.hold();
    const { served } = hold;
    try {
      const asked = readPredictRequest(request.body, served, context.limits);
      noteRequest(context, request, served, asked.rows);
      reply.header("x-model-version", served.id);
      if (asked.stream) return await streamPredictions(context, request, reply, hold, asked);
      const predictions = asked.rows.map((): Record<string, ApiPrediction> => ({}));
      const answered = await askFor(context, request, reply, hold, asked.rows, {
        onLogits(row, task, logits) {
          (predictions[row] as Record<string, ApiPrediction>)[task.name] = apiPrediction(task, logits, asked.topK);
        },
      });
      reply.headers(timingHeaders(answered));
      const model = { version: served.id };
      // In the order of the model's tasks, not in that in which they came.
      const rows = asked.rows.map(({ id, tasks }, i) => ({
        ...(id === undefined ? {} : { id }),
        predictions: Object.fromEntries(tasks.map(({ name }) => [name, predictions[i]?.[name]])),
      }));
      return asked.single ? { model, predictions: rows[0]?.predictions } : { model, rows };
    } finally {
      hold.release();
    }
  });
}
