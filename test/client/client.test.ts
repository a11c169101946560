// The client against a small server of the test's own, which answers as it is told: refusals and their retries, streams that
// are whole or cut, signals, times, and answers that are none.

import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { PredictAnswer } from "../../src/client/api";
import { FlexbertClient } from "../../src/client/client";
import { FlexbertError } from "../../src/client/errors";
import { sentEvents } from "../../src/client/events";
import { retryAfterOf, waitBefore } from "../../src/client/retries";

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: unknown;
}

type Answering = (response: ServerResponse, request: IncomingMessage) => void;

let server: Server;
let url: string;
let seen: Seen[];
/** One for each request; the last one answers all that follow. */
let answers: Answering[];

beforeEach(async () => {
  [seen, answers] = [[], []];
  server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    const { method, url, headers } = request;
    seen.push({ method, url, headers, body: text === "" ? null : JSON.parse(text) });
    (answers.length > 1 ? answers.shift() : answers[0])?.(response, request);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const json =
  (body: unknown, status = 200, headers: Record<string, string> = {}): Answering =>
  (response) => {
    response.writeHead(status, { "content-type": "application/json", "x-request-id": "r-1", ...headers });
    response.end(JSON.stringify(body));
  };

const refusal = (status: number, code: string, headers: Record<string, string> = {}) =>
  json({ error: { code, message: `${code}: wait`, request_id: "r-7" } }, status, headers);

const predicted: PredictAnswer = {
  model: { version: "4e3d5a46" },
  predictions: { rte: { label: "entailment", score: 0.98, scores: { entailment: 0.98 }, version: "ab12cd34" } },
};

/** What a call throws. */
async function thrown(call: Promise<unknown>): Promise<FlexbertError> {
  const error = await call.then(
    () => null,
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(FlexbertError);
  return error as FlexbertError;
}

describe("a prediction", () => {
  test("is asked for as the API says, with the token, and comes with what its headers say", async () => {
    answers = [json(predicted, 200, { "x-queue-time": "1.25", "x-inference-time": "3.5" })];
    const client = new FlexbertClient({ url: `${url}/`, token: "secret" });
    const answer = await client.predict(
      { text: "A man plays.", pair: "Someone plays." },
      { tasks: ["rte"], topK: 2, offsetUnit: "utf16", exit: 0.1, deadlineMs: 80 },
    );
    expect(answer.predictions).toEqual(predicted.predictions);
    expect(answer.request).toEqual({ id: "r-1", queueMs: 1.25, inferenceMs: 3.5, tokenizationMs: null });
    expect(seen).toMatchObject([
      {
        method: "POST",
        url: "/v1/predict",
        headers: { authorization: "Bearer secret", "content-type": "application/json", "x-deadline-ms": "80" },
        body: {
          ...{ text: "A man plays.", pair: "Someone plays.", tasks: ["rte"] },
          ...{ top_k: 2, offset_unit: "utf16", exit: 0.1 },
        },
      },
    ]);
  });

  test("rows come back as many as they went", async () => {
    answers = [json({ model: predicted.model, rows: [predicted, predicted] }), json({ model: {}, rows: [predicted] })];
    const client = new FlexbertClient({ url });
    const { rows } = await client.predictRows(["one", { text: "two", id: 2 }]);
    expect(rows).toHaveLength(2);
    expect(seen[0]?.body).toEqual({ rows: [{ text: "one" }, { text: "two", id: 2 }] });
    expect(await thrown(client.predictRows(["one", "two"]))).toMatchObject({ code: "bad_answer", requestId: "r-1" });
  });

  test.each([
    ["no JSON", (response: ServerResponse) => response.end("<html>"), /no JSON: <html>/],
    ["other JSON", json({ hello: 1 }), /other keys/],
    ["null", json(null), /other keys/],
  ])("an answer that is %s is told as one", async (_, answering, says) => {
    answers = [answering as Answering];
    const error = await thrown(new FlexbertClient({ url }).predict("x"));
    expect(error).toMatchObject({ code: "bad_answer", status: 200 });
    expect(error.message).toMatch(says);
    expect(seen).toHaveLength(1);
  });

  test("an answer that breaks off in its middle is told as one", async () => {
    answers = [
      (response) => {
        response.writeHead(200, { "content-length": "1000" });
        response.write('{"predictions"', () => response.destroy());
      },
    ];
    expect(await thrown(new FlexbertClient({ url }).predict("x"))).toMatchObject({ code: "bad_answer" });
  });
});

describe("retries", () => {
  test.each([
    [429, "queue_full"],
    [503, "draining"],
  ])("%i is tried again until it is answered", async (status, code) => {
    answers = [refusal(status, code), refusal(status, code), json(predicted)];
    expect((await new FlexbertClient({ url }).predict("x")).predictions).toEqual(predicted.predictions);
    expect(seen).toHaveLength(3);
  });

  test("they end, and the last refusal is thrown with its code and id", async () => {
    answers = [refusal(503, "draining")];
    const error = await thrown(new FlexbertClient({ url, retries: 1 }).predict("x"));
    expect(error).toMatchObject({ code: "draining", status: 503, requestId: "r-7", message: "draining: wait" });
    expect(seen).toHaveLength(2);
  });

  test("one that would come after the call's time is not waited for", async () => {
    answers = [refusal(429, "queue_full", { "retry-after": "3600" })];
    expect(await thrown(new FlexbertClient({ url }).predict("x"))).toMatchObject({
      code: "queue_full",
      retryAfterMs: 3_600_000,
    });
    expect(seen).toHaveLength(1);
  });

  test.each([400, 404, 413, 422, 500, 504])("%i is not tried again", async (status) => {
    answers = [refusal(status, "refused")];
    expect(await thrown(new FlexbertClient({ url }).predict("x"))).toMatchObject({ code: "refused", status });
    expect(seen).toHaveLength(1);
  });

  test("a refusal of a proxy's, which is no JSON, keeps its status", async () => {
    answers = [
      (response) => {
        response.writeHead(502);
        response.end("Bad Gateway");
      },
    ];
    expect(await thrown(new FlexbertClient({ url }).predict("x"))).toMatchObject({ code: "bad_answer", status: 502 });
  });

  test("a broken connection is tried again for a prediction, and not for a rollback, which goes back each time", async () => {
    answers = [(response) => response.destroy(), json(predicted)];
    await new FlexbertClient({ url }).predict("x");
    expect(seen).toHaveLength(2);
    answers = [(response) => response.destroy(), json({ version: "a", from: "b" })];
    const admin = new FlexbertClient({ url, adminToken: "root" });
    expect(await thrown(admin.rollback({ to: "stable" }))).toMatchObject({ code: "unreachable", status: null });
    expect(seen).toHaveLength(3);
    expect(seen[2]).toMatchObject({
      url: "/admin/rollback",
      headers: { authorization: "Bearer root" },
      body: { to: "stable" },
    });
  });

  test("where nothing listens, the address is named", async () => {
    const error = await thrown(new FlexbertClient({ url: "http://127.0.0.1:1", retries: 0 }).model());
    expect(error).toMatchObject({ code: "unreachable", requestId: null });
    expect(error.message).toMatch(/^http:\/\/127\.0\.0\.1:1 is not reached/);
  });

  test("they wait as long as the server asks, and a share of a growing time by chance", () => {
    expect([0, 1, 2, 20].map((attempt) => waitBefore(attempt, null, () => 0.5))).toEqual([50, 100, 200, 5000]);
    expect(waitBefore(0, 2000, () => 0)).toBe(2000);
    expect(waitBefore(0, 2000, () => 0.5)).toBe(2050);
    const now = Date.parse("2026-11-26T22:00:00Z");
    const headers = [
      "3",
      "0.5",
      "Thu, 26 Nov 2026 22:00:10 GMT",
      "Thu, 26 Nov 2026 21:00:00 GMT",
      "soon",
      "-1",
      "",
      null,
    ];
    expect(headers.map((header) => retryAfterOf(header, now))).toEqual([3000, 500, 10_000, 0, null, null, null, null]);
  });
});

const event = (name: string, data: unknown) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
const plan = { tasks: [{ name: "rte", fork: 2, layers: 1, version: "ab12cd34" }], depth: 2 };
const prediction = { row: 0, task: "rte", prediction: predicted.predictions["rte"], at_ms: 3.1 };
const done = { model: predicted.model, rows: 1, layers_run: 3, pieces: [], ms: 4 };

/** Sends these, then goes on. */
const streaming =
  (parts: readonly string[], end: (response: ServerResponse) => void): Answering =>
  (response) => {
    response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": "r-9" });
    for (const part of parts) response.write(part);
    end(response);
  };

/** The events that came before what was thrown. */
async function eventsBefore(stream: AsyncIterable<{ event: string }>): Promise<[string[], unknown]> {
  const names: string[] = [];
  try {
    for await (const { event } of stream) names.push(event);
    return [names, null];
  } catch (error) {
    return [names, error];
  }
}

describe("a stream", () => {
  test("hands out each event, leaves out those that it does not know, and ends with the last", async () => {
    const parts = [": hello\n\n", event("plan", plan), event("news", {}), event("prediction", prediction)];
    answers = [refusal(429, "queue_full"), streaming([...parts, event("done", done)], (response) => response.end())];
    const events = [];
    for await (const one of new FlexbertClient({ url }).stream("x", { tasks: ["rte"] })) events.push(one);
    expect(events).toEqual([
      { event: "plan", data: plan },
      { event: "prediction", data: prediction },
      { event: "done", data: done },
    ]);
    expect(seen).toHaveLength(2);
    expect(seen[1]).toMatchObject({
      headers: { accept: "text/event-stream" },
      body: { text: "x", tasks: ["rte"], stream: true },
    });
  });

  test.each([
    ["ended", (response: ServerResponse) => response.end()],
    ["broken", (response: ServerResponse) => response.destroy()],
  ])("that is %s in the middle throws, after what came", async (_, end) => {
    let went = () => {};
    const arrived = new Promise<void>((resolve) => {
      went = resolve;
    });
    answers = [
      streaming([event("plan", plan), event("prediction", prediction), "event: done\nda"], async (response) => {
        await arrived;
        end(response);
      }),
    ];
    const names: string[] = [];
    const error = await thrown(
      (async () => {
        for await (const { event } of new FlexbertClient({ url }).stream(["x", "y"])) {
          names.push(event);
          if (names.length === 2) went();
        }
      })(),
    );
    expect(names).toEqual(["plan", "prediction"]);
    expect(error).toMatchObject({ code: "stream_cut", requestId: "r-9" });
    expect(seen).toHaveLength(1);
    expect(seen[0]?.body).toEqual({ rows: [{ text: "x" }, { text: "y" }], stream: true });
  });

  test("that ends with an error throws it", async () => {
    const error = { error: { code: "inference_lost", message: "try again", request_id: "r-9" } };
    answers = [streaming([event("plan", plan), event("error", error)], (response) => response.end())];
    const [names, caught] = await eventsBefore(new FlexbertClient({ url }).stream("x"));
    expect(names).toEqual(["plan"]);
    expect(caught).toMatchObject({ code: "inference_lost", message: "try again", requestId: "r-9" });
  });

  test("that is no stream, or whose data is no JSON, is told as a bad answer", async () => {
    answers = [json(predicted)];
    expect(await eventsBefore(new FlexbertClient({ url }).stream("x"))).toMatchObject([[], { code: "bad_answer" }]);
    answers = [streaming(["event: plan\ndata: {\n\n"], () => undefined)];
    expect(await eventsBefore(new FlexbertClient({ url }).stream("x"))).toMatchObject([[], { code: "bad_answer" }]);
  });

  test("that its reader leaves ends at the server", async () => {
    let closed: Promise<unknown> = Promise.resolve();
    answers = [
      streaming([event("plan", plan)], (response) => {
        closed = once(response, "close");
      }),
    ];
    for await (const { event } of new FlexbertClient({ url }).stream("x")) {
      expect(event).toBe("plan");
      break;
    }
    await closed;
  });
});

describe("what ends a call", () => {
  const never: Answering = () => undefined;

  test("a signal, before it is sent, while it is answered, and between two tries", async () => {
    const client = new FlexbertClient({ url });
    const reason = new Error("enough");
    await expect(client.predict("x", { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(seen).toHaveLength(0);

    for (const answering of [never, refusal(429, "queue_full", { "retry-after": "20" })]) {
      const controller = new AbortController();
      answers = [
        (response, request) => {
          answering(response, request);
          setImmediate(() => controller.abort(reason));
        },
      ];
      await expect(client.predict("x", { signal: controller.signal })).rejects.toBe(reason);
    }
    expect(seen).toHaveLength(2);
  });

  test("a signal in the middle of a stream", async () => {
    const controller = new AbortController();
    answers = [streaming([event("plan", plan)], () => undefined)];
    const stream = new FlexbertClient({ url }).stream("x", { signal: controller.signal });
    await stream.next();
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(stream.next()).rejects.toBe(reason);
  });

  test("no time, where there is none or more than timers count", async () => {
    for (const timeoutMs of [Number.POSITIVE_INFINITY, 2 ** 31]) {
      answers = [(response, request) => setImmediate(() => json(predicted)(response, request))];
      const client = new FlexbertClient({ url, timeoutMs });
      expect((await client.predict("x")).predictions).toEqual(predicted.predictions);
      answers = [
        (response, request) => {
          const end = (begun: ServerResponse) => setImmediate(() => begun.end(event("done", done)));
          streaming([event("plan", plan)], end)(response, request);
        },
      ];
      expect(await eventsBefore(client.stream("x"))).toEqual([["plan", "done"], null]);
    }
  });

  test("its time", async () => {
    answers = [never];
    expect(await thrown(new FlexbertClient({ url, timeoutMs: 20 }).predict("x"))).toMatchObject({ code: "timeout" });
    answers = [streaming([event("plan", plan)], () => undefined)];
    const [names, error] = await eventsBefore(new FlexbertClient({ url }).stream("x", { timeoutMs: 20 }));
    expect(error).toMatchObject({ code: "timeout" });
    expect(names.length).toBeLessThan(2); // 20 ms may be over before the first event is read
  });
});

test("the other routes", async () => {
  const client = new FlexbertClient({ url, token: "user", adminToken: "root" });
  answers = [json({ version: "4e3d5a46", tasks: [] })];
  expect(await client.model()).toMatchObject({ version: "4e3d5a46", request: { id: "r-1" } });
  answers = [json({ versions: [], swaps: 3 })];
  expect(await client.stats()).toMatchObject({ swaps: 3 });
  answers = [json({ history: [] })];
  expect(await client.history()).toMatchObject({ history: [] });
  answers = [json({ version: "b", from: "a" })];
  expect(await client.reload()).toMatchObject({ version: "b", from: "a" });
  await client.rollback();
  expect(seen.map(({ method, url, headers, body }) => [method, url, headers.authorization, body])).toEqual([
    ["GET", "/v1/model", "Bearer user", null],
    ["GET", "/v1/stats", "Bearer user", null],
    ["GET", "/v1/history", "Bearer root", null],
    ["POST", "/admin/reload", "Bearer root", {}],
    ["POST", "/admin/rollback", "Bearer root", {}],
  ]);
});

describe("server-sent events", () => {
  async function parsed(text: string, size: number) {
    const bytes = new TextEncoder().encode(text);
    async function* chunks() {
      for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
    }
    const events = [];
    for await (const one of sentEvents(chunks())) events.push([one.event, one.data]);
    return events;
  }

  test.each([1, 2, 3, 7, 1000])("are the same however they are cut, here by %i bytes", async (size) => {
    const text =
      ": comment\r\n\r\nevent: a\r\ndata: 1\r\ndata:  zwei 🎈\r\n\r\ndata:x\n\nevent: b\n\n" +
      "event: c\rdata: é\r\rretry: 5\ndata\n\nevent: cut\ndata: never";
    expect(await parsed(text, size)).toEqual([
      ["a", "1\n zwei 🎈"],
      ["message", "x"],
      ["c", "é"],
      ["message", ""],
    ]);
  });

  test("a line without an end is no way to fill the memory", async () => {
    async function* endless() {
      for (;;) yield new TextEncoder().encode("x".repeat(100));
    }
    await expect(sentEvents(endless(), 1000).next()).rejects.toThrow(/more than 1000 characters/);
  });
});
