// What flexbert 0.1.0 left unfinished (test/fixtures/v0.1.0): today's flexbert goes on with it, to the weights that 0.1.0
// ended with. The wasm engine computes on one thread, in an order that does not depend on the machine, and WebAssembly's
// floating point is exact to the bit on every CPU: so bytes are compared, by hash.

import { readdirSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { sha256Hex } from "../../src/files/hash";
import { oldWorkspace } from "./old-workspace";

const { cwd, lines, read, json, run } = oldWorkspace();

const expected = () => json("expected/continued.json") as Record<"runs" | "tables", Record<string, string>>;

/** Run folders of the workspace that are no experiment's. */
const folders = () => readdirSync(path.join(cwd, "checkpoints/tiny"), { recursive: true }).filter(isRun).sort();
const isRun = (file: string | Buffer) => path.basename(String(file)) === "run.json";

/** Goes on with what a command line of the fixture began, and compares the weights of every run below `within`. */
function goOn(line: string, within: RegExp): string {
  const before = folders();
  const { stderr } = run(line);
  expect(folders()).toEqual(before);
  const hashes = Object.entries(expected().runs).filter(([folder]) => within.test(folder));
  expect(hashes.length).toBeGreaterThan(0);
  expect(hashes.map(([folder]) => [folder, sha256Hex(read(`${folder}/model.safetensors`))])).toEqual(hashes);
  expect(hashes.map(([folder, sha256]) => [folder, sha256, "finished"])).toEqual(
    hashes.map(([folder]) => [folder, json(`${folder}/run.json`).sha256, json(`${folder}/run.json`).state]),
  );
  return stderr;
}

test("fine-tuning that Ctrl-C ended", () => {
  const log = goOn(lines["interruptedFinetune"] as string, /verdict\/finetune\/k02-seed7/);
  expect(log).not.toMatch(/epoch 1,/); // from where it stood, not from the start
});

test("distillation that was killed", () => {
  const log = goOn(lines["killedDistill"] as string, /closeness\/distill\/l2/);
  expect(log).not.toMatch(/epoch 1,/);
});

test("runs that halving stopped", () => {
  const whole = (lines["finetuneVerdict"] as string).replace("halving", "full");
  const log = goOn(whole, /verdict\/finetune\/k0[12]-seed1/);
  expect(log).not.toMatch(/epoch 1,/);
});

test("an experiment that Ctrl-C ended: the same weights and the same table", () => {
  goOn(lines["runPart"] as string, /^results\/partly/);
  for (const [table, sha256] of Object.entries(expected().tables))
    expect([table, sha256Hex(read(table))]).toEqual([table, sha256]);
});
