import { describe, expect, test } from "@jest/globals";
import { InferenceLost } from "../../../src/serve/inference/inference";
import { until } from "../../until";
import { type FakeOptions, fakeServer } from "../fake";

interface Event {
  readonly event: string;
  readonly data: Record<string, unknown>;
}

const eventsOf = (text: string): Event[] =>
  text
    .split("\n\n")
    .filter((block) => block !== "")
    .map((block) => {
      const [, event = "", data = ""] = /^event: (\w+)\ndata: (.*)$/.exec(block) ?? [];
      return { event, data: JSON.parse(data) };
    });

/** A server that listens, and a stream of it as it comes. */
async function stream(body: object, options: FakeOptions = {}, headers: Record<string, string> = {}) {
  const server = await fakeServer(options);
  const url = await server.app.listen({ port: 0, host: "127.0.0.1" });
  const controller = new AbortController();
  const response = await fetch(`${url}/v1/predict`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ stream: true, ...body }),
    signal: controller.signal,
  });
  let text = "";
  const read = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) text += decoder.decode(chunk, { stream: true });
  })().catch(() => undefined);
  return {
    ...{ ...server, response, controller, read },
    events: () => eventsOf(text.slice(0, text.lastIndexOf("\n\n") + 2)),
  };
}

describe("a stream", () => {
  test("has the plan at once, each task as soon as its layers ran, and what ran at the end", async () => {
    const { inference, response, events, read, close } = await stream({ text: "film" });
    expect([response.status, response.headers.get("content-type"), response.headers.get("x-model-version")]).toEqual([
      200,
      "text/event-stream; charset=utf-8",
      "11111111",
    ]);
    expect(response.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    await until(() => inference.batches.length === 1 && events().length === 1);
    expect(events()[0]).toEqual({
      event: "plan",
      data: {
        tasks: [
          { name: "mood", fork: 2, layers: 1, version: "a1000000" },
          { name: "topic", fork: 1, layers: 3, version: "b1000000" },
        ],
        depth: 2,
      },
    });
    inference.batches[0]?.part("topic");
    await until(() => events().length === 2);
    expect(events()[1]).toMatchObject({
      event: "prediction",
      data: { row: 0, task: "topic", at_ms: expect.any(Number) },
    });
    expect(events()[1]?.data["prediction"]).toMatchObject({ labels: expect.any(Array), version: "b1000000" });
    inference.batches[0]?.answer();
    await read;
    expect(events().map(({ event }) => event)).toEqual(["plan", "prediction", "prediction", "done"]);
    expect(events()[3]?.data).toEqual({
      ...{ model: { version: "11111111" }, rows: 1, layers_run: 6, ms: expect.any(Number) },
      pieces: [{ piece: "layers 0-2", rows: 1, tokens: 3, layers: 2, ms: 1 }],
    });
    await close();
  });

  test("counts no layer above where texts left, and none of what was known before", async () => {
    const server = await fakeServer({ cacheBytes: 1e6 });
    server.inference.automatic = true;
    const layersRun = async (text: string) => {
      const { body } = await server.app.inject({ method: "POST", url: "/v1/predict", payload: { text, stream: true } });
      return eventsOf(body).at(-1)?.data["layers_run"];
    };
    expect([await layersRun("film"), await layersRun("film")]).toEqual([6, 0]);
    server.inference.layer = 1; // below mood's fork, at topic's
    expect(await layersRun("a film")).toBe(1);
    server.inference.layer = 3;
    expect(await layersRun("good film")).toBe(2 + 1 + 2);
    await server.close();
  });

  test("what is refused before it begins has its status; what fails after is an event", async () => {
    const refused = await stream({ text: "film", tasks: ["none"] });
    expect([refused.response.status, refused.response.headers.get("content-type")]).toEqual([
      404,
      "application/json; charset=utf-8",
    ]);
    await refused.close();
    const { inference, events, read, close } = await stream({ text: "film" });
    await until(() => inference.batches.length === 1);
    inference.batches[0]?.part("mood");
    inference.batches[0]?.lose(new InferenceLost());
    await read;
    expect(events().map(({ event }) => event)).toEqual(["plan", "prediction", "error"]);
    expect(events()[2]?.data).toEqual({
      error: { code: "inference_lost", message: expect.any(String), request_id: expect.any(String) },
    });
    await close();
  });

  test("past its deadline it ends with an error", async () => {
    const { events, read, inference, close } = await stream({ text: "film" }, {}, { "x-deadline-ms": "30" });
    await read;
    expect(events().at(-1)).toMatchObject({ event: "error", data: { error: { code: "deadline_passed" } } });
    inference.batches[0]?.answer();
    await close();
  });

  test("a client that goes takes its waiting rows along, and its request is over", async () => {
    const { queue, inference, controller, read, drain, live, close } = await stream(
      { rows: Array(6).fill({ text: "good film good film good film good film good film" }) },
      { queue: { maxRows: 100 } },
    );
    await until(() => inference.batches.length === 1 && queue.rows > 0);
    controller.abort();
    await read;
    await drain.idle();
    expect(queue.rows).toBe(0);
    inference.batches[0]?.answer();
    await until(() => live.open()[0]?.requests === 0);
    expect(inference.batches.length).toBe(1);
    await close();
  });
});
