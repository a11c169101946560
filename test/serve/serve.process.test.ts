// flexbert serve as users run it, over a small real folder: what it answers, changes under load, and its end.

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { openModel } from "../../src/api/open-model";
import { rollBack, tagVersion } from "../../src/merge/history/rollback";
import { flexbert } from "../cli/flexbert";
import { storedManifest, storeManifest } from "../merged";
import { temporaryFolder } from "../tiny";
import { type ServeProcess, startServe } from "./running-server";
import { type TwoVersions, twoVersions } from "./two-versions";

const folder = temporaryFolder();
const tokens = path.join(folder, "tokens.json");
const dist = path.join(__dirname, "../../dist");
const texts = ["a good film", "a dull book", "he saw the long film", "bad"];
let served: TwoVersions;
let admin = "";
/** Logits' words by version: what a direct run says of mood. */
const direct = new Map<string, unknown[]>();

const small = ["--workers", "1", "--threads", "1"];
const run = (...args: readonly string[]) => flexbert(args, { cwd: folder });

beforeAll(async () => {
  served = await twoVersions(folder);
  for (const version of [served.first, served.second]) {
    const model = await openModel({ model: served.merged, version, engine: "onnx", threads: 1, task: "mood" });
    direct.set(
      version,
      (await model.predict(texts)).map(({ predictions }) => predictions["mood"]),
    );
    model.close();
  }
  admin = run("serve", "--new-token", "boss", "--admin", "--tokens", tokens).stdout.trim();
});

interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON it is
  readonly body: any;
}

