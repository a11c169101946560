// Requests that no client of good will sends, from a seed: bytes for a socket, and what they are about.

import fc from "fast-check";

export interface Hostile {
  readonly bytes: Buffer;
  /** Sent in pieces, with turns of the event loop between them. */
  readonly cuts: readonly number[];
  /** What the client does when it has sent all: waits for the answer, ends its half, or is gone. */
  readonly after: "wait" | "end" | "gone";
}

const paths = [
  ...["/v1/predict", "/v2/models/mood/infer", "/v2/models/verdict/infer", "/v2/models/mood/versions/00000000/infer"],
  ...["/admin/reload", "/admin/rollback", "/v1/model", "/metrics", "/healthz", "/", "/openapi.json", "/v2/models/%00"],
  ...[
    "/../../etc/passwd",
    "/v2/models/__proto__",
    "/v2/models/constructor/infer",
    "/%ff",
    `/${"a".repeat(9000)}`,
    "*",
    "",
  ],
];

const words = [
  "text",
  "pair",
  "rows",
  "tasks",
  "top_k",
  "offset_unit",
  "stream",
  "inputs",
  "outputs",
  "name",
  "shape",
  "datatype",
  "data",
];
const text = fc.oneof(
  fc.constantFrom("a good film", "", "\u0000", "\ud800", "\u202e", "é".repeat(50), "[MASK] [SEP]", "a ".repeat(3000)),
  fc.string({ unit: "binary", maxLength: 60 }),
);
const value: fc.Arbitrary<unknown> = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { depthSize: "small" },
    fc.oneof(
      text,
      fc.integer(),
      fc.double(),
      fc.boolean(),
      fc.constant(null),
      fc.constantFrom("mood", "BYTES", "__proto__"),
    ),
    fc.array(tie("tree"), { maxLength: 5 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...words, "__proto__", "toString", "constructor"), text), tie("tree"), {
      maxKeys: 6,
    }),
  ),
})).tree;

const tasks = fc.option(fc.array(fc.constantFrom("mood", "verdict", "closeness", "none", ""), { maxLength: 3 }), {
  nil: undefined,
});
const v1 = fc.record(
  {
    ...{ text: fc.oneof(text, value), pair: fc.oneof(text, value), tasks: fc.oneof(tasks, value) },
    ...{ top_k: fc.oneof(fc.integer(), value), stream: fc.oneof(fc.boolean(), value) },
    offset_unit: fc.oneof(fc.constantFrom("codepoint", "utf16"), value),
    rows: fc.oneof(
      fc.array(fc.record({ text, pair: text, tasks }, { requiredKeys: ["text"] }), { maxLength: 9 }),
      value,
    ),
  },
  { requiredKeys: [] },
);
const tensor = fc.record(
  {
    ...{ name: fc.constantFrom("text", "pair", "ids"), datatype: fc.constantFrom("BYTES", "FP32") },
    ...{
      shape: fc.oneof(fc.array(fc.integer({ min: -2, max: 5 }), { maxLength: 3 }), value),
      data: fc.oneof(fc.array(text, { maxLength: 4 }), value),
    },
    parameters: fc.record(
      { binary_data_size: fc.oneof(fc.integer({ min: -5, max: 2 ** 40 }), value) },
      { requiredKeys: [] },
    ),
  },
  { requiredKeys: ["name"] },
);
const v2 = fc.record(
  { id: value, inputs: fc.oneof(fc.array(tensor, { maxLength: 3 }), value), outputs: value, parameters: value },
  { requiredKeys: ["inputs"] },
);

