// Asking on behalf of a request: what all routes that predict share.

import type { FastifyReply, FastifyRequest } from "fastify";
import { type Answered, type AskedRow, type AskOptions, ask } from "../ask";
import type { Hold } from "../model/live";
import type { Served } from "../model/served";
import type { ServerContext } from "./context";
import { invalid } from "./rows";
import { clientSignal, deadlineOf, LONGEST_DEADLINE_MS, noteAnswer } from "./timing";

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
