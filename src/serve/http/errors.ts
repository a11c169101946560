// What the API answers where it does not do what it was asked: a code for programs, a message that names the thing, the
// value and the next step, and the request's id. Never a path, a stack or a token.

import type { FastifyError, FastifyReply, FastifyRequest } from "fastify";
import type { ErrorAnswer } from "../../client/api";
import { shown } from "../../errors/printable";
import { ClientGone, DeadlinePassed } from "../ask";
import { InferenceLost } from "../inference/inference";
import { VersionRefused } from "../model/live";
import { QueueFull, type Refusal } from "../schedule/queue";

/** Codes by the status that each comes with. */
const statuses = {
  bad_request: 400,
  bad_json: 400,
  no_token: 401,
  forbidden: 403,
  unknown_route: 404,
  unknown_task: 404,
  unknown_version: 404,
  method_not_allowed: 405,
  pinned: 409,
  version_refused: 409,
  too_large: 413,
  unsupported_media_type: 415,
  wrong_host: 421,
  invalid: 422,
  task_does_not_fit: 422,
  queue_full: 429,
  client_gone: 499,
  internal: 500,
  draining: 503,
  not_ready: 503,
  inference_lost: 503,
  not_changed: 503,
  deadline_passed: 504,
} as const;

export type ErrorCode = keyof typeof statuses;

export class ApiError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    code: ErrorCode,
    message: string,
    headers: Readonly<Record<string, string>> = {},
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.code = code;
    this.status = statuses[code];
    this.headers = headers;
  }
}

/** For who asks again: whole seconds, at least one. */
const retryAfter = (ms: number) => ({ "retry-after": String(Math.max(1, Math.ceil(ms / 1000))) });

/** A refusal as it is answered. */
export const queueFull = ({ message, retryAfterMs }: Refusal) =>
  ({ code: "queue_full", message: `the server is busy: ${message}`, headers: retryAfter(retryAfterMs) }) as const;

/** Whatever was thrown, as what is answered. What nobody expected is `internal`, and says nothing more. */
export function apiError(thrown: unknown): ApiError {
  const options = { cause: thrown };
  if (thrown instanceof ApiError) return thrown;
  if (thrown instanceof QueueFull) {
    const { code, message, headers } = queueFull(thrown);
    return new ApiError(code, message, headers);
  }
  if (thrown instanceof DeadlinePassed) {
    return new ApiError("deadline_passed", "x-deadline-ms passed before the answer was there. Give more, or none");
  }
  if (thrown instanceof ClientGone) return new ApiError("client_gone", "the client closed the connection");
  if (thrown instanceof InferenceLost) {
    const message = "the process that computed the answer died, and so did the one that tried again. Try again";
    return new ApiError("inference_lost", message, retryAfter(0), options);
  }
  if (thrown instanceof VersionRefused) {
    const { version, reason } = thrown.refusal;
    const message = `${version === null ? "the folder" : `version ${version}`} is refused, and the current one stays: ${withoutPaths(reason)}`;
    return new ApiError("version_refused", message, {}, options);
  }
  return (
    fastifyError(thrown as Partial<FastifyError>) ??
    new ApiError("internal", "the server failed; its log says why, under this request_id", {}, options)
  );
}

function fastifyError({ code, statusCode }: Partial<FastifyError>): ApiError | null {
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE")
    return new ApiError("too_large", "the body is larger than this server takes. Send fewer rows");
  if (code === "FST_ERR_CTP_INVALID_MEDIA_TYPE") return mediaTypeError();
  if (statusCode === undefined || statusCode >= 500 || statusCode < 400) return null;
  return new ApiError(
    "bad_request",
    "the request is not one that this server reads: check its address, headers and length",
  );
}

export const mediaTypeError = () =>
  new ApiError("unsupported_media_type", "the body must be application/json in UTF-8, without content-encoding");

/** A message of flexbert's for who does not know the machine: of a path its last part. */
export const withoutPaths = (message: string): string =>
  message.replace(/(?:[A-Za-z]:)?[\w.~-]*[\\/][^\s"':;,]*/g, lastPart);

const lastPart = (found: string) =>
  found
    .replace(/[\\/]+$/, "")
    .split(/[\\/]/)
    .at(-1) as string;

/** The error as JSON. Under /v2 `error` is the message, as the Open Inference Protocol has it. */
export function errorBody(error: Pick<ApiError, "code" | "message">, requestId: string, url: string) {
  if (url !== "/v2" && !url.startsWith("/v2/")) return errorAnswer(error, requestId);
  const { code, message } = error;
  return { error: message, code, request_id: requestId };
}

export const errorAnswer = ({ code, message }: Pick<ApiError, "code" | "message">, requestId: string): ErrorAnswer => ({
  error: { code, message, request_id: requestId },
});

/** As {@link sendError}, and with nothing of Fastify's between: of what is asked at several times what can be done, most is refused. */
export function refuse(request: FastifyRequest, reply: FastifyReply, refusal: Refusal): void {
  const { code, message, headers } = queueFull(refusal);
  request.trace.code = code;
  const body = JSON.stringify(errorBody({ code, message }, request.id, request.url));
  reply.hijack();
  reply.raw.writeHead(statuses[code], {
    ...(reply.getHeaders() as Record<string, string>),
    ...headers,
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(body),
  });
  reply.raw.end(body);
}

export function sendError(request: FastifyRequest, reply: FastifyReply, error: ApiError): FastifyReply {
  return reply
    .code(error.status)
    .headers(error.headers)
    .send(errorBody(error, request.id, request.url));
}

/** A value that a client gave, on one line and not endless. */
export const given = (value: unknown): string => shown(value);
