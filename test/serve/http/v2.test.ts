import { describe, expect, test } from "@jest/globals";
import { type FakeOptions, fakeExits, fakeServer, version } from "../fake";

async function server(options: FakeOptions = {}) {
  const fake = await fakeServer(options);
  fake.inference.automatic = true;
  const get = async (url: string) => {
    const { statusCode, body } = await fake.app.inject({ method: "GET", url });
    return [statusCode, JSON.parse(body)];
  };
  const infer = (payload: object | string | Buffer, headers: Record<string, string> = {}, task = "mood") =>
    fake.app.inject({ method: "POST", url: `/v2/models/${task}/infer`, payload, headers });
  return { ...fake, get, infer };
}

const text = (data: unknown, shape: unknown = [2]) => ({ name: "text", datatype: "BYTES", shape, data });

/** BYTES elements, each behind its length. */
const elements = (...values: readonly (string | Buffer)[]) =>
  Buffer.concat(
    values.flatMap((value) => {
      const bytes = Buffer.from(value as string);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
const HEADER = "inference-header-content-length";

/** A body with binary tensors, and the header that goes with it. */
function binary(json: object, ...parts: readonly Buffer[]) {
  const head = Buffer.from(JSON.stringify(json));
  const headers = { [HEADER]: String(head.length), "content-type": "application/octet-stream" };
  return [Buffer.concat([head, ...parts]), headers] as const;
}

describe("what is there", () => {
  test("the server, health, a task as a model, and its version", async () => {
    const { get, close } = await server();
    expect(await get("/v2")).toEqual([
      200,
      { name: "flexbert", version: expect.any(String), extensions: ["binary_tensor_data"] },
    ]);
    expect(await get("/v2/health/live")).toEqual([200, { live: true }]);
    expect(await get("/v2/health/ready")).toEqual([200, { ready: true }]);
    const metadata = {
      ...{ name: "match", versions: ["c1000000"], platform: "flexbert" },
      inputs: [
        { name: "text", datatype: "BYTES", shape: [-1] },
        { name: "pair", datatype: "BYTES", shape: [-1] },
      ],
      outputs: [
        { name: "logits", datatype: "FP32", shape: [-1, 2] },
        { name: "label", datatype: "BYTES", shape: [-1] },
      ],
    };
    expect(await get("/v2/models/match")).toEqual([200, metadata]);
    expect(await get("/v2/models/match/versions/c1000000")).toEqual([200, metadata]);
    expect(await get("/v2/models/match/versions/c1000000/ready")).toEqual([200, { name: "match", ready: true }]);
    expect(await get("/v2/models/match/versions/99999999")).toEqual([
      404,
      {
        error: 'match has the version c1000000, and not "99999999"',
        code: "unknown_version",
        request_id: expect.any(String),
      },
    ]);
    expect(await get("/v2/models/none/ready")).toEqual([
      404,
      {
        error: 'this model has no task "none". It has mood, topic, match, close',
        code: "unknown_task",
        request_id: expect.any(String),
      },
    ]);
    await close();
  });

  test("is not ready while it drains", async () => {
    const { get, drain, infer, close } = await server();
    drain.begin();
    expect(await get("/v2/health/ready")).toEqual([503, { ready: false }]);
    expect(await get("/v2/health/live")).toEqual([200, { live: true }]);
    const answer = await infer({ inputs: [text(["film"], [1])] });
    expect([answer.statusCode, answer.json().code, answer.headers["connection"]]).toEqual([503, "draining", "close"]);
    await close();
  });
});

describe("infer", () => {
  test("texts as JSON, flat or with a dimension of one", async () => {
    const { infer, close } = await server();
    const answer = await infer({ id: "q", inputs: [text(["film", "good film"])] });
    expect(answer.json()).toEqual({
      ...{ model_name: "mood", model_version: "a1000000", id: "q" },
      outputs: [
        { name: "logits", datatype: "FP32", shape: [2, 2], data: [0.3, 0.17, 0.4, 0.17].map(Math.fround) },
        { name: "label", datatype: "BYTES", shape: [2], data: ["bad", "bad"] },
      ],
    });
    expect(answer.headers["x-inference-time"]).toMatch(/^\d/);
    const nested = await infer({ inputs: [text([["film"], ["good film"]], [2, 1])], outputs: [{ name: "label" }] });
    expect(nested.json().outputs).toEqual([{ name: "label", datatype: "BYTES", shape: [2], data: ["bad", "bad"] }]);
    await close();
  });

  test("pairs, values as their numbers, several labels as a JSON list", async () => {
    const { infer, close } = await server();
    const inputs = [text(["film"], [1]), { ...text(["good"], [1]), name: "pair" }];
    expect((await infer({ inputs }, {}, "close")).json().outputs[1].data).toEqual([String(Math.fround(0.5))]);
    const labels = (await infer({ inputs: inputs.slice(0, 1) }, {}, "topic")).json().outputs[1].data;
    expect(labels).toEqual(['["a","b","c"]']);
    await close();
  });

  test("binary tensors in and out, as Triton's client sends them", async () => {
    const { infer, close } = await server();
    const size = (bytes: Buffer) => ({
      name: "text",
      datatype: "BYTES",
      shape: [2],
      parameters: { binary_data_size: bytes.length },
    });
    const data = elements("film", "gute Fünf");
    const [body, headers] = binary({ inputs: [size(data)], parameters: { binary_data_output: true } }, data);
    const answer = await infer(body, headers);
    expect(answer.statusCode).toBe(200);
    const length = Number(answer.headers[HEADER]);
    const { outputs } = JSON.parse(answer.rawPayload.subarray(0, length).toString());
    expect(outputs).toEqual([
      { name: "logits", datatype: "FP32", shape: [2, 2], parameters: { binary_data_size: 16 } },
      { name: "label", datatype: "BYTES", shape: [2], parameters: { binary_data_size: 14 } },
    ]);
    const rest = answer.rawPayload.subarray(length);
    expect([rest.readFloatLE(0), rest.readFloatLE(4)]).toEqual([0.3, 0.17].map(Math.fround));
    expect(rest.subarray(16)).toEqual(elements("bad", "bad"));
    const [mixed, mixedHeaders] = binary(
      { inputs: [size(data)], outputs: [{ name: "label" }, { name: "logits", parameters: { binary_data: true } }] },
      data,
    );
    const second = await infer(mixed, mixedHeaders);
    const json = JSON.parse(second.rawPayload.subarray(0, Number(second.headers[HEADER])).toString());
    expect(json.outputs[0]).toEqual({ name: "label", datatype: "BYTES", shape: [2], data: ["bad", "bad"] });
    expect(second.rawPayload.length - Number(second.headers[HEADER])).toBe(16);
    await close();
  });

  test("a body without a type is JSON, as tritonclient sends it; of another type it is refused, and everywhere else", async () => {
    const { app, infer, close } = await server();
    const body = Buffer.from(JSON.stringify({ inputs: [text(["film"], [1])] }));
    const answer = await infer(body);
    expect([answer.statusCode, answer.json().model_name]).toEqual([200, "mood"]);
    expect((await infer(body, { "content-type": "text/plain" })).statusCode).toBe(415);
    const payload = Buffer.from('{"text": "film"}');
    expect((await app.inject({ method: "POST", url: "/v1/predict", payload })).statusCode).toBe(415);
    await close();
  });

  const two = elements("film", "good");
  const sized = (size: unknown, shape: unknown = [2]) => ({
    ...text(undefined, shape),
    parameters: { binary_data_size: size },
  });
  const json = { "content-type": "application/json" };
  test.each<[string, readonly [object | string | Buffer, Record<string, string>], number, RegExp]>([
    ["no inputs", [{}, json], 422, /inputs is undefined/],
    [
      "an input of another name",
      [{ inputs: [{ ...text(["a", "b"]), name: "ids" }] }, json],
      422,
      /called "ids": it takes text and pair/,
    ],
    [
      "another datatype",
      [{ inputs: [{ ...text([1, 2]), datatype: "INT64" }] }, json],
      422,
      /datatype "INT64", and takes BYTES/,
    ],
    ["a shape that is none", [{ inputs: [text(["a"], [1, 2])] }, json], 422, /shape \[1,2\]/],
    ["a negative shape", [{ inputs: [text(["a"], [-1])] }, json], 422, /shape \[-1\]/],
    ["data of another shape", [{ inputs: [text(["a"])] }, json], 422, /text has 1 elements in data, and a shape of 2/],
    ["data that is no text", [{ inputs: [text(["a", 2])] }, json], 422, /holds 2, not a string/],
    [
      "parameters that are none",
      [{ inputs: [text(["a"], [1])], parameters: [1] }, json],
      422,
      /parameters of the body is \[1\]/,
    ],
    [
      "a switch of another kind",
      [{ inputs: [text(["a"], [1])], parameters: { binary_data_output: "true" } }, json],
      422,
      /binary_data_output is "true", not true or false/,
    ],
    [
      "a classification",
      [{ inputs: [text(["a"], [1])], outputs: [{ name: "logits", parameters: { classification: 2 } }] }, json],
      422,
      /outputs\[0\] asks for a classification.*ask for label/,
    ],
    ["a text twice", [{ inputs: [text(["a"], [1]), text(["a"], [1])] }, json], 422, /two inputs text/],
    ["no text", [{ inputs: [{ ...text(["a"], [1]), name: "pair" }] }, json], 422, /no input text/],
    [
      "a pair for single texts",
      [{ inputs: [text(["a"], [1]), { ...text(["a"], [1]), name: "pair" }] }, json],
      422,
      /leave the input pair out/,
    ],
    [
      "pairs of another number",
      [{ inputs: [text(["a"], [1]), { ...text(["a", "b"]), name: "pair" }] }, json],
      422,
      /text has 1 rows, and pair 2/,
    ],
    [
      "another output",
      [{ inputs: [text(["a"], [1])], outputs: [{ name: "scores" }] }, json],
      422,
      /there are logits and label/,
    ],
    ["too many rows", [{ inputs: [text(Array(7).fill("a"), [7])] }, json], 413, /7 rows/],
    ["a shape without end", [{ inputs: [text([], [1e15])] }, json], 413, /1000000000000000 rows/],
    ["too long a text", [{ inputs: [text(["a".repeat(201)], [1])] }, json], 413, /201 characters/],
    ["a size without its header", [{ inputs: [sized(4)] }, json], 422, /no header inference-header-content-length/],
    ["too few bytes", binary({ inputs: [sized(two.length + 1)] }, two), 422, /no tensor of 2 BYTES in 17 bytes/],
    [
      "bytes that nobody names",
      binary({ inputs: [sized(two.length)] }, two, two),
      422,
      /16 bytes behind the last tensor/,
    ],
    [
      "an element that ends behind its tensor",
      binary({ inputs: [sized(8, [1])] }, Buffer.from([200, 0, 0, 0, 1, 2, 3, 4])),
      422,
      /no tensor of 1 BYTES/,
    ],
    ["more elements than rows", binary({ inputs: [sized(two.length, [1])] }, two), 422, /no tensor of 1 BYTES/],
    ["fewer elements than rows", binary({ inputs: [sized(two.length, [3])] }, two), 422, /no tensor of 3 BYTES/],
    [
      "bytes that are no UTF-8",
      binary({ inputs: [sized(6, [1])] }, elements(Buffer.from([0xff, 0xfe]))),
      422,
      /not UTF-8/,
    ],
    ["a header beyond the body", [Buffer.from("{}"), { [HEADER]: "99", ...json }], 400, /99.*of a body of 2 bytes/],
    ["a header that is no number", [Buffer.from("{}"), { [HEADER]: "-1", ...json }], 400, /"-1"/],
    ["JSON that is none before its tensors", [Buffer.from("{x}"), { [HEADER]: "3", ...json }], 400, /no JSON/],
  ])("%s", async (_, [body, headers], status, message) => {
    const { infer, close, inference } = await server();
    const answer = await infer(body, headers);
    expect([answer.statusCode, answer.json().error]).toEqual([status, expect.stringMatching(message)]);
    expect(inference.batches.length).toBe(0);
    await close();
  });
});

describe("a task whose texts may leave early", () => {
  const leaving = { versions: [version("11111111", "a1", [], fakeExits)] };

  test("goes all its way, unless the request's parameters ask", async () => {
    const { infer, inference, get, close } = await server(leaving);
    const [, { outputs }] = await get("/v2/models/mood");
    expect(outputs[2]).toEqual({ name: "exit_layer", datatype: "INT32", shape: [-1] });
    const whole = (await infer({ inputs: [text(["film", "good film"])] })).json();
    expect(whole.outputs[2]).toEqual({ name: "exit_layer", datatype: "INT32", shape: [2], data: [3, 3] });
    inference.layer = 1;
    const on = { parameters: { exit: "on" }, inputs: [text(["film"], [1])], outputs: [{ name: "exit_layer" }] };
    expect((await infer(on)).json().outputs).toEqual([
      { name: "exit_layer", datatype: "INT32", shape: [1], data: [1] },
    ]);
    await infer({ ...on, parameters: { exit: 0.125 } });
    expect(inference.batches.map(({ rows }) => rows.map(({ exit }) => exit))).toEqual([[-1, -1], [undefined], [0.125]]);
    await close();
  });

  test("refuses what its rule does not allow, and what a task without a rule is asked", async () => {
    const { infer, close } = await server(leaving);
    const inputs = [text(["film"], [1])];
    const refused = async (exit: unknown, task = "mood") => {
      const { statusCode, body } = await infer({ parameters: { exit }, inputs }, {}, task);
      return [statusCode, JSON.parse(body).error];
    };
    expect(await refused(0.5)).toEqual([422, "exit is 0.5, and mood allows at most 0.25"]);
    expect(await refused("early")).toEqual([422, 'exit is "early", not "on", "off" or a number of at least 0']);
    expect(await refused("on", "topic")).toEqual([422, 'exit is "on", and this model has no early exits for topic']);
    expect((await infer({ parameters: { exit: "off" }, inputs }, {}, "topic")).statusCode).toBe(200);
    await close();
  });
});
