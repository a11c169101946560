// The API as OpenAPI 3.1 describes it, at /openapi.json. test/serve/http/openapi.test.ts has a validator read it, and compares
// its paths with the routes and its schemas with answers.

import type { FastifyInstance } from "fastify";
import { packageVersion } from "../../files/version";
import { schemas } from "./openapi-schemas";

type Json = Readonly<Record<string, unknown>>;

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });
const json = (schema: Json) => ({ "application/json": { schema } });
const answer = (description: string, schema: Json, headers?: Json) => ({
  description,
  ...(headers && { headers }),
  content: json(schema),
});
const errors = (...statuses: readonly (keyof typeof failures)[]) =>
  Object.fromEntries(statuses.map((status) => [status, answer(failures[status], ref("Error"))]));

const failures = {
  400: "No JSON, or no request that the server reads",
  401: "No token, or one that nobody knows",
  403: "The token is none of an admin's, or there is no admin token",
  404: "The model has no such task, or no such version",
  409: "The version cannot be served, and the current one stays; or the server is pinned",
  413: "Too large a body, too many rows or too long a text",
  415: "No application/json in UTF-8",
  422: "Not what the address takes, or a task that does not fit the input",
  429: "More than the server can do: try again after Retry-After seconds",
  503: "Draining, not ready, or the process that computed the answer died twice",
  504: "x-deadline-ms passed",
} as const;

const ofPrediction = errors(400, 401, 404, 413, 415, 422, 429, 503, 504);
const milliseconds = (description: string) => ({ description, schema: { type: "string", examples: ["1.23"] } });
const timing = {
  "x-request-id": { description: "The client's, or the server's own", schema: { type: "string" } },
  "x-model-version": { description: "The version of the folder", schema: { type: "string" } },
  "x-queue-time": milliseconds("Milliseconds in the queue"),
  "x-inference-time": milliseconds("Milliseconds from the last row's batch on"),
  "x-tokenization-time": milliseconds("Milliseconds of reading texts into tokens"),
};
const deadline = {
  name: "x-deadline-ms",
  in: "header",
  description: "When the answer is of no use any more, from the arrival of the request on",
  schema: { type: "number", exclusiveMinimum: 0, maximum: 3_600_000 },
};
const parameter = (name: string, description: string) => ({
  ...{ name, in: "path", required: true, description },
  schema: { type: "string" },
});
const task = parameter("task", "A task of the model");
const version = parameter("version", "The task's version: the first 8 digits of its branch's hash");

const open = { security: [] };
const admin = { security: [{ admin: [] }] };

function modelPaths(prefix: string, parameters: readonly Json[], suffix: string): Json {
  return {
    [prefix]: {
      parameters,
      get: {
        operationId: `modelMetadata${suffix}`,
        summary: "A task's inputs and outputs",
        responses: { 200: answer("Metadata", ref("ModelMetadata")), ...errors(401, 404) },
      },
    },
    [`${prefix}/ready`]: {
      parameters,
      get: {
        operationId: `modelReady${suffix}`,
        summary: "Whether a task is served",
        responses: {
          200: answer("It is", ref("ModelReady")),
          ...errors(401, 404),
          503: answer("It is not", ref("ModelReady")),
        },
      },
    },
    [`${prefix}/infer`]: {
      parameters: [...parameters, deadline],
      post: {
        operationId: `modelInfer${suffix}`,
        summary: "Logits and labels of texts, or of pairs",
        requestBody: {
          required: true,
          content: {
            ...json(ref("InferRequest")),
            "application/octet-stream": {
              schema: { type: "string", description: "JSON with binary tensors behind it" },
            },
          },
        },
        responses: { 200: answer("Output tensors", ref("InferResponse"), timing), ...ofPrediction },
      },
    },
  };
}

