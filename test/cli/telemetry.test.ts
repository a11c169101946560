// onnxruntime 1.30 for Linux keeps a device id under ~/.cache/Microsoft as soon as a session is made, unless its
// telemetry is off (docs/decisions.md). Nothing of it may come of using flexbert.

import { mkdirSync, readdirSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { temporaryFolder, tinyBase } from "../tiny";
import { flexbert } from "./flexbert";

const cwd = temporaryFolder();

test("a run on onnx leaves nothing in the user's home", async () => {
  const home = path.join(cwd, "home");
  mkdirSync(home);
  await writeBase(tinyBase("tiny", { layers: 1 }), path.join(cwd, "tiny"));
  const line = "bench --base ./tiny --k 1 --batch-size 1 --length 8 --runs 1 --engine onnx --json";
  const env = { HOME: home, XDG_CACHE_HOME: path.join(home, "cache"), FLEXBERT_CACHE: path.join(cwd, "cache") };
  const { status, stdout } = flexbert(line.split(" "), { cwd, env });
  expect([status, JSON.parse(stdout).engines[0].trainStep.length]).toEqual([0, 1]);
  expect(readdirSync(home, { recursive: true })).toEqual([]);
});
