// The page, and the client from Node, before the real server of a real merged folder: what the server of page.test.ts makes
// up must be what this one says.

import path from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { addTasks, merge } from "../../../src/api/merge/merge";
import { openModel } from "../../../src/api/open-model";
import { newServeToken } from "../../../src/api/serve";
import { FlexbertClient, type FlexbertError } from "../../../src/client/index";
import { browserAbsence, withPageAt } from "../../browser";
import { unless } from "../../skips";
import { temporaryFolder, tinyBase } from "../../tiny";
import { trainTinyTasks } from "../../trained";
import { type ServeProcess, startServe } from "../running-server";

const folder = temporaryFolder();
const merged = path.join(folder, "merged");
const tokens = path.join(folder, "tokens.json");
let server: ServeProcess;
let [first, second, adminToken, token] = ["", "", "", ""];

beforeAll(async () => {
  const base = tinyBase("tiny-page");
  await trainTinyTasks(folder, base);
  const common = {
    base: base.name,
    checkpoints: path.join(folder, "checkpoints"),
    glueData: path.join(folder, "glue"),
  };
  const out = merged;
  ({ version: first } = await merge({ ...common, task: "sst2,rte", out, noOnnx: true }));
  ({ version: second } = await addTasks({ ...common, task: "stsb", merged, noOnnx: true }));
  token = await newServeToken({ name: "page", tokens });
  adminToken = await newServeToken({ name: "boss", role: "admin", tokens });
  server = await startServe(["--merged", merged, "--tokens", tokens, "--workers", "1", "--threads", "1"]);
});
afterAll(async () => {
  expect(await server?.stop()).toBe(0);
});

test("the client reads every answer as it is typed, and its predictions are those of a direct run", async () => {
  const client = new FlexbertClient({ url: server.url, token, adminToken });
  const rows = [
    { text: "a good film", pair: "the film was good" },
    { text: "he saw a dull book", pair: "she read" },
  ];
  const model = await openModel({ model: merged, engine: "onnx", threads: 1 });
  const direct = await model.predict(rows);
  model.close();
  const { rows: answered, model: by, request } = await client.predictRows(rows.map((row, id) => ({ ...row, id })));
  expect(by.version).toBe(second);
  expect(request.inferenceMs).toBeGreaterThan(0);
  const described = await client.model();
  const versions = new Map(described.tasks.map(({ name, version }) => [name, version]));
  expect(described.version).toBe(second);
  for (const [i, { id, predictions }] of answered.entries()) {
    expect(id).toBe(i);
    const expected = Object.entries(direct[i]?.predictions ?? {}).map(([task, prediction]) => [
      task,
      { ...prediction, version: versions.get(task) },
    ]);
    expect(predictions).toEqual(Object.fromEntries(expected));
  }
  const events = [];
  for await (const one of client.stream(rows[0] as (typeof rows)[0])) events.push(one);
  expect(events.map(({ event }) => event)).toEqual(["plan", "prediction", "prediction", "done"]);
  const streamed = events.flatMap(({ event, data }) => (event === "prediction" ? [[data.task, data.prediction]] : []));
  expect(Object.fromEntries(streamed)).toEqual(answered[0]?.predictions);

  const { scores } = (await client.predict("a bad film", { topK: 1 })).predictions["sst2"] as { scores: unknown };
  expect(scores).toEqual([{ label: expect.any(String), score: expect.any(Number) }]);
  const refused = await client.predict("x", { tasks: ["nope"] }).catch((error: FlexbertError) => error);
  expect(refused).toMatchObject({ code: "unknown_task", status: 404, requestId: expect.any(String) });
  const closed = await new FlexbertClient({ url: server.url }).predict("x").catch((error: FlexbertError) => error);
  expect(closed).toMatchObject({ code: "no_token", status: 401 });
  const { versions: open, processes, queue } = await client.stats();
  expect([open[0]?.version, processes.length, queue.rows]).toEqual([second, 1, 0]);
  expect(await client.reload()).toMatchObject({ version: second, changed: false });
});

unless(browserAbsence).test("a person sees answers, the layers that ran, and goes back a version", async () => {
  await withPageAt(server.url, async (page) => {
    const refused: string[] = [];
    page.on("console", (message) => {
      if (/Content.Security.Policy|Trusted/i.test(message.text())) refused.push(message.text());
    });
    await page.locator("#token").fill(token);
    await page.press("#token", "Tab");
    await page.waitForSelector("#tasks label");
    await page.fill("#text", "a good film");
    await page.fill("#pair", "the film was good");
    await page.click("#run");
    await page.locator("#outcome", { hasText: "2 answers in" }).waitFor();
    expect(await page.textContent("#outcome")).toMatch(new RegExp(`6 layers in place of 8 apart, version ${second}`));
    expect(await page.locator("#answers li").count()).toBe(2);
    expect(await page.locator("#pieces tbody tr").allTextContents()).toHaveLength(5); // three stretches, two branches
    await page.fill("#admin-token", adminToken);
    await page.press("#admin-token", "Enter");
    const back = page.locator("#history button");
    await back.press("Enter");
    await back.press("Enter");
    await page.locator("#model", { hasText: `version ${first}` }).waitFor();
    expect(await page.locator("#tasks label").allTextContents()).toEqual(["rte", "sst2"]);
    await page.fill("#pair", "");
    await page.click("#run");
    await page.locator("#outcome", { hasText: `1 answer in` }).waitFor();
    expect(await page.textContent("#outcome")).toContain(`version ${first}`);
    expect(refused).toEqual([]);
  });
});