const paths: Json = {
  "/v1/predict": {
    parameters: [deadline],
    post: {
      operationId: "predict",
      summary: "What the tasks say of a text, a pair, or rows of them",
      description:
        "Without `tasks`, every task that takes such an input. With `stream`, server-sent events: `plan`, a `prediction` as soon as a task's layers ran, then `done` or `error`.",
      requestBody: { required: true, content: json(ref("PredictRequest")) },
      responses: {
        200: {
          description: "Predictions",
          headers: timing,
          content: {
            ...json({ oneOf: [ref("Predicted"), ref("PredictedRows")] }),
            "text/event-stream": { schema: { type: "string" } },
          },
        },
        ...ofPrediction,
      },
    },
  },
  "/v1/model": {
    get: {
      operationId: "model",
      summary: "What is served",
      responses: { 200: answer("The current version and its tasks", ref("Model")), ...errors(401) },
    },
  },
  "/v1/stats": {
    get: {
      operationId: "stats",
      summary: "Figures of the last ten seconds",
      responses: { 200: answer("Figures", ref("Stats")), ...errors(401) },
    },
  },
  "/v1/history": {
    get: {
      operationId: "history",
      summary: "The versions of the folder",
      ...admin,
      responses: { 200: answer("Oldest first", ref("History")), ...errors(401, 403) },
    },
  },
  "/admin/reload": {
    post: {
      operationId: "reload",
      summary: "Looks at the folder now, and serves what is current there",
      ...admin,
      responses: { 200: answer("What is served now", ref("Changed")), ...errors(401, 403, 409) },
    },
  },
  "/admin/rollback": {
    post: {
      operationId: "rollback",
      summary: "Makes another version the folder's current one, by default the one before, and serves it",
      ...admin,
      requestBody: { content: json(ref("RollbackRequest")) },
      responses: { 200: answer("What is served now", ref("Changed")), ...errors(400, 401, 403, 404, 409, 415, 422) },
    },
  },
  "/healthz": {
    get: {
      operationId: "alive",
      summary: "Whether the process lives",
      ...open,
      responses: { 200: answer("It does", ref("Status")) },
    },
  },
  "/readyz": {
    get: {
      operationId: "ready",
      summary: "Whether it takes requests",
      ...open,
      responses: { 200: answer("It does", ref("Status")), ...errors(503) },
    },
  },
  "/metrics": {
    get: {
      operationId: "metrics",
      summary: "Metrics for Prometheus",
      responses: {
        200: { description: "Prometheus's text format", content: { "text/plain": { schema: { type: "string" } } } },
        ...errors(401),
      },
    },
  },
  "/openapi.json": {
    get: {
      operationId: "openapi",
      summary: "This document",
      ...open,
      responses: { 200: answer("OpenAPI 3.1", { type: "object" }) },
    },
  },
  "/v2": {
    get: {
      operationId: "serverMetadata",
      summary: "The Open Inference Protocol's server",
      responses: { 200: answer("Name, version, extensions", ref("ServerMetadata")), ...errors(401) },
    },
  },
  "/v2/health/live": {
    get: {
      operationId: "v2Live",
      summary: "Whether the process lives",
      ...open,
      responses: { 200: answer("It does", { type: "object" }) },
    },
  },
  "/v2/health/ready": {
    get: {
      operationId: "v2Ready",
      summary: "Whether it takes requests",
      ...open,
      responses: { 200: answer("It does", { type: "object" }), 503: answer("It does not", { type: "object" }) },
    },
  },
  ...modelPaths("/v2/models/{task}", [task], ""),
  ...modelPaths("/v2/models/{task}/versions/{version}", [task, version], "Version"),
};

export const openApi = () => ({
  openapi: "3.1.0",
  info: {
    title: "flexbert serve",
    version: packageVersion(),
    description: "Many text tasks over one BERT, in one pass.",
    license: { name: "Apache-2.0", identifier: "Apache-2.0" },
  },
  security: [{ token: [] }, {}],
  paths,
  components: {
    schemas,
    securitySchemes: {
      token: {
        type: "http",
        scheme: "bearer",
        description: "Where the server has tokens: flexbert serve --new-token NAME",
      },
      admin: { type: "http", scheme: "bearer", description: "flexbert serve --new-token NAME --admin" },
    },
  },
});

export function openApiRoute(app: FastifyInstance): void {
  const document = JSON.stringify(openApi());
  app.get("/openapi.json", { config: { access: "open" } }, async (_, reply) =>
    reply.type("application/json; charset=utf-8").send(document),
  );
}
