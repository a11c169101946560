// Inference on a GPU, which is SwiftShader here: one process, the CPU's answers within 1e-4, and a lost device.

import { existsSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "@jest/globals";
import { quantize } from "../../../src/api/quantize";
import { serve } from "../../../src/api/serve";
import type { ModelAnswer } from "../../../src/client/api";
import { openEngine } from "../../../src/engines/open";
import { readState } from "../../../src/merge/folder/pointer";
import { openModel, type ServedModel } from "../../../src/predict/model";
import { computeLogits } from "../../../src/predict/predict";
import type { BatchRow } from "../../../src/serve/inference/inference";
import { type InferenceOptions, type StartedInference, startInference } from "../../../src/serve/inference/start";
import { onSwiftShader, webgpuAbsence } from "../../engines/devices";
import { unless } from "../../skips";
import { temporaryFolder } from "../../tiny";
import { hearing, makeServedFolder, type ServedFolder, taskOf } from "../served-folder";

const folder = temporaryFolder();
const dist = path.join(__dirname, "../../../dist");
let served: ServedFolder;
let predicting: ServedModel;
const started: StartedInference[] = [];

const absent = webgpuAbsence();
if (absent !== null) console.warn(`SKIPPED: inference on a device, because ${absent}`);

async function start(options: Partial<InferenceOptions> = {}) {
  const { reporter, lines } = hearing();
  const given = { folder: served.merged, version: served.first, reporter, silence: 3600, ...options };
  const inference = await startInference({ ...given, device: "webgpu" });
  started.push(inference);
  return { inference, lines };
}

const texts = ["a good film", "the long long dull book they read", "bad"];
const pairs = texts.map((text) => ({ text, pair: "a very long and very dull book they read" }));

function rowOf({ text, pair }: (typeof pairs)[number]): BatchRow {
  const { ids, typeIds } = predicting.tokenizer.encode(text, pair, 32);
  return { ids, typeIds, tasks: ["rte"] };
}

/** Runs the rows for one task, and compares the logits with the CPU's. */
async function expectCpusLogits(inference: StartedInference): Promise<void> {
  const signal = new AbortController().signal;
  const tasks = predicting.tasks.filter(({ name }) => name === "rte");
  const wanted = await computeLogits(predicting, pairs, tasks, { signal });
  const rows = pairs.map(rowOf);
  const logits = wanted["rte"]?.data as Float32Array;
  let compared = 0;
  await inference.run(served.first, rows, (part) => {
    for (const [i, row] of part.rows.entries()) {
      for (let output = 0; output < part.outputs; output++) {
        const found = part.logits[i * part.outputs + output] as number;
        expect(Math.abs(found - (logits[row * part.outputs + output] as number))).toBeLessThan(1e-4);
        compared++;
      }
    }
  });
  expect(compared).toBe(logits.length);
}

unless(absent).describe("inference on a device", () => {
  const before = { ...process.env };

  beforeAll(async () => {
    Object.assign(process.env, onSwiftShader);
    served = await makeServedFolder(folder);
    const { engine } = await openEngine("onnx", { threads: 1 });
    predicting = await openModel(served.merged, engine, { taskOf, version: served.first });
  });
  afterEach(async () => {
    for (const inference of started.splice(0)) await inference.shutdown();
  });
  afterAll(() => {
    predicting?.dispose();
    process.env = before;
  });

  test("one process answers, unmeasured, within 1e-4 of the CPU", async () => {
    const { inference, lines } = await start();
    expect(inference.processes).toBe(1);
    expect(inference.engine).toMatch(/^onnx \(onnxruntime .*, webgpu on SwiftShader/);
    expect(lines.join("\n")).not.toMatch(/measured/);
    await expectCpusLogits(inference);
  });

  test("of a quantized folder float32 runs, and the server says so", async () => {
    const { merged, first } = served;
    await quantize({ merged, glueData: path.join(folder, "glue"), threads: 1 });
    const { current } = (await readState(merged)).pointer;
    const server = await serve({ merged, device: "webgpu", port: 0, logLevel: "silent" });
    try {
      const { version, precision } = (await (await fetch(`${server.url}/v1/model`)).json()) as ModelAnswer;
      expect([version, precision, current === first]).toEqual([current, "float32", false]);
    } finally {
      await server.close();
    }
  });

  test("several processes are refused, and say why", async () => {
    await expect(start({ workers: 2 })).rejects.toThrow(/--workers 2: on --device webgpu one process holds the model/);
    expect(started).toHaveLength(0);
  });

  test("where the device is lost, a fresh process computes the batch", async () => {
    const lose = path.join(folder, "lose");
    const preload = path.join(folder, "lose.cjs");
    const module = (name: string) => JSON.stringify(path.join(dist, "engines/onnx/device", name));
    writeFileSync(
      preload,
      `const { existsSync, rmSync } = require("node:fs");
       const sessions = require(${module("session.js")});
       const { OrtError } = require(${module("c-api.js")});
       const open = sessions.openDeviceSession;
       sessions.openDeviceSession = (...args) => {
         const session = open(...args);
         return { ...session, async run(...given) {
           if (!existsSync(${JSON.stringify(lose)})) return session.run(...given);
           rmSync(${JSON.stringify(lose)});
           throw new OrtError("Device was lost: VK_ERROR_DEVICE_LOST (RunWithBinding)");
         } };
       };`,
    );
    const options = process.env["NODE_OPTIONS"];
    process.env["NODE_OPTIONS"] = `${options ?? ""} --require ${JSON.stringify(preload)}`;
    const { inference, lines } = await start().finally(() => {
      if (options === undefined) delete process.env["NODE_OPTIONS"];
      else process.env["NODE_OPTIONS"] = options;
    });
    writeFileSync(lose, "");
    await expectCpusLogits(inference);
    expect(existsSync(lose)).toBe(false);
    expect(lines.join("\n")).toMatch(/error: device webgpu was lost \(Device was lost.*Starting another/);
    expect(inference.state().map(({ restarts }) => restarts)).toEqual([1]);
    rmSync(preload);
  });
});
