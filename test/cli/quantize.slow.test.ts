// flexbert quantize and export --precision from the command line: what is printed, JSON, what predict runs then, what is refused.

import { existsSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { openEngine } from "../../src/engines/open";
import { cachedFolder } from "../../src/files/cache";
import { temporaryFolder, tinyBase, writeTinyGlue } from "../tiny";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();
const cache = path.join(cwd, "cache");
const run = (line: string) => flexbert(line.split(" "), { cwd, env: { FLEXBERT_CACHE: cache } });
const done = (line: string) => {
  const { status, stdout, stderr } = run(line);
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  return { stdout, stderr };
};

beforeAll(async () => {
  await writeBase(tinyBase("tiny", { hidden: 64 }), cachedFolder("tiny", cache));
  writeTinyGlue(path.join(cwd, "glue-data"));
  for (const line of [
    "finetune --base tiny --task rte --k 2 --epochs 1 --max-length 32",
    "finetune --base tiny --task sst2 --k 1 --epochs 1 --max-length 32",
    "merge --base tiny --no-onnx",
  ]) {
    done(line);
  }
});

test("--dry-run says on what each task would be measured, and writes nothing", () => {
  const { stdout } = done("quantize --merged merged --glue-data nowhere --dry-run");
  expect(stdout).toMatch(/^would measure rte on sample texts, without a score$/m);
  const plan = JSON.parse(done("quantize --merged merged --dry-run --json").stdout);
  expect(plan).toMatchObject({
    dryRun: true,
    tasks: [
      { task: "rte", scored: true },
      { task: "sst2", scored: true },
    ],
  });
  expect(done("history --merged merged").stdout).not.toContain("quantize");
});

test("without dev rows logits are compared on --file, and the score is said to be not measured", () => {
  writeFileSync(path.join(cwd, "texts.csv"), ["text", "a good film", "a bad book", ""].join("\n"));
  const { stdout } = done("quantize --merged merged --glue-data nowhere --file texts.csv");
  expect(stdout).toMatch(/^sst2 +2 +score not measured +- +\d/m);
  expect(stdout).toMatch(/^sst2: score not measured, logits compared on texts\.csv$/m);
  expect(stdout).toMatch(/^rte: score not measured, logits compared on sample texts$/m); // of pairs
});

test("scores before and after, the version, and its share of the bytes", () => {
  done("rollback --merged merged");
  const { stdout } = done("quantize --merged merged --max-drop 100");
  expect(stdout).toMatch(/^task +rows +float32 +int8 +largest difference +equal labels$/m);
  expect(stdout).toMatch(/^rte +12 +[\d.]+ +[\d.]+ +[\d.e-]+ +[\d.]+ %$/m);
  expect(stdout).toMatch(/^merged: version [0-9a-f]{8}, int8 weights .* \(\d\d % of float32's .*\)$/m);
  const again = JSON.parse(done("quantize --merged merged --max-drop 100 --json").stdout);
  expect(again).toMatchObject({ isNew: false, float32: [], moved: [], tasks: [{ task: "rte" }, { task: "sst2" }] });
  expect(done("history --merged merged").stdout).toMatch(/^\* [0-9a-f]{8} .* quantize +2/m);
});

test("predict and eval run int8 and say so; --weights float32 runs the others", () => {
  const int8 = run("predict --model merged --engine onnx --text film --format jsonl");
  expect(int8.stderr).toContain("weights: int8; --weights float32 runs the others");
  const float32 = run("predict --model merged --engine onnx --text film --format jsonl --weights float32");
  expect(float32.stderr).not.toContain("int8");
  expect(float32.stdout).not.toBe(int8.stdout);
  const scored = done("eval --model merged --engine onnx").stdout;
  expect(scored).toContain("rte on 12 dev rows");
  expect(run("predict --model merged --engine wasm --text film --weights int8").stderr).toContain(
    "onnx engine's alone",
  );
});

test("export onnx writes int8 and float16, smaller, and checked; of 7 bits, which it says, where 8 are too many", async () => {
  const { engine } = await openEngine("onnx", { threads: 1 });
  const saturates = await engine.saturates?.();
  engine.dispose();
  const sizeOf = (out: string) => statSync(path.join(cwd, out, "model.onnx")).size;
  for (const precision of ["float32", "float16", "int8"]) {
    const line = `export onnx --model merged --precision ${precision} --out ${precision} --json`;
    const { stdout, stderr } = done(line);
    const { check } = JSON.parse(stdout);
    expect(stderr.includes("weights of 7 bits")).toBe(precision === "int8" && saturates);
    expect({ precision, checked: check.largestDifference < (precision === "float32" ? 1e-4 : 0.2) }).toEqual({
      precision,
      checked: true,
    });
  }
  expect(sizeOf("float16")).toBeLessThan(0.75 * sizeOf("float32"));
  expect(sizeOf("int8")).toBeLessThan(sizeOf("float16"));
});

test.each([
  ["quantize --merged nowhere", 4, /nowhere is no merged model.*Run: flexbert merge/],
  ["quantize --merged merged --max-drop -1", 2, /--max-drop/],
  ["export tfjs --model merged --precision int8 --out no", 2, /--precision int8: export tfjs writes float32/],
  ["export onnx --model merged --precision int8 --out no --version merged", 4, /./],
  ["predict --model merged --weights half --text a", 2, /--weights/],
])("%s ends with %p", (line, code, message) => {
  const { status, stderr } = run(line);
  expect(status).toBe(code);
  expect(stderr).toMatch(message);
  expect(existsSync(path.join(cwd, "no"))).toBe(false);
});

test("a version without int8 exports none", () => {
  done("rollback --merged merged");
  const { status, stderr } = run("export onnx --model merged --precision int8 --out no");
  expect({ status, stderr }).toMatchObject({ status: 4, stderr: expect.stringContaining("Run: flexbert quantize") });
});
