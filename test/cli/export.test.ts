// flexbert export from the command line: what is printed, what is refused, and TensorFlow absent.

import { existsSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { tinyWorkspace } from "./tiny-workspace";

const { cwd, run } = tinyWorkspace([
  "finetune --base tiny --task rte,stsb --k 2 --epochs 1 --max-length 32",
  "merge --base tiny --no-onnx",
]);

test("without TensorFlow the model is written, and that it was not checked is said out loud", () => {
  const { status, stdout, stderr } = run("export saved-model --out served/1");
  expect([status, stdout]).toEqual([
    0,
    expect.stringMatching(/^served\/1: [\d.]+ kB, signatures serving_default, rte, stsb; not checked\n$/),
  ]);
  expect(stderr).toMatch(/the SavedModel is written but NOT CHECKED: .* Run: flexbert engine install tensorflow/);
  expect(existsSync(path.join(cwd, "served/1/saved_model.pb"))).toBe(true);
});

test("--json and --dry-run", () => {
  const plan = JSON.parse(run("export saved-model --out planned/1 --dry-run --json").stdout);
  expect(plan).toEqual({
    dryRun: true,
    format: "saved-model",
    tasks: ["rte", "stsb"],
    out: "planned/1",
    bytes: expect.any(Number),
    signatures: ["serving_default", "rte", "stsb"],
  });
  expect(existsSync(path.join(cwd, "planned"))).toBe(false);
  const exported = JSON.parse(run("export saved-model --out json/1 --json").stdout);
  expect(exported).toMatchObject({ out: "json/1", check: null });
});

test.each([
  ["export saved-model --out served/1", 2, /served\/1 holds a SavedModel already.*--force/],
  [
    "export safetensor",
    2,
    /export takes onnx, .*, not safetensor \(did you mean "safetensors"\?\)\. Run: flexbert export --help/,
  ],
  ["export tflite", 2, /export takes onnx, onnx-stages, saved-model, tfjs, transformers, safetensors, not tflite/],
  ["export onnx --task rte,cola", 4, /merged has no task cola\. It has rte, stsb/],
  ["export saved-model --model nowhere", 4, /nowhere is no merged model.*Run: flexbert merge/],
])("%s", (line, status, message) => {
  const outcome = run(line);
  expect([outcome.status, outcome.stdout]).toEqual([status, ""]);
  expect(outcome.stderr).toMatch(message);
  expect(outcome.stderr).not.toMatch(/NOT CHECKED/);
});