async function ask(url: string, address: string, body?: object, method = "POST"): Promise<Answer> {
  const response = await fetch(`${url}${address}`, {
    method,
    headers: { authorization: `Bearer ${admin}`, ...(body && { "content-type": "application/json" }) },
    ...(body && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json() };
}

/** Whether an answer of mood is that of a direct run of the version that it names. */
function isRight(index: number, { status, body }: Answer): boolean {
  if (status !== 200) return false;
  const { version, ...prediction } = body.predictions.mood;
  const expected = direct.get(body.model.version)?.[index];
  return version !== undefined && JSON.stringify(prediction) === JSON.stringify(expected);
}

describe("a running server", () => {
  let server: ServeProcess;
  beforeAll(async () => {
    server = await startServe(["--merged", served.merged, "--tokens", tokens, ...small]);
  });
  afterAll(async () => {
    expect(await server.stop()).toBe(0);
  });

  test("says what predict says, to the bit, in one text or many", async () => {
    for (const [i, text] of texts.entries()) {
      const answer = await ask(server.url, "/v1/predict", { text });
      expect([answer.body.model.version, isRight(i, answer)]).toEqual([served.second, true]);
    }
    const file = path.join(folder, "pairs.tsv");
    writeFileSync(file, `text\tpair\n${texts.map((text, i) => `${text}\t${texts[3 - i]}`).join("\n")}\n`);
    const { stdout } = run("predict", "--model", served.merged, "--file", file, "--format", "jsonl", "--threads", "1");
    const lines = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).predictions);
    const rows = texts.map((text, i) => ({ text, pair: texts[3 - i] }));
    const { body } = await ask(server.url, "/v1/predict", { rows });
    const answered = body.rows.map(({ predictions }: { predictions: object }) => predictions);
    // Rows of unlike lengths share a batch, and attention sums more zeros: docs/decisions.md.
    expect(answered.map((row: object) => Object.keys(row))).toEqual(lines.map((row) => Object.keys(row)));
    for (const [i, row] of answered.entries()) {
      expect(row.closeness.value).toBeCloseTo(lines[i].closeness.value, 5);
      expect(row.verdict.score).toBeCloseTo(lines[i].verdict.score, 5);
    }
  });

  test("changes under requests: every answer is one version's, none fails, and after a reload none is old", async () => {
    let [done, wrong, stale, asked] = [false, 0, 0, 0];
    let confirmed = served.second;
    const client = async (start: number) => {
      for (let i = start; !done; i = (i + 1) % texts.length) {
        const before = confirmed;
        const moving = changing;
        const answer = await ask(server.url, "/v1/predict", { text: texts[i] });
        asked++;
        if (!isRight(i, answer)) wrong++;
        // What was asked after a change was confirmed, and answered before the next began.
        if (!moving && !changing && before === confirmed && answer.body.model?.version !== before) stale++;
      }
    };
    let changing = false;
    const clients = [0, 1, 2, 3].map(client);
    for (let swap = 0; swap < 12; swap++) {
      const to = swap % 2 === 0 ? served.first : served.second;
      const from = asked;
      while (asked < from + 8) await setTimeout(1);
      changing = true;
      await rollBack(served.merged, to);
      const { status, body } = await ask(server.url, "/admin/reload");
      expect([status, body.version]).toEqual([200, to]);
      confirmed = to;
      changing = false;
    }
    done = true;
    await Promise.all(clients);
    expect({ wrong, stale, enough: asked > 90 }).toEqual({ wrong: 0, stale: 0, enough: true });
    const stats = async () => (await ask(server.url, "/v1/stats", undefined, "GET")).body;
    let body = await stats();
    // A client may have its answer before the server has counted it as given.
    while (body.versions.some(({ requests }: { requests: number }) => requests > 0)) body = await stats();
    expect([body.versions, body.processes[0].restarts]).toEqual([[{ version: served.second, requests: 0 }], 0]);
  });

  test("sees a change by itself", async () => {
    await rollBack(served.merged, served.first);
    let version = "";
    while (version !== served.first) ({ version } = (await ask(server.url, "/v1/model", undefined, "GET")).body);
    expect((await ask(server.url, "/admin/rollback", { to: served.second })).body).toMatchObject({ changed: true });
    expect((await ask(server.url, "/v1/model", undefined, "GET")).body.version).toBe(served.second);
  });

  test("refuses a broken version with its reason, answers on, and goes back by an admin's word", async () => {
    const manifest = storedManifest(served.merged);
    const mood = manifest.tasks.find(({ name }: { name: string }) => name === "mood");
    mood.sha256 = "0".repeat(64);
    const broken = storeManifest(served.merged, manifest);
    const { status, body } = await ask(server.url, "/admin/reload");
    expect([status, body.error.code]).toEqual([409, "version_refused"]);
    expect(body.error.message).toMatch(
      new RegExp(`^version ${broken} is refused.*mood-[0-9a-f]{8}\\.safetensors has sha256`),
    );
    expect(body.error.message).not.toMatch(folder);
    expect(isRight(0, await ask(server.url, "/v1/predict", { text: texts[0] }))).toBe(true);
    expect((await ask(server.url, "/v1/stats", undefined, "GET")).body.refused.version).toBe(broken);
    const back = await ask(server.url, "/admin/rollback", { to: served.second });
    expect([back.status, back.body.version]).toEqual([200, served.second]);
    expect((await ask(server.url, "/v1/stats", undefined, "GET")).body.refused).toBe(null);
  });

  test("streams", async () => {
    const response = await fetch(`${server.url}/v1/predict`, {
      ...{ method: "POST", headers: { authorization: `Bearer ${admin}`, "content-type": "application/json" } },
      body: JSON.stringify({ text: texts[0], pair: texts[1], stream: true }),
    });
    const events = (await response.text()).match(/^event: \w+/gm);
    expect(events).toEqual(["event: plan", "event: prediction", "event: prediction", "event: done"]);
  });

  test("a second server on its port ends with one clear error", () => {
    const { port } = new URL(server.url);
    const { status, stderr, stdout } = run("serve", "--merged", served.merged, "--port", port);
    expect([status, stdout, stderr]).toEqual([
      1,
      "",
      `flexbert: port ${port} of 127.0.0.1 is in use. Give another with --port, or 0 for any that is free\n`,
    ]);
  });
});

