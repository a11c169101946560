// A small experiment of twelve trials on a tiny base, in a folder that each test file that imports this has to itself.

import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll } from "@jest/globals";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { sha256Hex } from "../../src/files/hash";
import { temporaryFolder, tinyBase, writeTinyGlue } from "../tiny";
import { bin, flexbert } from "./flexbert";

export const cwd = temporaryFolder();

beforeAll(async () => {
  writeTinyGlue(path.join(cwd, "glue-data"), 64);
  await writeBase(tinyBase("tiny", { dropout: 0.1 }), path.join(cwd, "tiny"));
  writeFileSync(
    path.join(cwd, "small.yaml"),
    `base: ./tiny
tasks: [rte, stsb]
learning_rate: 1e-3
epochs: [2, 4]
batch_size: 8
max_length: 32
finetune: { k: 2-3, seeds: 1 }
distill: { student_layers: 1, init: [teacher, pretrained], epochs: 3 }
merge: true
`,
  );
});

const args = (line: string) => ["run", "small.yaml", "--engine", "wasm", ...line.split(" ")];
export const run = (line: string) => flexbert(args(line), { cwd });

export function start(line: string): { child: ChildProcess; log: () => string; ended: Promise<number | null> } {
  const child = spawn(process.execPath, [bin, ...args(line)], { cwd, stdio: ["ignore", "ignore", "pipe"] });
  let log = "";
  child.stderr?.on("data", (text) => {
    log += text;
  });
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  return { child, log: () => log, ended };
}

/** The trials that a process trained, by its log. */
export const trained = (log: string) =>
  [...new Set([...log.matchAll(/^trial (\d+), .*: epoch \d+,/gm)].map(([, index]) => Number(index)))].sort(
    (a, b) => a - b,
  );

export const table = (out: string) => readFileSync(path.join(cwd, out, "trials.csv"), "utf8");

/** Hashes of everything that a run leaves and that must not depend on who made it when. */
export function weights(out: string): Record<string, string> {
  const files = readdirSync(path.join(cwd, out), { recursive: true }) as string[];
  const kept = files.filter((file) => /(model\.safetensors|metrics\.jsonl|manifests\/\w+\.json)$/.test(file)).sort();
  return Object.fromEntries(kept.map((file) => [file, sha256Hex(readFileSync(path.join(cwd, out, file)))]));
}

/** The indices of its trials. */
export const all = Array.from({ length: 12 }, (_, i) => i);
