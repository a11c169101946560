// POST /v1/predict: rows to predictions, at once or as a stream.

import type { FastifyInstance } from "fastify";
import { askFor, noteRequest } from "./answer";
import type { ServerContext } from "./context";
import { collectAnswers } from "./prediction";
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
      const { onLogits, answer } = collectAnswers(asked, served);
      const answered = await askFor(context, request, reply, hold, asked.rows, { onLogits });
      reply.headers(timingHeaders(answered));
      return answer();
    } finally {
      hold.release();
    }
  });
}
