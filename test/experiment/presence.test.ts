// Processes that still make teachers are seen by those that wait for them, and leave nothing behind.

import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { announce } from "../../src/experiment/presence";
import { temporaryFolder } from "../files/temporary-folder";

const root = temporaryFolder();

test("each sees the others, not itself; what was made for it alone goes with the last", async () => {
  const checkpoints = path.join(root, "results/checkpoints");
  const first = await announce(checkpoints, "fine-tuning of a.yaml");
  expect(await first.others()).toBeNull();
  const second = await announce(checkpoints, "fine-tuning of b.yaml");
  const watcher = await announce(checkpoints, null);
  expect(await first.others()).toMatch(new RegExp(`in use by process ${process.pid} \\(fine-tuning of b.yaml\\)`));
  expect(await second.others()).toMatch(/fine-tuning of a.yaml/);
  expect(await watcher.others()).not.toBeNull();
  await second.withdraw();
  await second.withdraw();
  expect(await first.others()).toBeNull();
  await first.withdraw();
  await watcher.withdraw();
  expect(existsSync(path.join(root, "results"))).toBe(false);
});

test("a folder that was there stays, and so does what lies in it", async () => {
  const checkpoints = path.join(root, "kept");
  mkdirSync(checkpoints);
  await (await announce(checkpoints, "fine-tuning")).withdraw();
  expect(readdirSync(checkpoints)).toEqual([]);
  const presence = await announce(path.join(root, "filled"), "fine-tuning");
  writeFileSync(path.join(root, "filled/mine"), "");
  await presence.withdraw();
  expect(readdirSync(path.join(root, "filled"))).toEqual(["mine"]);
});

test("one that was killed does not count, and is cleared away", async () => {
  const checkpoints = path.join(root, "killed");
  const presence = await announce(checkpoints, "fine-tuning");
  const dead = path.join(checkpoints, ".fine-tuning/dead");
  mkdirSync(dead);
  const holder = { host: os.hostname(), pid: 2 ** 22 + 1, start: null, purpose: "gone", token: "t" };
  writeFileSync(path.join(dead, ".flexbert.lock"), JSON.stringify(holder));
  const later = await announce(checkpoints, null);
  expect(existsSync(dead)).toBe(false);
  expect(await presence.others()).toBeNull();
  expect(await later.others()).not.toBeNull();
  await presence.withdraw();
  expect(existsSync(checkpoints)).toBe(false);
});
