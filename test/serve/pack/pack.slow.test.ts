// Packs run from where they were unpacked, with nothing else there: a function by its events, a server's program by its
// commands. What they answer is what predict says.

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { merge } from "../../../src/api/merge/merge";
import { openModel } from "../../../src/api/open-model";
import { pack, planPack } from "../../../src/api/pack";
import { quantize } from "../../../src/api/quantize";
import { ExitCode, type UserError } from "../../../src/errors/errors";
import { readArchive } from "../../../src/files/zip";
import { removeTasks } from "../../../src/merge/merge";
import { planFunction } from "../../../src/serve/pack/pack";
import type { ClassPrediction, Prediction } from "../../../src/tasks/kinds/kind";
import { onWindows, unless } from "../../skips";
import { temporaryFolder, tinyBase } from "../../tiny";
import { trainTinyTasks } from "../../trained";
import { startServe } from "../running-server";

const folder = temporaryFolder();
const place = (name: string) => path.join(folder, name);
const merged = place("merged");
const single = { text: "a good film" };
const pair = { text: "a good film", pair: "the book was dull" };
type Predictions = Readonly<Record<string, Prediction>>;
/** Of int8 and of float32, by task. */
const direct: Record<string, [Predictions, Predictions]> = {};

beforeAll(async () => {
  const base = tinyBase("tiny-pack", { hidden: 32 });
  await trainTinyTasks(folder, base);
  const common = { base: base.name, checkpoints: place("checkpoints"), glueData: place("glue") };
  await merge({ ...common, task: "sst2,rte,stsb", out: merged, noOnnx: true });
  await quantize({ merged, glueData: place("glue"), threads: 1 });
  for (const weights of ["int8", "float32"] as const) {
    const model = await openModel({ model: merged, engine: "onnx", threads: 1, weights });
    const of = async (row: typeof pair | typeof single) => (await model.predict([row]))[0]?.predictions as Predictions;
    direct[weights] = [await of(single), await of(pair)];
    model.close();
  }
});

async function unpack(zip: string, to: string): Promise<void> {
  const damaged = (error: Error) => error as UserError;
  await readArchive(
    zip,
    async ({ entries, content }) => {
      for (const entry of entries) {
        const target = path.join(to, entry.name);
        mkdirSync(path.dirname(target), { recursive: true });
        writeFileSync(target, await buffer(Readable.from(content(entry))));
      }
    },
    { folder: to, damaged },
  );
}

