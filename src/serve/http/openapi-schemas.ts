// The schemas of openapi.ts: what bodies and answers are.

import { offsetUnits } from "../../tasks/offset-unit";

type Schema = Readonly<Record<string, unknown>>;

const ref = (name: string) => ({ $ref: `#/components/schemas/${name}` });
const string = { type: "string" };
const number = { type: "number" };
const count = { type: "integer", minimum: 0 };
const list = (items: Schema) => ({ type: "array", items });
const map = (values: Schema) => ({ type: "object", additionalProperties: values });
const orNull = (type: string) => ({ type: [type, "null"] });
/** All of its properties are there, unless they are named. */
const object = (properties: Readonly<Record<string, Schema>>, ...optional: readonly string[]) => {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: "object", properties, ...(required.length > 0 && { required }) };
};
const closed = (schema: Schema) => ({ ...schema, additionalProperties: false });

const scores = { oneOf: [map(number), list(object({ label: string, score: number }))] };
const version = { type: "string", pattern: "^[0-9a-f]{8}$" };
const exit_layer = { ...count, description: "Encoder layers that the text passed, where it might have left early" };
const tasks = { type: "array", items: string, minItems: 1 };
const predictions = map(ref("Prediction"));
const model = object({ version });
const exit = {
  oneOf: [{ enum: ["on", "off"] }, { type: "number", minimum: 0 }],
  description:
    "Whether texts leave early by the model's rules, or how much doubt may be left, at most what those allow",
};
const exits = {
  ...object(
    {
      criterion: string,
      threshold: {
        ...number,
        description: "A text leaves where no more doubt is left; a request's exit is at most this",
      },
      pays: {
        ...number,
        description: "Below this doubt leaving is predicted to spare no time: with a smaller exit no text leaves",
      },
      stops: { ...list(count), description: "Encoder layers that a text has passed where it may leave" },
      promise: {
        ...object({ keep: number, confidence: number }),
        description: "The share that is kept, and how surely",
      },
      budget: { ...number, description: "Encoder layers that a text may take on average; of a rule without a promise" },
      measured: {
        ...object({ rows: count, counted: count, lost: number, layers: number, top: count, left: list(count) }),
        description: "What dev rows did: layers that a row took on average, of top",
      },
    },
    ...["promise", "budget", "pays"],
  ),
  description: "By what a task's texts leave early; absent where they do not",
};
const tensor = (data: Schema) =>
  object(
    { name: string, datatype: string, shape: list(count), data, parameters: { type: "object" } },
    "data",
    "parameters",
  );

export const schemas: Readonly<Record<string, Schema>> = {
  Error: {
    description: "Under /v2 `error` is the message, beside `code` and `request_id`",
    oneOf: [
      object({ error: object({ code: string, message: string, request_id: string }) }),
      object({ error: string, code: string, request_id: string }),
    ],
  },
  PredictRequest: closed({
    ...object(
      {
        text: { ...string, description: "A text of its own, instead of rows" },
        pair: { type: ["string", "null"], description: "The second text of a pair" },
        rows: { type: "array", minItems: 1, items: ref("Row") },
        tasks: { ...tasks, description: "Every task that fits the input where it is left out" },
        top_k: { type: ["integer", "null"], minimum: 1, description: "Scores as a list of so many labels, best first" },
        offset_unit: { enum: [...offsetUnits], default: "codepoint", description: "What offsets of spans count" },
        exit: { ...exit, description: `${exit.description}. By default on where there is a rule` },
        stream: { type: "boolean", default: false },
      },
      ...["text", "pair", "rows", "tasks", "top_k", "offset_unit", "exit", "stream"],
    ),
    oneOf: [{ required: ["text"] }, { required: ["rows"] }],
  }),
  Row: closed(
    object({ text: string, pair: orNull("string"), tasks, id: { type: ["string", "number"] } }, "pair", "tasks", "id"),
  ),
  Prediction: {
    oneOf: [
      object({ label: string, score: number, scores, version, exit_layer }, "exit_layer"),
      object({ value: number, version, exit_layer }, "exit_layer"),
      object({ labels: list(string), scores, version, exit_layer }, "exit_layer"),
      object({
        spans: {
          ...list(object({ label: string, start: count, end: count, text: string, score: number })),
          description: "Parts of the text, from start to before end, in code points or as offset_unit says",
        },
        version,
      }),
    ],
  },
  Predicted: object({ model, predictions }),
  PredictedRows: object({ model, rows: list(object({ id: { type: ["string", "number"] }, predictions }, "id")) }),
  Model: object({
    version,
    tags: list(string),
    base: object({ name: string, layers: count }),
    precision: { enum: ["float32", "int8"] },
    tasks: list(
      object(
        {
          ...{ name: string, kind: string, inputs: { enum: ["single", "pair"] }, labels: list(string) },
          ...{ fork: { ...orNull("integer"), description: "Shared layers under it; null: none" }, layers: count },
          ...{ version, maxLength: count, exits },
        },
        "exits",
      ),
    ),
  }),
  Stats: object({
    requests_per_second: number,
    texts_per_second: number,
    p50_ms: orNull("number"),
    p99_ms: orNull("number"),
    queue: object({ rows: count, tokens: count, delay_ms: number }),
    versions: list(object({ version, requests: count })),
    swaps: count,
    refused: {
      oneOf: [{ type: "null" }, object({ version: orNull("string"), reason: string, time: string })],
    },
    processes: list(object({ pid: count, alive: { type: "boolean" }, rss_bytes: count, restarts: count })),
    draining: { type: "boolean" },
  }),
  History: object({
    current: version,
    history: list(
      object({
        ...{ version, time: string, command: string, note: orNull("string"), tags: list(string) },
        ...{ isCurrent: { type: "boolean" }, isThere: { type: "boolean" } },
        tasks: { oneOf: [{ type: "null" }, list(string)] },
      }),
    ),
  }),
  RollbackRequest: closed(object({ to: { ...string, description: "A version, or a tag" } }, "to")),
  Changed: object(
    {
      ...{ version, changed: { type: "boolean" }, from: version },
      ...{ tasks: list(string), removed: list(string), ms: number },
    },
    ...["from", "tasks", "removed", "ms"],
  ),
  Status: object({ status: string }),
  ServerMetadata: object({ name: string, version: string, extensions: list(string) }),
  ModelMetadata: object({
    ...{ name: string, versions: list(version), platform: string },
    ...{ inputs: list(ref("TensorMetadata")), outputs: list(ref("TensorMetadata")) },
  }),
  TensorMetadata: object({ name: string, datatype: string, shape: list({ type: "integer" }) }),
  ModelReady: object({ name: string, ready: { type: "boolean" } }),
  InferRequest: object(
    {
      id: string,
      parameters: object(
        {
          exit: { ...exit, description: `${exit.description}. By default off` },
          binary_data_output: { type: "boolean", default: false },
        },
        "exit",
        "binary_data_output",
      ),
      inputs: { type: "array", minItems: 1, items: tensor({ type: "array" }) },
      outputs: list(
        object(
          { name: { enum: ["logits", "words", "label", "exit_layer"] }, parameters: { type: "object" } },
          "parameters",
        ),
      ),
    },
    ...["id", "parameters", "outputs"],
  ),
  InferResponse: object(
    { model_name: string, model_version: version, id: string, outputs: list(tensor({ type: "array" })) },
    "id",
  ),
};
