// Answers as server-sent events: the plan, each task's prediction as soon as its layers ran, and what ran.

import type { FastifyReply, FastifyRequest } from "fastify";
import type { RanPiece, StreamEvents } from "../../client/api";
import { ownLayers } from "../../model/place";
import type { Answered } from "../ask";
import type { BatchRun } from "../inference/inference";
import type { Hold } from "../model/live";
import { askFor } from "./answer";
import type { ServerContext } from "./context";
import { apiError, errorAnswer } from "./errors";
import { apiPrediction } from "./prediction";
import type { PredictRequest } from "./rows";

/**
 * Throws what comes before the request is admitted: from then on an error is an event.
 * The connection is the stream's, and no reply of Fastify's.
 */
export async function streamPredictions(
  context: ServerContext,
  request: FastifyRequest,
  reply: FastifyReply,
  hold: Hold,
  asked: PredictRequest,
): Promise<FastifyReply> {
  const { raw } = reply;
  const { rows } = asked;
  const { served } = hold;
  let begun = false;
  const send = <Name extends keyof StreamEvents>(event: Name, content: StreamEvents[Name]) => {
    raw.write(`event: ${event}\ndata: ${JSON.stringify(content)}\n\n`);
  };
  const began = performance.now();
  const at = () => round(performance.now() - began);
  const tasks = served.tasks.filter((task) => rows.some((row) => row.tasks.includes(task)));
  const onAdmitted = () => {
    begun = true;
    reply.hijack();
    raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no", // nginx would hold events back
    });
    const plan = tasks.map(({ name, fork, layers, version }) => ({ name, fork, layers, version }));
    send("plan", { tasks: plan, depth: Math.max(0, ...tasks.map(({ fork }) => fork ?? 0)) });
  };
  try {
    const answered = await askFor(context, request, reply, hold, rows, {
      onAdmitted,
      onLogits(row, task, logits, layer) {
        const prediction = apiPrediction(task, logits, rows[row] as (typeof rows)[number], asked, layer);
        send("prediction", { row, task: task.name, prediction, at_ms: at() });
      },
    });
    const runs = await answered.ended;
    send("done", {
      model: { version: served.id },
      rows: rows.length,
      layers_run: layersRun(answered.passed),
      pieces: piecesOf(runs),
      ms: at(),
    });
  } catch (error) {
    if (!begun) throw error;
    const told = apiError(error);
    request.trace.code = told.code;
    if (told.status >= 500) request.log.error({ reqId: request.id, err: told.cause ?? told }, told.code);
    send("error", errorAnswer(told, request.id));
  }
  raw.end();
  return reply;
}

const round = (ms: number) => Math.round(ms * 100) / 100;

/** Encoder layers that ran for a request: shared ones once, and none where texts had left below it. */
function layersRun(passed: Answered["passed"]): number {
  let [shared, own] = [0, 0];
  for (const [task, layers] of passed) {
    const [from] = ownLayers(task);
    shared = Math.max(shared, Math.min(from, layers));
    own += Math.max(0, layers - from);
  }
  return shared + own;
}

/** Pieces of all batches, each once. */
function piecesOf(runs: readonly BatchRun[]): RanPiece[] {
  const pieces = new Map<string, { piece: string; rows: number; tokens: number; layers: number; ms: number }>();
  for (const { piece, rows, tokens, layers, ms } of runs.flatMap((run) => run.pieces)) {
    const known = pieces.get(piece) ?? { piece, rows: 0, tokens: 0, layers, ms: 0 };
    known.rows += rows;
    known.tokens += tokens;
    known.ms = round(known.ms + ms);
    pieces.set(piece, known);
  }
  return [...pieces.values()];
}
