// The programs and requests of docs/serve.md, run as they stand there before a server, whose address alone is put in.

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { merge } from "../../src/api/merge/merge";
import { predict } from "../../src/api/open-model";
import type { ClassPrediction } from "../../src/tasks/kinds/kind";
import { unless } from "../skips";
import { temporaryFolder, tinyBase } from "../tiny";
import { trainTinyTasks } from "../trained";
import { type ServeProcess, startServe } from "./running-server";

const root = path.join(__dirname, "../..");
const folder = temporaryFolder();
const merged = path.join(folder, "merged");
const python = process.env["FLEXBERT_PYTHON"] ?? "python3";
const document = readFileSync(path.join(root, "docs/serve.md"), "utf8");
const blocks = [...document.matchAll(/^```(\w+)\n(.*?)^```/gms)].map(([, language, code]) => ({
  language,
  code: code as string,
}));
const example = (language: string, holds: string): string =>
  (blocks.find((block) => block.language === language && block.code.includes(holds)) as { code: string }).code;

let server: ServeProcess;
let rte: ClassPrediction;

beforeAll(async () => {
  const base = tinyBase("tiny-serve-examples");
  await trainTinyTasks(folder, base);
  const out = merged;
  await merge({
    base: base.name,
    checkpoints: path.join(folder, "checkpoints"),
    task: "sst2,rte,stsb",
    out,
    noOnnx: true,
  });
  const [row] = await predict([{ text: "A man plays.", pair: "Someone plays." }], { model: merged, engine: "onnx" });
  rte = row?.predictions["rte"] as ClassPrediction;
  server = await startServe(["--merged", merged, "--workers", "1", "--threads", "1"]);
});
afterAll(async () => {
  expect(await server?.stop()).toBe(0);
});

function run(program: string, args: readonly string[], cwd = folder): string {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd, encoding: "utf8" });
  expect([status, stderr]).toEqual([0, ""]);
  return stdout;
}

const here = (code: string) =>
  code.replaceAll(
    /(http:\/\/)?(127\.0\.0\.1|localhost):8080/g,
    (_, scheme = "") => `${scheme}${new URL(server.url).host}`,
  );

const lacks = (module: string) =>
  spawnSync(python, ["-c", `import ${module}`]).status === 0
    ? null
    : `${python} has no ${module}. Install it, or name another Python in FLEXBERT_PYTHON`;

test("curl: one answer, and a stream", () => {
  const answer = JSON.parse(run("bash", ["-c", here(example("sh", "curl -s "))]));
  expect(Object.keys(answer.predictions)).toEqual(["rte", "stsb"]);
  expect(answer.predictions.rte).toMatchObject({ label: rte.label, score: rte.score });
  const events = run("bash", ["-c", here(example("sh", "curl -sN"))]);
  expect([...events.matchAll(/^event: (\w+)$/gm)].map(([, name]) => name)).toEqual([
    "plan",
    "prediction",
    "prediction",
    "done",
  ]);
});

unless(lacks("requests")).test("Python's requests", () => {
  expect(run(python, ["-c", here(example("python", "import requests"))])).toBe(
    `${rte.label} ${Number(rte.score.toFixed(4))}\n`,
  );
});

unless(lacks("tritonclient.http")).test("tritonclient", () => {
  expect(run(python, ["-c", here(example("python", "tritonclient"))])).toBe(`${rte.label} (1, 2)\n`);
});

test("the client", () => {
  const code = here(example("js", "FlexbertClient"));
  const script = code.replace('"flexbert/client"', JSON.stringify(path.join(root, "dist/browser/client/index.js")));
  expect(script).not.toBe(code);
  writeFileSync(path.join(folder, "example.mjs"), script);
  const lines = run(process.execPath, ["example.mjs"]).trim().split("\n");
  expect(lines[0]).toBe(`${rte.label} ${rte.score.toFixed(4)}`);
  expect(
    lines
      .slice(1, 3)
      .map((line) => line.replace(/[\d.]+ ms/, "N ms"))
      .sort(),
  ).toEqual(["rte N ms", "stsb N ms"]);
  expect(lines.slice(3)).toEqual(["task_does_not_fit 422"]);
});
