// The package as its users have it: packed, unpacked under node_modules, and imported from CommonJS, from an ES module and
// from TypeScript.

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "@jest/globals";
import { temporaryFolder } from "../tiny";

const root = path.join(__dirname, "../..");
const cwd = temporaryFolder();
const at = (file: string) => path.join(cwd, file);

/** Runs a program that must succeed, and returns what it printed. */
function run(program: string, args: readonly string[], folder = cwd): string {
  const env = { ...process.env, FLEXBERT_CACHE: at("cache") };
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: folder, env, encoding: "utf8", shell: false });
  expect({ args, status, said: status === 0 ? "" : stderr + stdout }).toEqual({ args, status: 0, said: "" });
  return stdout;
}

/** Everything in a folder under another, as npm would have put it there. */
function linkAll(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const name of readdirSync(from)) {
    if (name.startsWith(".")) continue;
    if (name.startsWith("@")) linkAll(path.join(from, name), path.join(to, name));
    else symlinkSync(path.join(from, name), path.join(to, name), "junction");
  }
}

beforeAll(() => {
  cpSync(path.join(root, "test/fixtures/v0.1.0"), cwd, { recursive: true });
  linkAll(path.join(root, "node_modules"), at("node_modules"));
  const npm = process.env["npm_execpath"] ?? "npm";
  const [program, ...first] = npm.endsWith("js") ? [process.execPath, npm] : [npm];
  const packed = run(program as string, [...first, "pack", "--json", "--pack-destination", cwd], root);
  const [{ filename }] = JSON.parse(packed);
  run("tar", ["-xzf", filename]);
  cpSync(at("package"), at("node_modules/flexbert"), { recursive: true });
});

const predicting = `
  const model = await openModel({ model: "merged", tasks: "tasks.yaml", engine: "wasm" });
  const [row] = await model.predict(["she saw the songs. very bad!"]);
  model.close();
  const error = await merge({ base: "none" }).catch((thrown) => thrown);
  console.log(JSON.stringify([row.predictions.mood.label, error instanceof UserError, error.exitCode]));
`;
const names = "openModel, merge, UserError";

test("CommonJS requires it", () => {
  writeFileSync(at("uses.cjs"), `(async () => { const { ${names} } = require("flexbert"); ${predicting} })();`);
  expect(JSON.parse(run(process.execPath, ["uses.cjs"]))).toEqual(["bad", true, 4]);
});

test("an ES module imports it by name", () => {
  writeFileSync(at("uses.mjs"), `import { ${names} } from "flexbert"; ${predicting}`);
  expect(JSON.parse(run(process.execPath, ["uses.mjs"]))).toEqual(["bad", true, 4]);
});

describe("TypeScript", () => {
  const options = [
    "--noEmit",
    "--strict",
    "--module",
    "nodenext",
    "--target",
    "es2023",
    "--skipLibCheck",
    "--types",
    "node",
  ];
  const compiler = path.join(path.dirname(require.resolve("typescript/package.json")), "bin/tsc");
  const compile = (file: string) =>
    spawnSync(process.execPath, [compiler, ...options, file], { cwd, encoding: "utf8" });
  const uses = `
    import { evaluate, type MergeResult, merge, openModel, type PredictedRow, select } from "flexbert";
    export async function use(): Promise<[PredictedRow[], number | null, MergeResult]> {
      const model = await openModel({ task: ["mood"], threads: 1 }, { reporter: undefined });
      const rows: PredictedRow[] = await model.predict([{ text: "a", pair: "b", id: 1 }]);
      for await (const { predictions } of model.predictEach(["a"])) console.log(predictions["mood"]);
      const { tasks } = await evaluate({ split: "dev", maxEvalSamples: 8 }, { signal: new AbortController().signal });
      const { overhead } = await select({ threshold: 1, task: "rte,mrpc" });
      return [rows, overhead, await merge({ select: "best", task: tasks.map(({ task }) => task) })];
    }
  `;

  test.each(["uses.mts", "uses.cts"])("%s finds the types", (file) => {
    writeFileSync(at(file), uses);
    expect(compile(file)).toMatchObject({ status: 0, stdout: "" });
  });

  test.each([
    ["merge({ selct: 1 })", /'selct' does not exist in type/],
    ['openModel({ engine: "gpu" })', /Type '"gpu"' is not assignable/],
    ['select({ threshold: "much" })', /Type 'string' is not assignable to type 'number'/],
  ])("%s is an error", (call, message) => {
    writeFileSync(
      at("wrong.mts"),
      `import { merge, openModel, select } from "flexbert"; console.log(merge, openModel, select); void ${call};`,
    );
    const { status, stdout } = compile("wrong.mts");
    expect([status === 0, stdout]).toEqual([false, expect.stringMatching(message)]);
  });
});

