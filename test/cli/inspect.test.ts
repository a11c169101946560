// flexbert inspect from the command line: picture, table, JSON, files, and what is refused.

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { tinyWorkspace } from "./tiny-workspace";

const { cwd, run } = tinyWorkspace([
  "finetune --base tiny --task rte --k 2 --epochs 1 --max-length 32",
  "finetune --base tiny --task stsb --k 1 --epochs 1 --max-length 32",
  "merge --base tiny --no-onnx",
]);

test("the picture and the figures", () => {
  const { status, stdout } = run("inspect merged");
  expect(status).toBe(0);
  expect(stdout).toContain("[ layer 1  ]───[layer 2]─[layer 3]─[head] rte\n");
  expect(stdout).toContain("[ layer 2  ]───[layer 3]─[head] stsb\n");
  expect(stdout).toMatch(/^rte +2 +2 +4 /m);
  expect(stdout).toContain("3 shared + 3 task layers of 8 (75.0 %)");
  expect(stdout).toMatch(/^version [0-9a-f]{8}, 1 version here: flexbert history$/m);
  expect(stdout).not.toMatch(/\bms\b/);
});

test("--json, --measure and --out", () => {
  const found = JSON.parse(
    run("inspect --merged merged --measure --length 8 --engine wasm --out m.html --json").stdout,
  );
  expect(found).toMatchObject({
    folder: "merged",
    overhead: { layers: 6, shared: 3 },
    latency: { batchSize: 1, length: 8 },
  });
  expect(Object.keys(found.latency.tasks)).toEqual(["rte", "stsb"]);
  expect(found.picture).toMatch(/rte, \d+\.\d ms/);
  expect(readFileSync(path.join(cwd, "m.html"), "utf8")).toContain("<svg ");
  expect(run("inspect merged --out m.svg").stderr).toContain("written: m.svg");
  expect(readFileSync(path.join(cwd, "m.svg"), "utf8")).toMatch(/^<svg /);
});

test.each([
  ["inspect nowhere", 4, /nowhere is no merged model.*Run: flexbert merge/],
  ["inspect merged --out m.png", 2, /--out m\.png: a picture is written as \.svg or as \.html/],
  ["inspect merged --measure --length 65", 2, /--length 65: the model takes at most 64/],
  ["inspect merged other", 2, /./],
])("%s", (line, status, message) => {
  const outcome = run(line);
  expect([outcome.status, outcome.stdout]).toEqual([status, ""]);
  expect(outcome.stderr).toMatch(message);
  expect(existsSync(path.join(cwd, "m.png"))).toBe(false);
});