test("--version follows a tag, and not what is current", async () => {
  await rollBack(served.merged, served.second);
  await tagVersion(served.merged, "stable", served.first);
  const server = await startServe(["--merged", served.merged, "--version", "stable", "--tokens", tokens, ...small]);
  const version = async () => (await ask(server.url, "/v1/model", undefined, "GET")).body;
  expect(await version()).toMatchObject({ version: served.first, tags: ["stable"] });
  expect((await ask(server.url, "/admin/reload")).body.changed).toBe(false);
  expect((await ask(server.url, "/admin/rollback")).body.error.code).toBe("pinned");
  await tagVersion(served.merged, "stable", served.second);
  // Whoever was quicker, the watch or this.
  expect((await ask(server.url, "/admin/reload")).body).toMatchObject({ version: served.second });
  expect(await server.stop()).toBe(0);
});

test("SIGTERM under load loses nothing: what was taken is answered, the rest is told, and it ends with 0", async () => {
  // On a machine that is busy with other tests the queue would be full, which is no loss and not what this is about.
  const patient = ["--max-delay-ms", "60000"];
  const server = await startServe(["--merged", served.merged, "--tokens", tokens, ...small, ...patient]);
  const seen: Record<string, number> = {};
  const count = (what: string) => {
    seen[what] = (seen[what] ?? 0) + 1;
  };
  let stopped: Promise<number | null> | null = null;
  const rows = Array.from({ length: 20 }, (_, i) => ({ text: texts[i % 4] }));
  const client = async () => {
    for (let i = 0; i < 100; i++) {
      try {
        const { status, body } = await ask(server.url, "/v1/predict", { rows });
        count(status === 200 && body.rows.length === rows.length ? "answered" : `${status} ${body.error?.code}`);
        if (status !== 200) return;
      } catch (error) {
        // Nobody listens any more: the request was never taken.
        const { code } = Object((error as Error).cause) as { code?: string };
        return count(String(code));
      }
      if (seen["answered"] === 30) stopped = server.stop();
    }
  };
  await Promise.all(Array.from({ length: 8 }, client));
  expect(await stopped).toBe(0);
  const { answered = 0, ECONNREFUSED: _, "503 draining": __, ...others } = seen;
  expect([answered >= 30, others]).toEqual([true, {}]);
});

describe("what does not start", () => {
  const cases: [string, string[], number, RegExp][] = [
    [
      "a folder that is none",
      ["--merged", "nothing"],
      4,
      /^flexbert: nothing is no merged model, and no other can be served\. Run: flexbert merge --out nothing$/,
    ],
    [
      "another host without tokens",
      ["--merged", "served", "--host", "0.0.0.0"],
      2,
      /--host 0\.0\.0\.0 can be reached by others.*--new-token NAME; or give --no-auth/,
    ],
    [
      "a version that is not there",
      ["--merged", "served", "--version", "none", "--port", "0"],
      4,
      /has no version "none"/,
    ],
    [
      "a certificate without its key",
      ["--merged", "served", "--tls-cert", "a.pem"],
      2,
      /--tls-cert and --tls-key go together/,
    ],
    [
      "a certificate that is not there",
      ["--merged", "served", "--tls-cert", "a.pem", "--tls-key", "b.pem"],
      2,
      /a\.pem is not there/,
    ],
    [
      "a certificate that is none",
      ["--merged", "served", "--tls-cert", "tasks.yaml", "--tls-key", "tasks.yaml"],
      2,
      /are no certificate and its key/,
    ],
    ["an origin that is none", ["--merged", "served", "--cors", "*"], 2, /--cors \* is no origin/],
    [
      "an origin as no browser writes it",
      ["--merged", "served", "--cors", "https://a.example,https://B.example:443/"],
      2,
      /--cors https:\/\/B\.example:443\/ .*which is https:\/\/b\.example\. Give that/,
    ],
    ["--admin alone", ["--admin"], 2, /--admin is of --new-token/],
    [
      "an address that is none",
      ["--merged", "served", "--host", "203.0.113.1", "--no-auth", "--port", "0"],
      2,
      /is no address to listen on/,
    ],
    ["int8 of a folder without", ["--merged", "served", "--weights", "int8", "--port", "0"], 2, /has no int8 weights/],
  ];
  test.each(cases)("%s", (_, args, status, message) => {
    const result = run("serve", ...args, ...(args[0] === "--merged" ? small : []));
    const told = result.stderr.split("\n").filter((line) => line.startsWith("flexbert:"));
    expect([result.status, result.stdout, told.length]).toEqual([status, "", 1]);
    expect(told[0]).toMatch(message);
    expect(result.stderr).not.toMatch(/^\s+at /m);
  });
});

