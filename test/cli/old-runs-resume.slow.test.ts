// What flexbert 0.1.0 left unfinished (test/fixtures/v0.1.0): today's flexbert goes on with it, to the weights that 0.1.0
// ended with. The wasm engine computes on one thread, in an order that does not depend on the machine, and WebAssembly's
// floating point is exact to the bit on every CPU: so bytes are compared, by hash.

import { readdirSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { sha256Hex } from "../../src/files/hash";
import { packageVersion } from "../../src/files/version";
import { oldWorkspace } from "./old-workspace";

const { cwd, lines, read, json, run } = oldWorkspace();

const expected = () => json("expected/continued.json") as Record<"runs" | "tables", Record<string, string>>;

/** run.json of every run that is no experiment's. */
const records = () =>
  readdirSync(path.join(cwd, "checkpoints/tiny"), { recursive: true })
    .map(String)
    .filter((file) => path.basename(file) === "run.json")
    .sort();

/** Goes on with what a command line of the fixture began, and compares the weights of every run below `within`. */
function goOn(line: string, within: RegExp): string {
  const before = records();
  const { stderr } = run(line);
  expect(records()).toEqual(before);
  const hashes = Object.entries(expected().runs).filter(([folder]) => within.test(folder));
  expect(hashes.length).toBeGreaterThan(0);
  expect(hashes.map(([folder]) => [folder, sha256Hex(read(`${folder}/model.safetensors`))])).toEqual(hashes);
  for (const [folder, sha256] of hashes) {
    expect(json(`${folder}/run.json`)).toMatchObject({ state: "finished", sha256, format: 1 });
  }
  return stderr;
}

test("fine-tuning that Ctrl-C ended", () => {
  const log = goOn(lines["interruptedFinetune"] as string, /verdict\/finetune\/k02-seed7/);
  expect(log).not.toMatch(/epoch 1,/); // from where it stood, not from the start
  const [file] = records().filter((name) => name.includes("k02-seed7"));
  expect(json(`checkpoints/tiny/${file}`).flexbert).toBe(packageVersion());
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
