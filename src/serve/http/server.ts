// The HTTP server: what every request goes through, and its routes.

import { randomUUID } from "node:crypto";
import type { Socket } from "node:net";
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { adminRoutes } from "./admin";
import { readBodies } from "./body";
import type { ServerContext } from "./context";
import { allowOrigins } from "./cors";
import { type ApiError, apiError, ApiError as Failure, sendError } from "./errors";
import { healthRoutes } from "./health";
import { modelRoutes } from "./model";
import { openApiRoute } from "./openapi";
import { predictRoutes } from "./predict";
import { v2Routes } from "./v2";

export interface HttpOptions {
  /** Certificate and key, PEM; null for plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Origins of pages that may ask; none by default. */
  readonly origins: readonly string[];
  /** Lines of JSON; null for none. */
  readonly log: { readonly level: string; readonly stream: { write(line: string): void } } | null;
}

/** Ends what sends its request slower than this, in ms. */
const REQUEST_MS = 30_000;
/** Longer than those of load balancers (60 s of AWS's and nginx's), so that they end connections and not we. */
const KEEP_ALIVE_MS = 75_000;

export function buildServer(
  context: ServerContext & { readonly drain: DrainCounter },
  options: HttpOptions,
): FastifyInstance {
  const app = fastify({
    bodyLimit: context.limits.maxBodyBytes,
    logger: options.log ?? false,
    disableRequestLogging: true, // its lines have the whole address, which may hold anything
    genReqId: ({ headers }) => requestId(headers["x-request-id"]),
    requestTimeout: REQUEST_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: "idle",
    return503OnClosing: false, // `onRequest` says it, as JSON
    clientErrorHandler: onClientError,
    frameworkErrors: (error, request, reply) =>
      void sendError(request, reply as unknown as FastifyReply, apiError(error)),
    routerOptions: { maxParamLength: 200 },
    ...(options.tls ? { https: { ...options.tls } } : {}),
  }) as FastifyInstance;
  app.decorateRequest("trace");
  app.decorateRequest("arrived", 0);
  readBodies(app);
  everyRequest(app, context);
  if (options.origins.length > 0) allowOrigins(app, options.origins);
  predictRoutes(app, context);
  modelRoutes(app, context);
  v2Routes(app, context);
  adminRoutes(app, context);
  healthRoutes(app, context);
  openApiRoute(app);
  return app;
}

/** Counts requests that have no answer yet. */
export interface DrainCounter {
  readonly isDraining: boolean;
  readonly open: number;
  opened(): void;
  closed(): void;
}

function everyRequest(app: FastifyInstance, context: ServerContext & { readonly drain: DrainCounter }): void {
  const { auth, drain, metrics } = context;
  app.addHook("onRequest", async (request, reply) => {
    request.arrived = performance.now();
    request.trace = {};
    drain.opened();
    reply.header("x-request-id", request.id);
    if (drain.isDraining) reply.header("connection", "close");
    auth.check(request);
    refuseEarly(context, request);
  });
  app.addHook("onResponse", async (request, reply) => {
    drain.closed();
    const ms = performance.now() - request.arrived;
    const { trace } = request;
    const route = request.routeOptions.url ?? "none";
    const { statusCode: status } = reply.raw;
    metrics.answered(route, trace.aborted ? 499 : status, ms, trace.code ?? null);
    request.log.info({ method: request.method, route, status, ms: Math.round(ms * 100) / 100, ...trace }, "answered");
  });
  const fail = (request: FastifyRequest, reply: FastifyReply, error: ApiError) => {
    request.trace ??= {};
    request.trace.code = error.code;
    // Of a client's mistake the code alone: the message may quote what it sent.
    if (error.status >= 500) request.log.error({ err: error.cause ?? error }, error.code);
    return sendError(request, reply, error);
  };
  app.setErrorHandler((error, request, reply) => fail(request, reply, apiError(error)));
  app.setNotFoundHandler((request, reply) => {
    const [path = ""] = request.url.split("?");
    const allowed = ["GET", "POST"].filter((method) => app.hasRoute({ method: method as "GET", url: path }));
    if (allowed.length === 0) {
      return fail(
        request,
        reply,
        new Failure("unknown_route", "there is nothing at this address. /openapi.json lists what there is"),
      );
    }
    const message = `this address takes ${allowed.join(", ")}`;
    return fail(request, reply, new Failure("method_not_allowed", message, { allow: allowed.join(", ") }));
  });
}

/** Before a body is read, where it cannot change the answer. */
function refuseEarly({ drain, queue, cache }: ServerContext, request: FastifyRequest): void {
  if (request.method !== "POST" || !asksForPredictions(request)) return;
  if (drain.isDraining) {
    throw new Failure("draining", "the server is about to end, and answers what it took before", {
      "retry-after": "1",
    });
  }
  // What the cache knows is never refused, and only the body says what that is.
  if (cache === null) queue.requireRoom();
}

const asksForPredictions = ({ routeOptions }: FastifyRequest) =>
  routeOptions.url === "/v1/predict" || routeOptions.url?.endsWith("/infer") === true;

/** A client's own, where it is fit for logs and headers. */
function requestId(given: string | string[] | undefined): string {
  return typeof given === "string" && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
}

const phrases: Readonly<Record<number, string>> = {
  400: "Bad Request",
  408: "Request Timeout",
  413: "Payload Too Large",
  431: "Request Header Fields Too Large",
};

/** What is no HTTP, or too slow: there is no request to answer yet. */
function onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) return void socket.destroy();
  const status =
    { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408, HPE_CHUNK_EXTENSIONS_OVERFLOW: 413 }[error.code ?? ""] ??
    400;
  const message =
    status === 408 ? "the request was not whole in time" : "this is no HTTP request that the server reads";
  const body = JSON.stringify({ error: { code: "bad_request", message, request_id: randomUUID() } });
  socket.end(
    `HTTP/1.1 ${status} ${phrases[status]}\r\nconnection: close\r\ncontent-type: application/json; charset=utf-8\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}