test("tokens that are not where they were said to be are told", () => {
  // It does not start, for another reason.
  const args = ["serve", "--merged", "served", "--weights", "int8", "--port", "0", ...small];
  const told =
    /nothing\.json is not there: requests need no token\. Make one: flexbert serve --new-token NAME --tokens nothing\.json/;
  expect(run(...args, "--tokens", "nothing.json").stderr).toMatch(told);
  expect(run(...args).stderr).not.toMatch(/requests need no token/);
});

test("--new-token prints a token once, and stores its hash", () => {
  const { status, stdout, stderr } = run("serve", "--new-token", "ci", "--tokens", "own.json");
  expect([status, stdout]).toEqual([0, expect.stringMatching(/^fb_[\w-]{43}\n$/)]);
  expect(stderr).toMatch("this is the only time that it is shown");
  expect(readFileSync(path.join(folder, "own.json"), "utf8")).not.toMatch(stdout.trim());
  const json = JSON.parse(run("serve", "--new-token", "boss", "--admin", "--tokens", "own.json", "--json").stdout);
  expect(json).toEqual({ name: "boss", role: "admin", token: expect.any(String), tokens: "own.json" });
  expect(run("serve", "--new-token", "ci", "--tokens", "own.json").status).toBe(2);
});

test("the process that answers loads no engine and no TensorFlow.js", () => {
  const script = `
    const { serve } = require(${JSON.stringify(path.join(dist, "api/serve.js"))});
    const options = { merged: ${JSON.stringify(served.merged)}, port: 0, workers: 1, threads: 1, logLevel: "silent" };
    serve(options).then(async (server) => {
      const body = JSON.stringify({ text: "a film" });
      const headers = { "content-type": "application/json" };
      const { status } = await fetch(server.url + "/v1/predict", { method: "POST", headers, body });
      console.log(JSON.stringify({ status, modules: Object.keys(require.cache) }));
      await server.close();
    });`;
  const file = path.join(folder, "library.cjs");
  writeFileSync(file, script);
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], { encoding: "utf8" });
  expect([status, stderr]).toEqual([0, ""]);
  const { status: answered, modules } = JSON.parse(stdout) as { status: number; modules: string[] };
  expect([answered, modules.some((file) => file.includes("fastify"))]).toEqual([200, true]);
  expect(
    modules.filter((file) =>
      /node_modules\/(@tensorflow|onnxruntime)|dist\/engines\/(open|onnx|wasm|tensorflow|eager)/.test(file),
    ),
  ).toEqual([]);
});

test("a port is taken before the model is opened", async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, "127.0.0.1", resolve));
  const { port } = holder.address() as AddressInfo;
  const { status, stderr } = run("serve", "--merged", served.merged, "--port", String(port), "--version", "none");
  expect([status, stderr]).toEqual([1, expect.stringMatching(/is in use/)]);
  holder.close();
});
