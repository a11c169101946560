// The MLflow tracker against a local server that speaks MLflow's REST API 2.0 as far as flexbert uses it, and fails in
// the ways that servers fail.

import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { afterEach, describe, expect, test } from "@jest/globals";
import { openEngine } from "../../../src/engines/open";
import { placesOf } from "../../../src/model/place";
import { glueTasks } from "../../../src/tasks/glue";
import { mlflowTracker } from "../../../src/training/tracking/mlflow";
import { parseMlflowUri } from "../../../src/training/tracking/mlflow-server";
import { makeRun } from "../../report/stored-runs";
import { finetune } from "../../sweeps";
import { quietContext, temporaryFolder, tinyBase, tinyRun, tinyTraining, writeTinyGlue } from "../../tiny";

const root = temporaryFolder();

interface Call {
  readonly endpoint: string;
  readonly fields: Record<string, unknown>;
  readonly headers: IncomingMessage["headers"];
}

interface Answer {
  readonly status?: number;
  readonly body: unknown;
}

const refusal = (error_code: string, status = 404): Answer => ({ status, body: { error_code, message: "made up" } });

/** Answers as MLflow does; `override` may answer first. */
async function startMlflow(override: (call: Call) => Answer | "hang up" | undefined = () => undefined) {
  const calls: Call[] = [];
  const runs = new Map<string, { metrics: unknown[]; params: unknown[]; status: string; name: unknown }>();
  let experiment = false;
  const answer = (call: Call): Answer => {
    const { endpoint, fields } = call;
    if (endpoint === "experiments/get-by-name") {
      return experiment ? { body: { experiment: { experiment_id: "7" } } } : refusal("RESOURCE_DOES_NOT_EXIST");
    }
    if (endpoint === "experiments/create") {
      experiment = true;
      return { body: { experiment_id: "7" } };
    }
    if (endpoint === "runs/create") {
      const run_id = `run${runs.size + 1}`;
      runs.set(run_id, { metrics: [], params: [], status: "RUNNING", name: fields["run_name"] });
      return { body: { run: { info: { run_id } } } };
    }
    const run = runs.get(String(fields["run_id"]));
    if (!run) return refusal("RESOURCE_DOES_NOT_EXIST");
    if (endpoint === "runs/log-batch") {
      const { metrics = [], params = [] } = fields as { metrics?: unknown[]; params?: unknown[] };
      if (metrics.length > 1000 || params.length > 100) return refusal("INVALID_PARAMETER_VALUE", 400);
      run.metrics.push(...metrics);
      run.params.push(...params);
      return { body: {} };
    }
    if (endpoint === "runs/update") {
      run.status = String(fields["status"]);
      return { body: { run_info: {} } };
    }
    return refusal("ENDPOINT_NOT_FOUND");
  };
  const server = createServer(async (request, response) => {
    let text = "";
    for await (const chunk of request) text += chunk;
    const url = new URL(request.url ?? "", "http://local");
    const endpoint = url.pathname.replace("/api/2.0/mlflow/", "");
    const fields = request.method === "GET" ? Object.fromEntries(url.searchParams) : JSON.parse(text);
    const call = { endpoint, fields, headers: request.headers };
    calls.push(call);
    const given = override(call) ?? answer(call);
    if (given === "hang up") {
      response.destroy();
      return;
    }
    const body = typeof given.body === "string" ? given.body : JSON.stringify(given.body);
    response.writeHead(given.status ?? 200, { "content-type": "application/json" }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const uri = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  closers.push(close);
  return { uri, calls, runs, close };
}

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
  for (const name of ["TOKEN", "USERNAME", "PASSWORD"]) delete process.env[`MLFLOW_TRACKING_${name}`];
});

function collect() {
  const warnings: string[] = [];
  return { warnings, reporter: { warn: (line: string) => void warnings.push(line) } };
}

async function runFolder(name: string): Promise<string> {
  const record = await makeRun(path.join(root, name), { layers: 2, score: 0.5 });
  return path.join(root, name, "owner--tiny/rte/finetune", `k2-seed1-${record.id}`);
}

test("a training run arrives: experiment, parameters, every metric, and how it ended", async () => {
  const { uri, runs, calls } = await startMlflow();
  writeTinyGlue(path.join(root, "glue"));
  const { engine } = await openEngine("wasm", {});
  const { warnings, reporter } = collect();
  const context = { ...quietContext(engine).context, trackers: [mlflowTracker(uri, reporter)] };
  const training = { ...tinyTraining, epochs: 4 };
  const request = {
    task: glueTasks.rte,
    base: tinyBase(),
    places: placesOf(4, [1, 2]),
    seeds: [1],
    training,
    run: tinyRun(root),
  };
  const begun = Date.now();
  const trained = await finetune(request, context);
  expect(warnings).toEqual([]);
  expect([...runs.values()].map(({ status }) => status)).toEqual(["FINISHED", "FINISHED"]);
  expect(calls.filter(({ endpoint }) => endpoint === "experiments/create")).toHaveLength(1);
  const [first] = runs.values();
  const [run] = trained;
  expect(first?.name).toBe(path.basename(run?.folder as string));
  expect(first?.params).toEqual(
    expect.arrayContaining([
      { key: "task", value: "rte" },
      { key: "layers", value: "2" },
      { key: "learningRate", value: "0.001" },
    ]),
  );
  const lines = readFileSync(path.join(run?.folder as string, "metrics.jsonl"), "utf8")
    .trim()
    .split("\n");
  const expected = lines.flatMap((line) => {
    const { step, loss, dev } = JSON.parse(line);
    return dev ? [["dev/accuracy", step, dev.accuracy]] : [["train/loss", step, loss]];
  });
  const metrics = first?.metrics as { key: string; step: number; value: number; timestamp: number }[];
  const arrived = metrics
    .filter(({ key }) => key === "train/loss" || key === "dev/accuracy")
    .map(({ key, step, value }) => [key, step, value]);
  expect(arrived).toEqual(expected);
  for (const { timestamp } of metrics) {
    expect(timestamp).toBeGreaterThanOrEqual(begun);
    expect(timestamp).toBeLessThanOrEqual(Date.now());
  }
});

test("a resumed run goes on in its MLflow run; one that the server has lost begins again", async () => {
  const { uri, runs } = await startMlflow();
  const folder = await runFolder("resumed");
  const { warnings, reporter } = collect();
  const session = async (step: number) => {
    const begun = await mlflowTracker(uri, reporter).begin({ folder, label: "rte k=2", step });
    await begun.log(step + 10, { "train/loss": 1 });
    await begun.end(step === 0 ? "stopped" : "finished");
  };
  await session(0);
  expect([...runs.values()].map(({ status }) => status)).toEqual(["KILLED"]);
  await session(10);
  expect([...runs.values()].map(({ status, metrics }) => [status, metrics.length])).toEqual([["FINISHED", 2]]);
  runs.clear();
  await session(20);
  expect(runs.size).toBe(1);
  expect(warnings).toEqual([]);
});

test("many values go in batches that the API takes; undefined ones stay at home", async () => {
  const { uri, runs, calls } = await startMlflow();
  const { reporter, warnings } = collect();
  const session = await mlflowTracker(uri, reporter).begin({ folder: await runFolder("many"), label: "many", step: 0 });
  for (let step = 1; step <= 2500; step++) await session.log(step, { "train/loss": step, "dev/pearson": null });
  await session.log(2501, { "train/loss": Number.NaN });
  await session.end("finished");
  expect([...runs.values()][0]?.metrics).toHaveLength(2500);
  const batches = calls.filter(({ endpoint, fields }) => endpoint === "runs/log-batch" && "metrics" in fields);
  expect(batches.length).toBeGreaterThanOrEqual(3);
  expect(warnings).toEqual([]);
});

test("credentials: of the address, of the environment, as a token; never in a warning", async () => {
  const { uri, calls, close } = await startMlflow();
  const once = async (address: URL, name: string) => {
    const { reporter, warnings } = collect();
    const session = await mlflowTracker(address, reporter).begin({
      folder: await runFolder(name),
      label: name,
      step: 0,
    });
    await session.end("finished");
    return { authorization: calls.at(-1)?.headers.authorization, warnings };
  };
  expect((await once(uri, "nobody")).authorization).toBeUndefined();
  const named = new URL(uri);
  named.username = "ada";
  named.password = "s%3Acret";
  const basic = `Basic ${Buffer.from("ada:s:cret").toString("base64")}`;
  expect((await once(named, "named")).authorization).toBe(basic);
  process.env["MLFLOW_TRACKING_TOKEN"] = "t0ken";
  expect((await once(uri, "token")).authorization).toBe("Bearer t0ken");
  process.env["MLFLOW_TRACKING_USERNAME"] = "bob";
  expect((await once(uri, "bob")).authorization).toBe(`Basic ${Buffer.from("bob:").toString("base64")}`);
  await close();
  const { warnings } = await once(named, "gone");
  expect(warnings.join()).toMatch(/ECONNREFUSED/);
  expect(warnings.join()).not.toMatch(/ada|cret/);
});

describe("a server that fails costs its warning alone", () => {
  test("one that is not there: said once a run, then left alone", async () => {
    const { uri, close } = await startMlflow();
    await close();
    const { reporter, warnings } = collect();
    const tracker = mlflowTracker(uri, reporter);
    for (const label of ["first", "second"]) {
      const session = await tracker.begin({ folder: await runFolder(label), label, step: 0 });
      await session.log(10, { "train/loss": 1 });
      await session.end("finished");
    }
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toMatch(/ECONNREFUSED.*first trains on without it/);
    expect(warnings[1]).toMatch(/is left alone from here on: nothing of first reached it/);
  });

  test("one that recovers gets what it missed", async () => {
    let failing = true;
    const { uri, runs } = await startMlflow(({ endpoint }) => {
      if (endpoint !== "runs/log-batch" || !failing) return undefined;
      failing = false;
      return { status: 503, body: "<html>down</html>" };
    });
    const { reporter, warnings } = collect();
    const session = await mlflowTracker(uri, reporter).begin({
      folder: await runFolder("back"),
      label: "back",
      step: 0,
    });
    await session.log(10, { "train/loss": 1 });
    await session.log(20, { "train/loss": 2 });
    await session.end("finished");
    const values = [...runs.values()].flatMap(({ metrics }) => metrics as { value: number }[]);
    expect(values.map(({ value }) => value)).toEqual([1, 2]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/runs\/log-batch answers 503 with no JSON|runs\/log-batch answers 503/);
  });

  test("one that takes no metrics: how many values are missing is said", async () => {
    const { uri } = await startMlflow(({ endpoint, fields }) =>
      endpoint === "runs/log-batch" && "metrics" in fields ? "hang up" : undefined,
    );
    const { reporter, warnings } = collect();
    const session = await mlflowTracker(uri, reporter).begin({
      folder: await runFolder("none"),
      label: "none",
      step: 0,
    });
    await session.log(10, { "train/loss": 1, "train/grad_norm": 2 });
    await session.end("finished");
    expect(warnings.at(-1)).toBe("2 values of none did not reach MLflow; metrics.jsonl has them");
  });

  test("one that is no MLflow server is told by its answers", async () => {
    const { uri } = await startMlflow(() => ({ body: "<html>welcome</html>" }));
    const { reporter, warnings } = collect();
    const session = await mlflowTracker(uri, reporter).begin({
      folder: await runFolder("html"),
      label: "html",
      step: 0,
    });
    await session.end("finished");
    expect(warnings[0]).toMatch(/with no JSON, so it seems to be no MLflow server/);
  });
});

test("parseMlflowUri takes http and https alone", () => {
  expect(parseMlflowUri("https://mlflow.example/base").href).toBe("https://mlflow.example/base");
  for (const wrong of ["./mlruns", "file:///tmp/mlruns", "localhost:5000", ""]) {
    expect(() => parseMlflowUri(wrong)).toThrow(/it takes the address of a tracking server, such as http/);
  }
});