test("importing it starts nothing, changes no environment variable and loads nothing but its own small files", () => {
  writeFileSync(
    at("imports.cjs"),
    `
    const listeners = () => process.eventNames().map((name) => [String(name), process.listenerCount(name)]);
    const state = () => ({ env: { ...process.env }, listeners: listeners(), active: process.getActiveResourcesInfo() });
    const before = state();
    const api = require("flexbert");
    console.log(JSON.stringify({ before, after: state(), names: Object.keys(api), loaded: Object.keys(require.cache) }));
  `,
  );
  const { before, after, names, loaded } = JSON.parse(run(process.execPath, ["imports.cjs"]));
  expect(after).toEqual(before);
  expect(names).toEqual(expect.arrayContaining(["openModel", "select", "merge", "evaluate", "exportModel"]));
  const others = (loaded as string[]).filter(
    (file) => !/flexbert\/dist\/|imports\.cjs$/.test(file.replaceAll("\\", "/")),
  );
  expect(others).toEqual([]);
  expect((loaded as string[]).filter((file) => /dist.(engines|compile|cli)/.test(file))).toEqual([]);
});

test("what is not exported cannot be reached", () => {
  writeFileSync(
    at("deep.cjs"),
    `try { require("flexbert/dist/cli/main.js") } catch (error) { console.log(error.code) }
     console.log(require("flexbert/package.json").name)`,
  );
  expect(run(process.execPath, ["deep.cjs"]).trim().split("\n")).toEqual(["ERR_PACKAGE_PATH_NOT_EXPORTED", "flexbert"]);
});

test("run does the steps after training again, with and without somebody who listens", () => {
  for (const file of ["selection.json", "merged", "report"]) rmSync(at(`results/small/${file}`), { recursive: true });
  writeFileSync(
    at("runs.mjs"),
    `import { run } from "flexbert";
     const options = { out: "results/small", from: "select", force: true, engine: "wasm" };
     console.log(JSON.stringify(await run("small.yaml", options)));`,
  );
  const { steps, finished } = JSON.parse(run(process.execPath, ["runs.mjs"]));
  expect([finished, steps]).toEqual([6, { select: "done", merge: "done", report: "done" }]);
  const products = ["selection.json", "merged/flexbert.json", "report/index.html"];
  expect(products.filter((file) => !existsSync(at(`results/small/${file}`)))).toEqual([]);
  const bin = "node_modules/flexbert/bin/flexbert.js";
  const line = ["run", "small.yaml", "--out", "results/small", "--from", "select", "--force", "--engine", "wasm"];
  const printed = run(process.execPath, [bin, ...line]);
  expect(printed).toMatch(/^task +candidate +layers/m);
  expect(printed).toMatch(/^results.small.merged: 2 tasks/m);
  expect(printed).toMatch(/index\.html and report\.md/);
});

test("report gives the numbers of the page that it writes", () => {
  writeFileSync(
    at("reports.mjs"),
    `import { report } from "flexbert";
     console.log(JSON.stringify(await report({ checkpoints: "checkpoints", tasks: "tasks.yaml", out: "page" })));`,
  );
  const { page, files, tasks } = JSON.parse(run(process.execPath, ["reports.mjs"]));
  expect(tasks.map(({ task }: { task: string }) => task)).toEqual(["mood", "verdict", "closeness"]);
  expect([existsSync(at(page)), files.length > 5]).toEqual([true, true]);
});

test("the example of the documents trains, merges, scores and predicts", () => {
  const example = "node_modules/flexbert/docs/api-example.mjs";
  const printed = run(process.execPath, [example, "tiny", "tasks.yaml", "mood,closeness", "example"]);
  expect(printed).toMatch(/^mood: k = [12], [\d.]+ points on dev$/m);
  expect(printed).toMatch(/^example\/merged: \d encoder layers, \d+ % of a BERT a task$/m);
  expect(printed).toMatch(/^closeness: -?[\d.]+ on \d+ dev rows$/m);
  expect(printed).toMatch(/^the soup was cold .*\{\s+mood: \{/m);
});

test("the page of the documents names every function, and no other", () => {
  const page = readFileSync(path.join(root, "docs/api.md"), "utf8");
  const [, table = ""] = /## Functions\n(.*?)\n## /s.exec(page) ?? [];
  const named = [...table.matchAll(/\b(\w+)\(/g)].map(([, name]) => name as string);
  writeFileSync(at("names.cjs"), `console.log(JSON.stringify(Object.keys(require("flexbert"))))`);
  const exported: string[] = JSON.parse(run(process.execPath, ["names.cjs"]));
  const functions = exported.filter((name) => /^[a-z]/.test(name));
  expect([...new Set(named)].sort()).toEqual(functions.sort());
  for (const name of exported) expect(page).toContain(name);
});

test("the packed command line runs", () => {
  const { version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
  expect(run(process.execPath, ["node_modules/flexbert/bin/flexbert.js", "--version"])).toBe(`${version}\n`);
});