/** What the handler gives for each event, from a process that has the unpacked folder alone. */
function invoke(unpacked: string, events: readonly unknown[]): unknown[] {
  const script = `
    const { handler } = require(${JSON.stringify(path.join(unpacked, "index.js"))});
    (async () => {
      const given = [];
      for (const event of ${JSON.stringify(events)}) {
        given.push(await handler(event, { awsRequestId: "aws-1" }).catch(({ name, message }) => ({ name, message })));
      }
      const outside = Object.keys(require.cache).filter((file) => !file.startsWith(${JSON.stringify(unpacked)}));
      console.log(JSON.stringify([...given, outside.filter((file) => file !== "[eval]"), Object.keys(require.cache).length]));
    })();`;
  const { stdout, stderr } = spawnSync(process.execPath, ["-e", script], { cwd: "/", encoding: "utf8", env: {} });
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

const unversioned = (predictions: Record<string, object>) =>
  Object.fromEntries(
    Object.entries(predictions).map(([task, { version: _, ...rest }]: [string, { version?: string }]) => [task, rest]),
  );

const http = (body: unknown, method = "POST") => ({
  version: "2.0",
  rawPath: "/v1/predict",
  requestContext: { requestId: "gateway-1", http: { method, path: "/v1/predict" } },
  body: Buffer.from(typeof body === "string" ? body : JSON.stringify(body)).toString("base64"),
  isBase64Encoded: true,
});

unless(onWindows).describe("a function", () => {
  const unpacked = place("function");

  beforeAll(async () => {
    const packed = await pack({ merged, out: place("function.zip"), arch: process.arch === "arm64" ? "arm64" : "x64" });
    expect(packed).toMatchObject({ target: "lambda", model: { weights: "int8", tasks: ["rte", "sst2", "stsb"] } });
    expect(packed.packed).toBe(readFileSync(place("function.zip")).length);
    await unpack(place("function.zip"), unpacked);
  });

  test("answers direct calls and events as the server does, out of its own folder alone", () => {
    const given = invoke(unpacked, [
      single,
      http({ rows: [{ ...pair, id: "x" }], tasks: ["rte"], top_k: 1 }),
      http({ ...pair, tasks: ["nope"] }),
      http("{"),
      http({}, "GET"),
      { text: "a", tasks: ["rte"] },
      { text: "a", stream: true },
      "hello",
    ]) as [
      { predictions: Record<string, object>; model: object },
      ...{ statusCode: number; headers: Record<string, string>; body: string }[],
    ];
    const [first, second, ...others] = given;
    expect(unversioned(first.predictions)).toEqual(direct["int8"]?.[0]);
    expect(second).toMatchObject({ statusCode: 200, headers: { "x-request-id": "gateway-1" } });
    const [row] = JSON.parse(second?.body ?? "").rows;
    const { label, score } = (direct["int8"] as [Predictions, Predictions])[1]["rte"] as ClassPrediction;
    expect(row).toMatchObject({ id: "x", predictions: { rte: { label, score, scores: [{ label, score }] } } });
    expect(others.slice(0, 3).map(({ statusCode, body }) => [statusCode, JSON.parse(body).error])).toEqual([
      [404, expect.objectContaining({ code: "unknown_task", request_id: "gateway-1" })],
      [400, expect.objectContaining({ code: "bad_json" })],
      [405, expect.objectContaining({ code: "method_not_allowed" })],
    ]);
    expect(others.slice(3, 6)).toEqual([
      { name: "task_does_not_fit", message: expect.stringContaining("rte takes pairs") },
      { name: "invalid", message: expect.stringContaining("stream") },
      { name: "invalid", message: expect.stringContaining("(request aws-1)") },
    ]);
    expect(others.slice(6)).toEqual([[], expect.any(Number)]);
  });

  test("has nothing of TensorFlow.js and of other platforms, and nothing of what was not asked for", async () => {
    const plan = await planFunction({ folder: merged, tasks: ["sst2"], arch: "x64" });
    const names = plan.files.map(({ name }) => name);
    expect(names.filter((name) => /@tensorflow|win32|darwin|arm64|vega|dist\/browser/.test(name))).toEqual([]);
    expect(names.filter((name) => /^merged\/blobs\/(rte|stsb)|trunk-layer-0[1-9]/.test(name))).toEqual([]);
    expect(
      names.filter((name) => name.startsWith("merged/blobs/")).filter((name) => !/int8|\.onnx$/.test(name)),
    ).toEqual([]);
    expect(names).toContain("merged/seven-bits/sst2.onnx");
    const arm = await planFunction({ folder: merged, arch: "arm64" });
    expect(arm.files.some(({ name }) => name.startsWith("merged/seven-bits"))).toBe(false);
  });

  test("in float32, and of some tasks, says the same too", async () => {
    const out = place("float32.zip");
    await pack({ merged, out, task: ["rte"], weights: "float32", arch: process.arch === "arm64" ? "arm64" : "x64" });
    await unpack(out, place("float32"));
    const [answer, refused] = invoke(place("float32"), [pair, { ...pair, tasks: ["stsb"] }]) as [
      { predictions: Record<string, object> },
      object,
    ];
    expect(unversioned(answer.predictions)).toEqual({ rte: direct["float32"]?.[1]["rte"] });
    expect(refused).toMatchObject({ name: "unknown_task" });
  });

  unless(process.arch === "arm64" && "only x64 has graphs of 7 bits").test(
    "on a processor that saturates bytes runs 7 bits, which are those that predict makes there",
    async () => {
      const entry = path.join(unpacked, "index.js");
      writeFileSync(
        path.join(unpacked, "old.js"),
        readFileSync(entry, "utf8").replace("openFunction({", "openFunction({ saturates: true,"),
      );
      const { stdout } = spawnSync(
        process.execPath,
        [
          "-e",
          `require(${JSON.stringify(path.join(unpacked, "old.js"))}).handler(${JSON.stringify(pair)}).then((answer) => console.log(JSON.stringify(answer)))`,
        ],
        { cwd: "/", encoding: "utf8" },
      );
      const { predictions } = JSON.parse(stdout);
      const { openEngine } = await import("../../../src/engines/open.js");
      const { openSegments } = await import("../../../src/predict/segments/segments.js");
      const { int8Pieces } = await import("../../../src/predict/segments/int8-pieces.js");
      const { computeLogits, toPrediction } = await import("../../../src/predict/predict.js");
      const { readVersion } = await import("../../../src/merge/folder/version.js");
      const { readShared } = await import("../../../src/merge/folder/blobs.js");
      const { createTokenizer } = await import("../../../src/tokenizer/tokenizer.js");
      const { engine } = await openEngine("onnx", { threads: 1 });
      const { manifest } = await readVersion(merged);
      const { config, tokenizer } = await readShared(merged, manifest);
      const { tasks } = manifest;
      const pieces = await int8Pieces(engine, merged, manifest, { config, tasks }, "int8", async () => true);
      if (!pieces) throw new Error("the folder has int8 weights");
      const segments = openSegments(config, tasks, pieces);
      const model = {
        ...segments,
        folder: merged,
        config,
        tasks,
        tokenizer: createTokenizer(tokenizer, config.vocabSize),
      };
      const pairTasks = tasks.filter(({ inputs }) => inputs === "pair");
      const { signal } = new AbortController();
      const logits = await computeLogits(model, [pair], pairTasks, { signal });
      const expected = pairTasks.map((task) => [
        task.name,
        toPrediction(task, logits[task.name]?.of(0) as Float32Array, pair),
      ]);
      segments.dispose();
      const saturates = await engine.saturates?.();
      engine.dispose();
      expect(unversioned(predictions)).toEqual(Object.fromEntries(expected));
      expect(JSON.stringify(unversioned(predictions)) === JSON.stringify(direct["int8"]?.[1])).toBe(saturates);
    },
  );

  test("that would unpack to too much is refused, with what is largest and what helps", async () => {
    const refused = await planFunction({ folder: merged, arch: "x64" }, 1_000_000).catch((error: UserError) => error);
    expect(refused).toMatchObject({ exitCode: ExitCode.model });
    expect((refused as Error).message).toMatch(
      /may to 1\.0 MB\. Largest: libonnxruntime\S* \d+\.\d MB, .*What helps: --arch arm64.*; fewer tasks \(--task\)$/,
    );
    const wide = await planFunction({ folder: merged, arch: "arm64", weights: "float32", tasks: ["rte"] }, 1).catch(
      String,
    );
    expect(wide).toMatch(/What helps: int8 weights \(flexbert quantize --merged \S+\)$/);
  });
});

describe("options", () => {
  test("what is there stays without --force", async () => {
    writeFileSync(place("mine.zip"), "mine");
    await expect(pack({ merged, out: place("mine.zip") })).rejects.toThrow(/mine\.zip is there already\. Give --force/);
    expect(readFileSync(place("mine.zip"), "utf8")).toBe("mine");
  });

  test("--force replaces a pack, and no other folder", async () => {
    const home = place("home");
    mkdirSync(path.join(home, "bin"), { recursive: true });
    for (const file of ["letters.txt", "bin/flexbert.js"]) writeFileSync(path.join(home, file), "mine");
    await expect(pack({ target: "server", out: home, force: true })).rejects.toMatchObject({
      exitCode: ExitCode.usage,
      message: expect.stringMatching(/home is there already, and is no server's pack\. Name a folder/),
    });
    await expect(pack({ merged, out: home, force: true })).rejects.toThrow(/home is a folder\. Give --out with/);
    expect(readFileSync(path.join(home, "letters.txt"), "utf8")).toBe("mine");
    rmSync(path.join(home, "letters.txt"));
    await expect(pack({ target: "server", out: home })).rejects.toThrow(/holds a server's pack already\. .* --force/);
    await pack({ target: "server", out: home, force: true });
    expect(readFileSync(path.join(home, "bin/flexbert.js"), "utf8")).not.toBe("mine");
  });

  test("files that are not those that were merged are refused", async () => {
    const copy = place("damaged");
    for (const [weights, name] of [
      ["int8", /^rte-int8-.*\.safetensors$/],
      ["float32", /^trunk-layer-00-.*\.safetensors$/],
      ["float32", /^sst2-[0-9a-f]{8}\.onnx$/],
    ] as const) {
      rmSync(copy, { recursive: true, force: true });
      cpSync(merged, copy, { recursive: true });
      const blob = readdirSync(path.join(copy, "blobs")).find((file) => name.test(file)) as string;
      truncateSync(path.join(copy, "blobs", blob), 100);
      await expect(planPack({ merged: copy, weights, arch: "arm64" })).rejects.toMatchObject({
        exitCode: ExitCode.model,
        message: expect.stringContaining(`${blob} has sha256`),
      });
    }
    writeFileSync(path.join(copy, "vocab.txt"), "[PAD]\n");
    await expect(planPack({ merged: copy, arch: "arm64" })).rejects.toThrow(/vocab\.txt/);
  });

  test("a server's pack takes no model, an unknown task and a version that is not there are told", async () => {
    await expect(planPack({ target: "server", merged })).rejects.toThrow(/--merged is of --target lambda/);
    await expect(planPack({ merged, task: ["nope"] })).rejects.toThrow(/has no task nope\. It has rte, sst2, stsb/);
    await expect(planPack({ merged, version: "stable" })).rejects.toThrow(/no version "stable"/);
    const empty = place("empty");
    cpSync(merged, empty, { recursive: true });
    await removeTasks(empty, ["rte", "sst2", "stsb"], null);
    await expect(planPack({ merged: empty })).rejects.toMatchObject({
      exitCode: ExitCode.model,
      message: expect.stringMatching(/empty has no task\. Run: flexbert add/),
    });
    expect(existsSync("flexbert-lambda.zip")).toBe(false);
  });
});

test("a server's program serves and predicts from its folder alone", async () => {
  const out = place("server");
  const packed = await pack({ target: "server", out });
  expect(packed.bytes).toBeLessThan(100e6);
  expect(packed.model).toBeNull();
  const program = [process.execPath, path.join(out, "bin/flexbert.js")];
  const server = await startServe(["--merged", merged, "--workers", "1", "--threads", "1"], program);
  try {
    const headers = { "content-type": "application/json" };
    const asked = await fetch(`${server.url}/v1/predict`, { method: "POST", headers, body: JSON.stringify(pair) });
    expect(unversioned(((await asked.json()) as { predictions: Record<string, object> }).predictions)).toEqual(
      direct["int8"]?.[1],
    );
    for (const address of ["/", "/page/client/client.js", "/metrics", "/openapi.json"]) {
      expect([address, (await fetch(`${server.url}${address}`)).status]).toEqual([address, 200]);
    }
  } finally {
    expect(await server.stop()).toBe(0);
  }
  const [command = "", ...args] = program;
  const line = [...args, "predict", "--model", merged, "--format", "jsonl", "--quiet", "a good film"];
  const { stdout, stderr } = spawnSync(command, line, { cwd: "/", encoding: "utf8" });
  expect(stderr).toBe("");
  expect(JSON.parse(stdout).predictions).toEqual(direct["int8"]?.[0]);
});
