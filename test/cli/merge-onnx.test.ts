// flexbert merge and its model.onnx from the command line: what is printed, --no-onnx, and onnxruntime-node absent.

import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { readManifest } from "../../src/merge/folder/version";
import { tinyWorkspace } from "./tiny-workspace";

const { cwd, run } = tinyWorkspace(["finetune --base tiny --task rte,stsb --k 2 --epochs 1 --max-length 32"]);
const model = path.join(cwd, "merged/model.onnx");

test("merge writes it, checks it on dev rows and says so in one line", () => {
  const { status, stdout, stderr } = run("merge --base tiny");
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toMatch(
    /^model\.onnx: [\d.]+ kB \(its weights stay in blobs\/\), outputs rte, stsb; largest difference from the branches alone \S+ on 10 dev rows$/m,
  );
});

test("--json carries it", () => {
  const { onnx } = JSON.parse(run("merge --base tiny --json").stdout);
  expect(onnx).toMatchObject({ file: "model.onnx", weights: "blobs", check: { tolerance: 1e-4 } });
  expect(onnx.check.largestDifference).toBeLessThan(1e-5);
  expect(onnx.check.tasks).toEqual([
    expect.objectContaining({ task: "rte", rows: path.join("glue-data", "RTE", "dev.tsv") }),
    expect.objectContaining({ task: "stsb", rows: path.join("glue-data", "STS-B", "dev.tsv") }),
  ]);
  expect(onnx.check.batches).toHaveLength(2);
});

test("without data the sample's texts serve, and --engine says what runs the branches", () => {
  const { stdout, stderr } = run("merge --base tiny --glue-data nowhere --engine wasm");
  expect(stdout).toMatch(/largest difference .* on 10 sample texts$/m);
  expect(stderr).toMatch(/engine: wasm/);
});

test("--remove changes it, --no-onnx takes it away", async () => {
  expect(run("merge --base tiny --remove stsb").stdout).toMatch(/^model.onnx: .* outputs rte;/m);
  const { status, stdout } = run("merge --base tiny --no-onnx");
  expect([status, /model\.onnx:/.test(stdout), existsSync(model)]).toEqual([0, false, false]);
  expect((await readManifest(path.join(cwd, "merged"))).onnx).toBeNull();
});

test("--remove of the last task says that none is left", () => {
  expect(run("merge --base tiny --out emptied --no-onnx").status).toBe(0);
  expect(run("merge --out emptied --remove rte,stsb")).toMatchObject({
    status: 0,
    stdout: "emptied: no task is left\n",
  });
  for (const line of ["eval --model emptied", "predict --model emptied --text word1"]) {
    expect(run(line)).toMatchObject({ status: 4, stderr: expect.stringContaining("the model has no tasks. Add one:") });
  }
});

test.each([
  ["another version", "{ env: { versions: { node: '1.17.3' } } }", /it is 1\.17\.3, and 1\.18 or later is needed/],
  ["something else", "{}", /it is of unknown version/],
])("%s of onnxruntime-node counts as absent, with the remedy", (_, found, reason) => {
  const hook = path.join(cwd, "other.cjs");
  writeFileSync(
    hook,
    `const Module = require("node:module");
const load = Module._load;
Module._load = function (name, ...rest) {
  return name === "onnxruntime-node" ? ${found} : load.call(this, name, ...rest);
};`,
  );
  const more = { NODE_OPTIONS: `--require ${hook}` };
  const { status, stderr } = run("merge --base tiny --engine onnx --out other", more);
  expect([status, stderr]).toEqual([0, expect.stringMatching(reason)]);
  expect(stderr).toMatch(/NOT CHECKED: .* Remove its folder from node_modules\. Run: npm install/);
  const bench = run("bench --base tiny --engine onnx --dry-run", more);
  expect([bench.status, bench.stderr]).toEqual([6, expect.stringMatching(reason)]);
});

test("without onnxruntime-node it is written, and the check is skipped out loud, also with --quiet", async () => {
  const hook = path.join(cwd, "absent.cjs");
  writeFileSync(
    hook,
    `const Module = require("node:module");
const load = Module._load;
Module._load = function (name, ...rest) {
  if (name === "onnxruntime-node") throw new Error("Cannot find module 'onnxruntime-node'");
  return load.call(this, name, ...rest);
};`,
  );
  const { status, stdout, stderr } = run("merge --base tiny --quiet", { NODE_OPTIONS: `--require ${hook}` });
  expect(status).toBe(0);
  expect(stdout).toMatch(/^model.onnx: .* outputs rte, stsb; not checked$/m);
  expect(stderr).toMatch(
    /model.onnx is written but NOT CHECKED: .*onnxruntime-node is not installed. Run: npm install/,
  );
  expect(existsSync(model)).toBe(true);
  expect((await readManifest(path.join(cwd, "merged"))).onnx).not.toBeNull();
});
