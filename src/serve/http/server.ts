// The HTTP server: what every request goes through, and its routes.

import { randomUUID } from "node:crypto";
import type { RequestListener, Server } from "node:http";
import fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from "fastify";
import type { Refusal } from "../schedule/queue";
import { adminRoutes } from "./admin";
import { arrivalOf } from "./arrivals";
import { readBodies } from "./body";
import type { ServerContext } from "./context";
import { allowOrigins } from "./cors";
import { type ApiError, apiError, ApiError as Failure, refuse, sendError } from "./errors";
import { healthRoutes } from "./health";
import { modelRoutes } from "./model";
import { openApiRoute } from "./openapi";
import { pageRoutes } from "./page";
import { predictRoutes } from "./predict";
import { v2Routes } from "./v2";

export interface HttpOptions {
  /** Origins of pages that may ask; none by default. */
  readonly origins: readonly string[];
  /** None by default. */
  readonly logger?: FastifyBaseLogger | undefined;
  /** The server that hands requests over; without one, requests are injected. */
  readonly take?: ((handler: RequestListener) => Server) | undefined;
}

export function buildServer(context: ServerContext, { origins, logger, take }: HttpOptions): FastifyInstance {
  const app = fastify({
    bodyLimit: context.limits.maxBodyBytes,
    ...(logger ? { loggerInstance: logger } : {}),
    // Its own lines have the whole address, which may hold anything.
    // A logger for each request costs more than its line, which names the request itself.
    childLoggerFactory: (own) => own,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: ({ headers }) => requestId(headers["x-request-id"]),
    return503OnClosing: false, // `onRequest` says it, as JSON
    frameworkErrors: (error, request, reply) =>
      void sendError(request, reply as unknown as FastifyReply, apiError(error)),
    routerOptions: { maxParamLength: 200 },
    ...(take ? { serverFactory: take } : {}),
  }) as FastifyInstance;
  app.decorateRequest("trace");
  app.decorateRequest("arrived", 0);
  readBodies(app);
  // First, so that a page can read why it was refused.
  if (origins.length > 0) allowOrigins(app, origins);
  everyRequest(app, context);
  predictRoutes(app, context);
  modelRoutes(app, context);
  v2Routes(app, context);
  adminRoutes(app, context);
  healthRoutes(app, context);
  openApiRoute(app);
  pageRoutes(app);
  return app;
}

function everyRequest(app: FastifyInstance, context: ServerContext): void {
  const { auth, drain, metrics } = context;
  const onEnd = (request: FastifyRequest, reply: FastifyReply) => {
    drain.closed();
    const ms = performance.now() - request.arrived;
    const { trace } = request;
    const route = request.routeOptions.url ?? "none";
    const status = trace.aborted ? 499 : reply.raw.statusCode;
    metrics.answered(route, status, ms, trace.code ?? null);
    request.log.info(
      { reqId: request.id, method: request.method, route, status, ms: Math.round(ms * 100) / 100, ...trace },
      "answered",
    );
  };
  app.addHook("onRequest", async (request, reply) => {
    request.arrived = arrivalOf(request.raw);
    request.trace = {};
    drain.opened();
    // Not Fastify's onResponse, which knows nothing of clients that go.
    reply.raw.once("close", () => {
      if (!reply.raw.writableEnded) request.trace.aborted = true;
      onEnd(request, reply);
    });
    reply.header("x-request-id", request.id);
    if (drain.isDraining) reply.header("connection", "close");
    auth.check(request);
    const refusal = refuseEarly(context, request);
    if (!refusal) return;
    refuse(request, reply, refusal);
    return reply;
  });
  const fail = (request: FastifyRequest, reply: FastifyReply, error: ApiError) => {
    request.trace ??= {};
    request.trace.code = error.code;
    // Of a client's mistake the code alone: the message may quote what it sent.
    if (error.status >= 500) request.log.error({ reqId: request.id, err: error.cause ?? error }, error.code);
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
function refuseEarly({ drain, queue, cache, live }: ServerContext, request: FastifyRequest): Refusal | null {
  if (request.method !== "POST" || !asksForPredictions(request)) return null;
  if (drain.isDraining) {
    throw new Failure("draining", "the server is about to end, and answers what it took before", {
      "retry-after": "1",
    });
  }
  // What the cache knows is never refused, and only the body says what that is.
  if (cache !== null) return null;
  return queue.full(live.current.guessBytes(Number(request.headers["content-length"] ?? 0)));
}

const asksForPredictions = ({ routeOptions }: FastifyRequest) =>
  routeOptions.url === "/v1/predict" || routeOptions.url?.endsWith("/infer") === true;

/** A client's own, where it is fit for logs and headers. */
function requestId(given: string | string[] | undefined): string {
  return typeof given === "string" && /^[\w.:-]{1,128}$/.test(given) ? given : randomUUID();
}
