import { describe, expect, test } from "@jest/globals";
import Ajv from "ajv/dist/2020";
import { openApi } from "../../../src/serve/http/openapi";
import { pageFiles } from "../../../src/serve/page/page";
import { fakeExits, fakeServer, version } from "../fake";

const document = openApi();
type Paths = Readonly<Record<string, Readonly<Record<string, unknown>>>>;
const methods = ["get", "post"];

test("is OpenAPI 3.1, and what is served", async () => {
  const { app, close } = await fakeServer();
  const served = await app.inject({ method: "GET", url: "/openapi.json" });
  expect(served.json()).toEqual(JSON.parse(JSON.stringify(document)));
  expect([document.openapi, served.headers["content-type"]]).toEqual(["3.1.0", "application/json; charset=utf-8"]);
  await close();
});

test("has every route, and no other", async () => {
  const { app, close } = await fakeServer();
  const described = Object.entries(document.paths as Paths).flatMap(([url, item]) =>
    methods.filter((method) => method in item).map((method) => `${method.toUpperCase()} ${url}`),
  );
  for (const route of described) {
    const [method, url] = route.split(" ") as ["GET" | "POST", string];
    expect([route, app.hasRoute({ method, url: url.replace(/\{(\w+)\}/g, ":$1") })]).toEqual([route, true]);
  }
  // As Fastify draws them: one a line, with its methods.
  const drawn = app.printRoutes({ commonPrefix: false }).match(/\((GET|POST|HEAD|OPTIONS)[^)]*\)/g) ?? [];
  const count = drawn.join().match(/GET|POST/g)?.length;
  // The page's files are no part of the API.
  expect(count).toBe(described.length + pageFiles().length);
  await close();
});

describe("its schemas", () => {
  const ajv = new Ajv({ strict: false });
  ajv.addSchema({ $id: "api", ...document });
  const fits = (name: string, value: unknown) => {
    const validate = ajv.getSchema(`api#/components/schemas/${name}`);
    if (!validate) throw new Error(`no schema ${name}`);
    return validate(value) ? null : validate.errors;
  };

  test("are what answers are", async () => {
    const { app, inference, close } = await fakeServer();
    inference.automatic = true;
    const post = async (payload: object, url = "/v1/predict") =>
      (await app.inject({ method: "POST", url, payload })).json();
    const get = async (url: string) => (await app.inject({ method: "GET", url })).json();
    const input = { name: "text", datatype: "BYTES", shape: [1], data: ["film"] };
    const answers: [string, unknown][] = [
      ["Predicted", await post({ text: "film" })],
      ["Predicted", await post({ text: "film", pair: "film" })],
      ["PredictedRows", await post({ rows: [{ text: "film", id: 1 }], top_k: 2 })],
      ["Error", await post({ text: 5 })],
      ["Error", await post({}, "/v2/models/mood/infer")],
      ["Model", await get("/v1/model")],
      ["Stats", await get("/v1/stats")],
      ["Status", await get("/healthz")],
      ["ServerMetadata", await get("/v2")],
      ["ModelMetadata", await get("/v2/models/mood")],
      ["ModelReady", await get("/v2/models/mood/ready")],
      ["InferResponse", await post({ inputs: [input] }, "/v2/models/mood/infer")],
    ];
    for (const [name, value] of answers) expect([name, value, fits(name, value)]).toEqual([name, value, null]);
    await close();
    const leaving = await fakeServer({ versions: [version("11111111", "a1", [], fakeExits)] });
    const told = (await leaving.app.inject({ method: "GET", url: "/v1/model" })).json();
    expect([told.tasks[0].exits, "exits" in told.tasks[1], fits("Model", told)]).toEqual([fakeExits.rule, false, null]);
    await leaving.close();
  });

  test("take what the server takes, and refuse what it refuses by its shape", () => {
    const good = [
      { text: "a" },
      { text: "a", pair: "b", tasks: ["x"], top_k: 1, offset_unit: "utf16", stream: true },
      { rows: [{ text: "a", id: 1 }] },
    ];
    const bad = [
      {},
      { text: 1 },
      { text: "a", rows: [{ text: "a" }] },
      { text: "a", other: 1 },
      { rows: [] },
      { text: "a", top_k: 0 },
    ];
    expect(good.map((body) => fits("PredictRequest", body))).toEqual(good.map(() => null));
    expect(bad.map((body) => fits("PredictRequest", body) !== null)).toEqual(bad.map(() => true));
  });
});
