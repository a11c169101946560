// A server with the API of flexbert serve that answers as it is told: what the page is tested before. The real one answers in
// test/serve/page/served.process.test.ts.

import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type {
  HistoryItem,
  ModelAnswer,
  ModelTask,
  StatsAnswer,
  StreamEvent,
  TaskAnswer,
} from "../../../src/client/api";
import { pageFiles, pageHeaders } from "../../../src/serve/page/page";

const task = (
  name: string,
  fork: number | null,
  layers: number,
  inputs: "single" | "pair",
  labels: readonly string[],
): ModelTask => ({
  ...{ name, fork, layers, inputs, labels, maxLength: 128 },
  kind: labels.length > 0 ? "classification" : "regression",
  version: `${name}0000`.slice(0, 8),
});

export const fakeModel: ModelAnswer = {
  version: "4e3d5a46",
  tags: ["stable"],
  base: { name: "sentence-transformers/all-MiniLM-L6-v2", layers: 6 },
  precision: "int8",
  tasks: [
    task("sst2", 1, 1, "single", ["negative", "positive"]),
    task("rte", 4, 2, "pair", ["entailment", "not_entailment"]),
    task("mrpc", 2, 2, "pair", ["not_equivalent", "equivalent"]),
    task("stsb", 2, 1, "pair", []),
    task("mnli", 4, 1, "pair", ["contradiction", "entailment", "neutral"]),
  ],
};

const answerOf = ({ labels, version, kind }: ModelTask): TaskAnswer => {
  if (kind === "tagging") {
    const spans = labels.map((label, i) => ({ label, start: i, end: i + 1, text: `<i>${i}</i>`, score: 0.75 }));
    return { spans, version };
  }
  if (labels.length === 0) return { value: 3.217, version };
  const scores = Object.fromEntries(labels.map((label, i) => [label, i === 1 ? 0.9 : 0.1 / (labels.length - 1)]));
  return { label: labels[1] as string, score: 0.9, scores, version };
};

export const fakeHistory = (current: string): HistoryItem[] =>
  ["11111111", "22222222", "4e3d5a46"].map((version, i) => ({
    version,
    time: `2026-11-2${i}T10:00:00.000Z`,
    command: i === 0 ? "merge" : "update rte",
    note: i === 1 ? "<b>more</b> epochs" : null,
    tags: i === 2 ? ["stable"] : [],
    isCurrent: version === current,
    isThere: i > 0,
    tasks: i > 0 ? fakeModel.tasks.map(({ name }) => name) : null,
  }));

export interface Fake {
  readonly url: string;
  /** Bodies of requests, with the token that came with each. */
  readonly asked: { readonly path: string; readonly body: Record<string, unknown>; readonly token: string | null }[];
  /** What the server is. */
  model: ModelAnswer;
  stats: StatsAnswer;
  /** Tokens that it wants; null for none. */
  token: string | null;
  adminToken: string;
  /** Encoder layers after which texts leave, by task. */
  exitLayers: Readonly<Record<string, number>>;
  /** Holds each task's answer back until it is let go. */
  gate: ((task: string) => Promise<void>) | null;
  /** In place of a prediction. */
  refusal: { status: number; code: string; message: string } | null;
  close(): void;
}

export async function startFake(): Promise<Fake> {
  const server = createServer((request, response) => void answer(fake, request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const fake: Fake = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    asked: [],
    model: fakeModel,
    stats: {
      requests_per_second: 12.3,
      texts_per_second: 123.4,
      p50_ms: 5.21,
      p99_ms: 12.5,
      queue: { rows: 3, tokens: 60, delay_ms: 4 },
      versions: [{ version: fakeModel.version, requests: 0 }],
      swaps: 0,
      refused: null,
      processes: [{ pid: 7, alive: true, rss_bytes: 155e6, restarts: 0 }],
      draining: false,
    },
    token: null,
    adminToken: "root",
    exitLayers: {},
    gate: null,
    refusal: null,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
  return fake;
}

async function answer(fake: Fake, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url ?? "/";
  const file = pageFiles().find((one) => one.path === path);
  if (file) {
    response.writeHead(200, { ...pageHeaders, "content-type": file.type });
    response.end(file.body);
    return;
  }
  let text = "";
  for await (const chunk of request) text += chunk;
  const token = /^Bearer (.*)$/.exec(request.headers.authorization ?? "")?.[1] ?? null;
  const json = (body: unknown, status = 200) => {
    response.writeHead(status, { "content-type": "application/json", "x-request-id": "req-1" });
    response.end(JSON.stringify(body));
  };
  const refuse = (status: number, code: string, message: string) =>
    json({ error: { code, message, request_id: "req-1" } }, status);
  const isAdmin = path.startsWith("/admin/") || path === "/v1/history";
  const wanted = isAdmin ? fake.adminToken : fake.token;
  if (wanted !== null && token !== wanted) return refuse(401, "no_token", "the request needs a token");
  const body = text === "" ? {} : JSON.parse(text);
  if (path !== "/v1/stats" && path !== "/v1/model") fake.asked.push({ path, body, token });
  if (path === "/v1/model") return json(fake.model);
  if (path === "/v1/stats") return json(fake.stats);
  if (path === "/v1/history") return json({ current: fake.model.version, history: fakeHistory(fake.model.version) });
  if (path.startsWith("/admin/")) {
    const from = fake.model.version;
    if (path === "/admin/rollback") become(fake, body.to ?? "22222222");
    return json({ version: fake.model.version, changed: fake.model.version !== from, from });
  }
  if (path !== "/v1/predict") return refuse(404, "unknown_route", `there is no ${path}`);
  const { refusal } = fake;
  if (refusal) return refuse(refusal.status, refusal.code, refusal.message);
  return stream(fake, body, response);
}

/** Another version is served from now on. */
export function become(fake: Fake, version: string): void {
  fake.model = { ...fake.model, version, tags: [] };
  fake.stats = { ...fake.stats, versions: [{ version, requests: 0 }] };
}

async function stream(fake: Fake, body: { pair?: string; tasks?: string[] }, response: ServerResponse): Promise<void> {
  const inputs = body.pair === undefined ? "single" : "pair";
  const tasks = fake.model.tasks
    .filter((one) => body.tasks?.includes(one.name) ?? one.inputs === inputs)
    .sort((a, b) => (a.fork ?? 0) - (b.fork ?? 0));
  response.writeHead(200, { "content-type": "text/event-stream", "x-request-id": "req-1" });
  const send = ({ event, data }: StreamEvent) => response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  const depth = Math.max(0, ...tasks.map(({ fork }) => fork ?? 0));
  const plan = tasks.map(({ name, fork, layers, version }) => ({ name, fork, layers, version }));
  send({ event: "plan", data: { tasks: plan, depth } });
  for (const [i, one] of tasks.entries()) {
    await fake.gate?.(one.name);
    const layer = fake.exitLayers[one.name];
    const prediction = { ...answerOf(one), ...(layer === undefined ? {} : { exit_layer: layer }) };
    send({ event: "prediction", data: { row: 0, task: one.name, prediction, at_ms: 1.5 * (i + 1) } });
  }
  const pieces = tasks.map(({ name, layers }) => ({ piece: name, rows: 1, tokens: 14, layers, ms: 0.8 }));
  const layers_run = depth + tasks.reduce((sum, { layers }) => sum + layers, 0);
  const { version } = fake.model;
  send({ event: "done", data: { model: { version }, rows: 1, layers_run, pieces, ms: 6.4 } });
  response.end();
}
