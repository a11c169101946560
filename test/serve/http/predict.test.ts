import { describe, expect, test } from "@jest/globals";
import type { InjectOptions } from "fastify";
import { InferenceLost } from "../../../src/serve/inference/inference";
import { until } from "../../until";
import { type FakeOptions, fakeExits, fakeServer, version } from "../fake";

type Server = Awaited<ReturnType<typeof fakeServer>>;

async function withServer(options: FakeOptions, work: (server: Server) => Promise<void>): Promise<void> {
  const server = await fakeServer(options);
  server.inference.automatic = true;
  try {
    await work(server);
  } finally {
    await server.close();
  }
}

const post = ({ app }: Server, payload: unknown, headers: Record<string, string> = {}, url = "/v1/predict") =>
  app.inject({ method: "POST", url, payload: payload as InjectOptions["payload"] & object, headers });

describe("predictions", () => {
  test("a text is answered by every task that takes single texts, with versions and times", () =>
    withServer({}, async (server) => {
      const answer = await post(server, { text: "good film" });
      expect(answer.statusCode).toBe(200);
      const { model, predictions } = answer.json();
      expect(model).toEqual({ version: "11111111" });
      expect(Object.keys(predictions)).toEqual(["mood", "topic"]);
      expect(predictions.mood).toEqual({
        label: "bad",
        score: expect.closeTo(1 / (1 + Math.exp(0.17 - 0.4))),
        scores: { bad: expect.any(Number), good: expect.any(Number) },
        version: "a1000000",
      });
      expect(predictions.topic).toMatchObject({ labels: ["a", "b", "c"], version: "b1000000" });
      for (const header of ["x-queue-time", "x-inference-time", "x-tokenization-time"]) {
        expect(answer.headers[header]).toMatch(/^\d+\.\d\d$/);
      }
      expect(answer.headers["x-model-version"]).toBe("11111111");
      expect(answer.headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
    }));

  test("rows come back in order with their ids, each with its own tasks", () =>
    withServer({}, async (server) => {
      const rows = [
        { text: "a film", id: 7 },
        { text: "a film", pair: "a good film", id: "x" },
        { text: "film", tasks: ["topic"] },
      ];
      const { rows: answered } = (await post(server, { rows })).json();
      expect(answered.map(({ id }: { id: unknown }) => id)).toEqual([7, "x", undefined]);
      expect(answered.map((row: { predictions: object }) => Object.keys(row.predictions))).toEqual([
        ["mood", "topic"],
        ["match", "close"],
        ["topic"],
      ]);
      expect(answered[1].predictions.close).toEqual({ value: expect.closeTo(0.8), version: "d1000000" });
    }));

  test("top_k lists the best labels first", () =>
    withServer({}, async (server) => {
      const { predictions } = (await post(server, { text: "film", tasks: ["mood"], top_k: 1 })).json();
      expect(predictions.mood.scores).toEqual([{ label: predictions.mood.label, score: predictions.mood.score }]);
    }));

  test("a task that leaves early says after how many layers, by what a row asks and not by its neighbours", () =>
    withServer({ versions: [version("11111111", "a1", [], fakeExits)] }, async (server) => {
      const layers = async (exit?: unknown) => {
        const { predictions } = (await post(server, { text: "film", ...(exit === undefined ? {} : { exit }) })).json();
        return [predictions.mood.exit_layer, predictions.topic.exit_layer];
      };
      // No piece of the batch might be left.
      expect([await layers(), await layers(0.01), await layers("off")]).toEqual([
        [3, undefined],
        [3, undefined],
        [undefined, undefined],
      ]);
      server.inference.layer = 3; // others of the batch might
      expect([await layers("on"), await layers("off")]).toEqual([
        [3, undefined],
        [undefined, undefined],
      ]);
      server.inference.layer = 1;
      expect((await layers("on"))[0]).toBe(1);
    }));

  test("a task that cuts a row shorter has its own encoding of it, in the same batch", () =>
    withServer({}, async (server) => {
      const long = "good ".repeat(20);
      const { predictions } = (await post(server, { text: long, pair: "film" })).json();
      expect(predictions.close.value).toBeCloseTo(2.4); // 24 tokens of 32; match reads 16
      expect(server.inference.batches.map(({ rows }) => rows.map(({ ids, tasks }) => [ids.length, tasks]))).toEqual([
        [
          [24, ["close"]],
          [16, ["match"]],
        ],
      ]);
    }));

  test("a client's request id comes back where it is fit for a log", () =>
    withServer({}, async (server) => {
      const id = async (given: string) =>
        (await post(server, { text: "film" }, { "x-request-id": given })).headers["x-request-id"];
      expect(await id("order-17.a:b_c")).toBe("order-17.a:b_c");
      expect(await id("two words")).toMatch(/^[0-9a-f-]{36}$/);
      expect(await id("x".repeat(129))).toMatch(/^[0-9a-f-]{36}$/);
    }));
});

test("a model without tasks says so, of texts and of pairs", () =>
  withServer({ versions: [version("11111111", "a1", ["mood", "topic", "match", "close"])] }, async (server) => {
    for (const body of [{ text: "a" }, { text: "a", pair: "b" }]) {
      const answer = await post(server, body);
      expect([answer.statusCode, answer.json().error]).toMatchObject([
        422,
        { code: "task_does_not_fit", message: "this model has no tasks" },
      ]);
    }
  }));

describe("what is refused", () => {
  const cases: [string, unknown, number, string, RegExp][] = [
    [
      "an unknown task",
      { text: "a", tasks: ["mod"] },
      404,
      "unknown_task",
      /no task "mod"\. It has mood, topic, match, close/,
    ],
    [
      "a task of pairs for a text",
      { text: "a", tasks: ["match"] },
      422,
      "task_does_not_fit",
      /match takes pairs: give "pair" too/,
    ],
    [
      "a task of texts for a pair",
      { text: "a", pair: "b", tasks: ["mood"] },
      422,
      "task_does_not_fit",
      /mood takes single texts/,
    ],
    ["a name of an object's own", { text: "a", tasks: ["__proto__"] }, 404, "unknown_task", /no task "__proto__"/],
    ["no text", { pair: "b" }, 422, "invalid", /neither "text" nor "rows"/],
    ["a text that is none", { text: 5 }, 422, "invalid", /text is 5, not a string/],
    ["a pair that is none", { text: "a", pair: {} }, 422, "invalid", /pair is \{\}, not a string/],
    ["tasks that are no list", { text: "a", tasks: "mood" }, 422, "invalid", /tasks is "mood", not a list/],
    ["no tasks", { text: "a", tasks: [] }, 422, "invalid", /not a list of names/],
    ["an unknown key", { text: "a", task: ["mood"] }, 422, "invalid", /the body has "task", and takes text, pair/],
    ["a key of an object's own", '{"text":"a","__proto__":{"rows":[]}}', 422, "invalid", /the body has "__proto__"/],
    ["rows and a text", { text: "a", rows: [{ text: "b" }] }, 422, "invalid", /give one/],
    ["no rows", { rows: [] }, 422, "invalid", /rows is empty/],
    ["a row that is none", { rows: ["a"] }, 422, "invalid", /rows\[0\] is "a", not an object/],
    [
      "a row of two minds",
      { rows: [{ text: "a", tasks: ["match"] }] },
      422,
      "task_does_not_fit",
      /rows\[0\] is a single text/,
    ],
    ["an id that is none", { rows: [{ text: "a", id: {} }] }, 422, "invalid", /rows\[0\]\.id is \{\}/],
    [
      "an id of 64 bits",
      '{"rows":[{"text":"a","id":9007199254740993}]}',
      422,
      "invalid",
      /rows\[0\]\.id .*Give a string/,
    ],
    ["an endless id", '{"rows":[{"text":"a","id":1e400}]}', 422, "invalid", /rows\[0\]\.id .*Give a string/],
    [
      "an unknown unit",
      { text: "a", offset_unit: "byte" },
      422,
      "invalid",
      /offset_unit is "byte", not codepoint or utf16/,
    ],
    ["top_k of none", { text: "a", top_k: 0 }, 422, "invalid", /top_k is 0/],
    ["stream of another kind", { text: "a", stream: 1 }, 422, "invalid", /stream is 1/],
    ["a list", [1], 422, "invalid", /the body is \[1\], not an object/],
    ["no body", "", 422, "invalid", /the body is undefined/],
    ["no JSON", '{"text": "secret', 400, "bad_json", /^the body is no JSON: /],
    ["JSON that nests too deep", `{"text":${"[".repeat(33)}`, 400, "bad_json", /nests deeper than 32/],
    ["no UTF-8", Buffer.from([0x22, 0xff, 0x22]), 400, "bad_json", /not UTF-8/],
    ["too many rows", { rows: Array(7).fill({ text: "a" }) }, 413, "too_large", /7 rows, and a request may have 6/],
    ["too long a text", { text: "a".repeat(201) }, 413, "too_large", /201 characters, and a text may have 200/],
    ["too large a body", { text: "a", tasks: Array(2000).fill("mood") }, 413, "too_large", /the body is larger/],
  ];
  test.each(cases)("%s", (_, body, status, code, message) =>
    withServer({}, async (server) => {
      const answer = await post(server, body, { "content-type": "application/json" });
      const { error } = answer.json();
      expect([answer.statusCode, error.code]).toEqual([status, code]);
      expect(error.message).toMatch(message);
      expect(error.message).not.toMatch("secret");
      expect(error.request_id).toBe(answer.headers["x-request-id"]);
      expect(server.inference.batches.length + server.queue.rows).toBe(0);
    }),
  );

  test.each([
    ["text/plain", {}],
    ["application/x-www-form-urlencoded", {}],
    ["application/json; charset=utf-16", {}],
    ["application/octet-stream", {}],
    ["application/json", { "content-encoding": "gzip" }],
  ])("a body of %s %j is 415", (type, headers) =>
    withServer({}, async (server) => {
      const answer = await post(server, '{"text":"a"}', { "content-type": type, ...headers });
      expect([answer.statusCode, answer.json().error.code]).toEqual([415, "unsupported_media_type"]);
    }),
  );

  test.each(["0", "-1", "soon", "1e9", "", "NaN", "Infinity"])("x-deadline-ms of %j is 422", (deadline) =>
    withServer({}, async (server) => {
      const answer = await post(server, { text: "a" }, { "x-deadline-ms": deadline });
      expect([answer.statusCode, answer.json().error.message]).toEqual([
        422,
        expect.stringMatching(/^x-deadline-ms takes/),
      ]);
    }),
  );

  test("an address that is none, or takes another method", () =>
    withServer({}, async ({ app }) => {
      const { statusCode, headers } = await app.inject({ method: "GET", url: "/v1/predict" });
      expect([statusCode, headers["allow"]]).toEqual([405, "POST"]);
      for (const url of ["/v1", "/../etc/passwd", "/%", "/v2/models/%zz", `/v2/models/${"a".repeat(300)}`]) {
        const answer = await app.inject({ method: "GET", url });
        expect([400, 404]).toContain(answer.statusCode);
        expect(Object.keys(answer.json())).toContain("error");
      }
    }));
});

describe("a full queue", () => {
  test("is 429 with Retry-After, before the body is read, and what was admitted is answered", () =>
    withServer({ queue: { maxRows: 2 } }, async (server) => {
      server.inference.automatic = false;
      const first = post(server, { text: "film" });
      await until(() => server.inference.batches.length === 1);
      const waiting = post(server, { rows: [{ text: "film" }, { text: "good" }] });
      await until(() => server.queue.rows === 2);
      const refused = await post(server, "no JSON at all", { "content-type": "application/json" });
      expect([refused.statusCode, refused.headers["retry-after"], refused.json().error.code]).toEqual([
        429,
        "1",
        "queue_full",
      ]);
      server.inference.automatic = true;
      server.inference.batches[0]?.answer();
      expect([(await first).statusCode, (await waiting).statusCode]).toEqual([200, 200]);
      expect((await post(server, { text: "film" })).statusCode).toBe(200);
    }));

  test("refuses nothing that the cache knows", () =>
    withServer({ queue: { maxRows: 1 }, cacheBytes: 1e6 }, async (server) => {
      const text = { text: "good film" };
      const first = (await post(server, text)).json();
      server.inference.automatic = false;
      const running = post(server, { text: "film" });
      await until(() => server.inference.batches.length === 2);
      const waiting = post(server, { text: "bad film" });
      await until(() => server.queue.rows === 1);
      expect((await post(server, { text: "another film" })).statusCode).toBe(429);
      const known = await post(server, text);
      expect([known.statusCode, known.json()]).toEqual([200, first]);
      server.inference.batches[1]?.answer();
      await until(() => server.inference.batches.length === 3);
      server.inference.batches[2]?.answer();
      await Promise.all([running, waiting]);
    }));
});

describe("the cache", () => {
  test("asks the engine for what is missing of a row alone, and of a swapped task for all", () =>
    withServer({ cacheBytes: 1e6 }, async (server) => {
      const { inference, source, live } = server;
      await post(server, { text: "good film", tasks: ["mood"] });
      await post(server, { text: "good film" });
      expect(inference.batches.map(({ rows }) => rows.map(({ tasks }) => tasks))).toEqual([[["mood"]], [["topic"]]]);
      source.current = "22222222";
      await live.reload();
      const { predictions } = (await post(server, { text: "good film" })).json();
      expect([predictions.mood.version, predictions.topic.version]).toEqual(["a2000000", "b1000000"]);
      expect(inference.batches[2]?.rows.map(({ tasks }) => tasks)).toEqual([["mood"]]);
      await post(server, { text: "good\ud800film" });
      await post(server, { text: "good\ud801film" });
      expect(inference.batches.length).toBe(5);
    }));
});

describe("deadlines and clients", () => {
  test("past its deadline a request is 504, whether it waits or runs", () =>
    withServer({}, async (server) => {
      server.inference.automatic = false;
      const runs = post(server, { text: "film" }, { "x-deadline-ms": "20" });
      const waits = post(server, { text: "film" }, { "x-deadline-ms": "30" });
      for (const answer of [await runs, await waits]) {
        expect([answer.statusCode, answer.json().error.code]).toEqual([504, "deadline_passed"]);
      }
      expect(server.queue.rows).toBe(0);
      for (const batch of server.inference.batches) batch.answer();
      server.inference.automatic = true;
      expect((await post(server, { text: "film" }, { "x-deadline-ms": "600000" })).statusCode).toBe(200);
      const late = await post(server, { text: "film" }, { "x-deadline-ms": "1e-6" });
      expect([late.statusCode, late.headers["retry-after"]]).toEqual([504, undefined]);
    }));

  test("a lost batch is 503 with Retry-After", () =>
    withServer({}, async (server) => {
      server.inference.automatic = false;
      const answer = post(server, { text: "film" });
      await until(() => server.inference.batches.length === 1);
      server.inference.batches[0]?.lose(new InferenceLost("pid 4711 at /secret"));
      const { statusCode, headers, body } = await answer;
      expect([statusCode, headers["retry-after"]]).toEqual([503, "1"]);
      expect(body).not.toMatch(/secret|4711/);
    }));

  test("a defect is 500 and says nothing of itself", () =>
    withServer({}, async (server) => {
      server.inference.run = async () => {
        throw new Error("cannot read /etc/secret");
      };
      const { statusCode, body } = await post(server, { text: "film" });
      expect(statusCode).toBe(500);
      expect(JSON.parse(body).error.code).toBe("internal");
      expect(body).not.toMatch(/secret|etc/);
    }));
});

describe("a swap", () => {
  test("leaves a request that was admitted on its version, and gives the next the new one", () =>
    withServer({}, async (server) => {
      const { inference, source, live } = server;
      inference.automatic = false;
      const before = post(server, { text: "film", tasks: ["mood"] });
      await until(() => inference.batches.length === 1);
      source.current = "22222222";
      await live.reload();
      const after = post(server, { text: "film", tasks: ["mood"] });
      await until(() => server.queue.rows === 1);
      inference.batches[0]?.answer();
      await until(() => inference.batches.length === 2);
      inference.batches[1]?.answer();
      const [first, second] = [(await before).json(), (await after).json()];
      expect([first.model.version, first.predictions.mood.version]).toEqual(["11111111", "a1000000"]);
      expect([second.model.version, second.predictions.mood.version]).toEqual(["22222222", "a2000000"]);
      await until(() => inference.versions.length === 1);
      expect(inference.versions).toEqual(["22222222"]);
    }));

  test("closes no version whose batch still runs, though its client is gone and its answer sent", () =>
    withServer({}, async (server) => {
      const { inference, source, live } = server;
      inference.automatic = false;
      const answer = post(server, { text: "film", tasks: ["mood"] });
      const slow = post(server, { text: "film" });
      await until(() => inference.batches.length === 1);
      inference.batches[0]?.part("mood");
      expect((await answer).statusCode).toBe(200);
      source.current = "22222222";
      await live.reload();
      await live.reload();
      expect(inference.versions).toEqual(["11111111", "22222222"]);
      inference.batches[0]?.answer();
      await slow;
      await until(() => inference.versions.length === 1);
    }));

  test("a task that is gone is 404 from then on", () =>
    withServer({ versions: [version("11111111"), version("22222222", "a1", ["topic"])] }, async (server) => {
      server.source.current = "22222222";
      await server.live.reload();
      const { statusCode, body } = await post(server, { text: "film", tasks: ["topic"] });
      expect([statusCode, JSON.parse(body).error.message]).toEqual([
        404,
        'this model has no task "topic". It has mood, match, close',
      ]);
    }));
});
