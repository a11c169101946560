// What every request goes through: logs, metrics, readiness.

import { expect, test } from "@jest/globals";
import { createLogger } from "../../../src/serve/http/log";
import { until } from "../../until";
import { type FakeOptions, fakeServer } from "../fake";

/** A server with its log. */
async function logged(options: FakeOptions = {}) {
  const lines: string[] = [];
  const { logger } = createLogger("info", { write: (line) => lines.push(line) });
  const server = await fakeServer({ ...options, logger });
  server.inference.automatic = true;
  const predict = (payload: object, headers: Record<string, string> = {}) =>
    server.app.inject({ method: "POST", url: "/v1/predict?q=secretquery", payload, headers });
  return { ...server, lines, predict, entries: () => lines.map((line) => JSON.parse(line)) };
}

test("a request is one line of JSON, without what it said, its address or its token", async () => {
  const { predict, lines, entries, close } = await logged();
  await predict({ text: "secrettext good" }, { "x-request-id": "r1", authorization: "Bearer secrettoken" });
  await predict({ text: "secrettext", tasks: ["secrettask"] });
  await predict({ secretkey: 1 });
  expect(
    entries().map(({ level, route, status, code, rows, tasks }) => ({ level, route, status, code, rows, tasks })),
  ).toEqual([
    { level: 30, route: "/v1/predict", status: 200, code: undefined, rows: 1, tasks: ["mood", "topic"] },
    { level: 30, route: "/v1/predict", status: 404, code: "unknown_task", rows: undefined, tasks: undefined },
    { level: 30, route: "/v1/predict", status: 422, code: "invalid", rows: undefined, tasks: undefined },
  ]);
  expect(entries()[0]).toMatchObject({
    reqId: "r1",
    method: "POST",
    version: "11111111",
    ms: expect.any(Number),
    queued: expect.any(Number),
  });
  expect(lines.join("")).not.toMatch(/secret/);
  await close();
});

test("texts are logged where that is asked for", async () => {
  const { predict, entries, close } = await logged({ logTexts: true });
  await predict({ rows: [{ text: "good film" }, { text: "a", pair: "b" }] });
  expect(entries()[0].texts).toEqual(["good film", "a", "b"]);
  await close();
});

test("a defect is logged with its stack, under the id that its answer has", async () => {
  const { predict, entries, inference, close } = await logged();
  inference.run = async () => {
    throw new TypeError("a defect");
  };
  const answer = await predict({ text: "film" });
  const error = entries().find(({ level }) => level === 50);
  expect([error.reqId, error.err.message]).toEqual([answer.json().error.request_id, "a defect"]);
  expect(error.err.stack).toMatch(/server\.test/);
  await close();
});

test("metrics count what was asked, run and refused", async () => {
  const { predict, app, source, live, inference, close } = await logged({ cacheBytes: 1e6 });
  await predict({ rows: [{ text: "good film" }, { text: "a film and a bad one" }] });
  await predict({ text: "good film" });
  await predict({ text: "film", tasks: ["none"] });
  source.current = "22222222";
  await live.reload();
  const { body, headers } = await app.inject({ method: "GET", url: "/metrics" });
  expect(headers["content-type"]).toMatch("text/plain");
  const value = (name: string) => {
    const line = body.split("\n").find((one) => one.startsWith(`${name} `));
    return line === undefined ? null : Number(line.slice(name.length + 1));
  };
  const tokens = inference.batches.flatMap(({ rows }) => rows.map(({ ids }) => ids.length)).reduce((a, b) => a + b);
  expect({
    answered: value('flexbert_requests_total{route="/v1/predict",status="200"}'),
    unknown: value('flexbert_errors_total{code="unknown_task"}'),
    rows: value("flexbert_rows_total"),
    hits: value("flexbert_cache_hits_total"),
    tokens: value("flexbert_tokens_total"),
    run: value('flexbert_layer_tokens_total{kind="run"}'),
    naive: value('flexbert_layer_tokens_total{kind="naive"}'),
    mood: value('flexbert_task_rows_total{task="mood"}'),
    batches: value("flexbert_batch_tokens_count"),
    tokenized: value('flexbert_stage_seconds_count{stage="tokenize"}'),
    queue: value("flexbert_queue_rows"),
    versions: value("flexbert_versions_open"),
  }).toEqual({
    ...{ answered: 2, unknown: 1, rows: 3, hits: 2, tokens, run: 2 * tokens, naive: 4 * 2 * tokens, mood: 2 },
    ...{ batches: 1, tokenized: 2, queue: 0, versions: 1 },
  });
  expect(value('flexbert_event_loop_delay_seconds{quantile="0.99"}')).toBeGreaterThanOrEqual(0);
  expect(body).not.toMatch(/good film/);
  await close();
});

test("a client that goes is counted as such, and its request is over", async () => {
  const server = await logged();
  const { inference, app, drain, entries, close } = server;
  inference.automatic = false;
  const url = await app.listen({ port: 0, host: "127.0.0.1" });
  const controller = new AbortController();
  const init = { method: "POST", headers: { "content-type": "application/json" }, body: '{"text":"film"}' };
  const gone = fetch(`${url}/v1/predict`, { ...init, signal: controller.signal }).catch(() => "gone");
  await until(() => inference.batches.length === 1);
  controller.abort();
  expect(await gone).toBe("gone");
  await drain.idle();
  expect(entries().at(-1)).toMatchObject({ status: 499, aborted: true });
  inference.batches[0]?.answer();
  await close();
});

test("while it drains a server is not ready, takes nothing new, and answers what it took", async () => {
  const { inference, app, drain, predict, close } = await logged();
  inference.automatic = false;
  const taken = predict({ text: "film" });
  await until(() => inference.batches.length === 1);
  drain.begin();
  const ready = await app.inject({ method: "GET", url: "/readyz" });
  const refused = await predict({ text: "film" });
  expect([ready.statusCode, ready.json().error.code]).toEqual([503, "draining"]);
  expect([refused.statusCode, refused.json().error.code, refused.headers["connection"]]).toEqual([
    503,
    "draining",
    "close",
  ]);
  expect((await app.inject({ method: "GET", url: "/healthz" })).statusCode).toBe(200);
  let idle = false;
  const ended = drain.idle().then(() => {
    idle = true;
  });
  expect(idle).toBe(false);
  inference.batches[0]?.answer();
  expect((await taken).statusCode).toBe(200);
  await ended;
  await close();
});

test("a server none of whose processes live is not ready", async () => {
  const { inference, app, close } = await logged();
  inference.state = () => [{ pid: 1, alive: false, rssBytes: 0, restarts: 3 }];
  const get = async (url: string) => {
    const { statusCode, body } = await app.inject({ method: "GET", url });
    return [statusCode, JSON.parse(body)];
  };
  expect(await get("/readyz")).toMatchObject([503, { error: { code: "not_ready" } }]);
  expect(await get("/v2/health/ready")).toEqual([503, { ready: false }]);
  expect(await get("/v2/models/mood/ready")).toEqual([503, { name: "mood", ready: false }]);
  await close();
});