const json = fc.oneof(v1, v2, value).map((body) => Buffer.from(JSON.stringify(body) ?? ""));
const body = fc.oneof(
  { weight: 6, arbitrary: json },
  // Of good JSON with some bytes changed, or its end gone.
  {
    weight: 3,
    arbitrary: fc.tuple(json, fc.nat(), fc.nat(255)).map(([bytes, at, byte]) => {
      const damaged = Buffer.from(bytes);
      if (damaged.length > 0) damaged[at % damaged.length] = byte;
      return damaged;
    }),
  },
  { weight: 2, arbitrary: fc.tuple(json, fc.nat()).map(([bytes, at]) => bytes.subarray(0, at % (bytes.length + 1))) },
  { weight: 2, arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom("[", '{"a":', '"\\', "1e999", "[[[[{").map((part) => Buffer.from(part.repeat(3000))),
  },
);

const headerValue = fc.constantFrom(
  "",
  "0",
  "-1",
  "99999999999999999999",
  "NaN",
  "text/plain",
  "application/json",
  "gzip",
  "\u00ff",
  "a".repeat(500),
  "Bearer x",
  "identity",
  "5",
);
const header = fc.tuple(
  fc.constantFrom(
    "x-request-id",
    "x-deadline-ms",
    "inference-header-content-length",
    "authorization",
    "content-encoding",
    "expect",
    "host",
    "x-forwarded-for",
    "accept-encoding",
    "connection",
    "upgrade",
    "range",
  ),
  headerValue,
);

const request = fc.record({
  method: fc.constantFrom(
    "POST",
    "POST",
    "POST",
    "POST",
    "GET",
    "PUT",
    "DELETE",
    "OPTIONS",
    "HEAD",
    "TRACE",
    "post",
    "P O",
    "CONNECT",
  ),
  path: fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom("/v1/predict", "/v2/models/mood/infer") },
    { weight: 2, arbitrary: fc.constantFrom(...paths) },
  ),
  type: fc.oneof(
    { weight: 5, arbitrary: fc.constant("application/json") },
    fc.constantFrom(
      "application/octet-stream",
      "text/plain",
      "",
      "application/json; charset=utf-16",
      "multipart/form-data; boundary=x",
    ),
  ),
  headers: fc.array(header, { maxLength: 3 }),
  body,
  /** Of the length that is told: right, or off by some. */
  off: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.integer({ min: -20, max: 20 })),
  framing: fc.oneof({ weight: 6, arbitrary: fc.constant("length") }, fc.constantFrom("chunked", "both", "none")),
  version: fc.oneof({ weight: 9, arbitrary: fc.constant("1.1") }, fc.constantFrom("1.0", "2.0", "9")),
});

function written({
  method,
  path,
  type,
  headers,
  body,
  off,
  framing,
  version,
}: typeof request extends fc.Arbitrary<infer T> ? T : never): Buffer {
  const length = Math.max(0, body.length + off);
  const lines = [
    `${method} ${path} HTTP/${version}`,
    "host: localhost",
    ...(type === "" ? [] : [`content-type: ${type}`]),
    ...headers.map(([name, given]) => `${name}: ${given}`),
    ...(framing === "length" || framing === "both" ? [`content-length: ${length}`] : []),
    ...(framing === "chunked" || framing === "both" ? ["transfer-encoding: chunked"] : []),
  ];
  const head = Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  if (framing !== "chunked") return Buffer.concat([head, body]);
  return Buffer.concat([head, Buffer.from(`${length.toString(16)}\r\n`), body, Buffer.from("\r\n0\r\n\r\n")]);
}

/** One request or several in a row (pipelined), or bytes that are none. */
export const hostile: fc.Arbitrary<Hostile> = fc.record({
  bytes: fc.oneof(
    { weight: 12, arbitrary: request.map(written) },
    {
      weight: 2,
      arbitrary: fc.array(request.map(written), { minLength: 2, maxLength: 4 }).map((parts) => Buffer.concat(parts)),
    },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
  ),
  cuts: fc.oneof({ weight: 4, arbitrary: fc.constant([]) }, fc.array(fc.nat(), { maxLength: 3 })),
  after: fc.oneof(
    { weight: 5, arbitrary: fc.constant("wait" as const) },
    fc.constantFrom("end" as const, "gone" as const),
  ),
});
