// The headers of an answer that say how long it took, and what its line of the log says.

import type { FastifyReply, FastifyRequest } from "fastify";
import type { Answered } from "../ask";
import type { ServerContext } from "./context";

/** What a request's line in the log has beside route and status. */
export interface Trace {
  rows?: number;
  tasks?: readonly string[];
  version?: string;
  known?: number;
  tokenized?: number;
  queued?: number;
  ran?: number;
  code?: string;
  texts?: readonly string[];
  aborted?: true;
}

declare module "fastify" {
  interface FastifyRequest {
    trace: Trace;
    /** When its head had been read, as performance.now() counts. */
    arrived: number;
  }
}

const ms = (value: number) => value.toFixed(2);

export const timingHeaders = ({ times }: Answered) => ({
  "x-queue-time": ms(times.queued),
  "x-inference-time": ms(times.ran),
  "x-tokenization-time": ms(times.tokenized),
});

/** A request for predictions was answered. */
export function noteAnswer(
  { metrics }: ServerContext,
  request: FastifyRequest,
  rows: number,
  { times, known }: Answered,
): void {
  Object.assign(request.trace, { known, ...rounded(times) });
  metrics.predicted(rows, known, times, performance.now() - request.arrived);
}

const rounded = (times: Answered["times"]) =>
  Object.fromEntries(Object.entries(times).map(([name, value]) => [name, Math.round(value * 100) / 100]));

/** Aborted when the connection closes before the answer is sent. */
export function clientSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  const { raw } = reply;
  raw.once("close", () => {
    if (!raw.writableEnded) controller.abort();
  });
  return controller.signal;
}

/** x-deadline-ms as performance.now() counts, from the arrival of the request on. */
export function deadlineOf(request: FastifyRequest): number | undefined {
  const header = request.headers["x-deadline-ms"];
  if (header === undefined) return undefined;
  const given = Number(header);
  if (!(given > 0 && given <= LONGEST_DEADLINE_MS) || typeof header !== "string" || header.trim() === "")
    return Number.NaN;
  return request.arrived + given;
}

export const LONGEST_DEADLINE_MS = 3_600_000;
