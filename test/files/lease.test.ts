// Locks of other hosts: taken over where their holder gave signs of life and no longer does, and never else.

import { readFileSync, renameSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { lockHolder, tryLeaseFolder, tryLockFolder } from "../../src/files/lock";
import { temporaryFolder } from "../tiny";
import { until } from "../until";

const root = temporaryFolder();
let made = 0;

/** A folder that a process of another host has locked. */
async function lockedElsewhere(holder: object, secondsAgo: number): Promise<{ folder: string; file: string }> {
  const folder = path.join(root, `f${made++}`);
  await mkdir(folder);
  const file = path.join(folder, ".flexbert.lock");
  const whole = { host: "elsewhere", pid: 4711, start: "boot/1", purpose: "trial 3", token: "theirs", ...holder };
  writeFileSync(file, JSON.stringify(whole));
  const then = Date.now() / 1000 - secondsAgo;
  utimesSync(file, then, then);
  return { folder, file };
}

test("a lease that ran out is taken over, by one of those who want it", async () => {
  const { folder, file } = await lockedElsewhere({ beat: 20 }, 3600);
  expect(await lockHolder(folder)).toBeNull();
  const claims = await Promise.all(Array.from({ length: 8 }, () => tryLeaseFolder(folder, "trial 3")));
  const won = claims.filter((claim) => "unlock" in claim);
  expect(won).toHaveLength(1);
  expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ pid: process.pid, beat: 20 });
});

test.each([
  ["a sign of life a minute ago", { beat: 20 }, 60],
  ["a sign of life four minutes ago", { beat: 20 }, 240],
  ["no lease, however old", {}, 1e6],
])("%s: the lock stays", async (_, holder, age) => {
  const { folder } = await lockedElsewhere(holder, age);
  const claim = await tryLeaseFolder(folder, "trial 3");
  expect(claim).toEqual({ heldBy: expect.stringMatching(/in use by process 4711 on elsewhere \(trial 3\)/) });
});

test("a machine of the same name is another machine: its lease counts, not whether its process is here", async () => {
  const { hostname } = await import("node:os");
  const fresh = await lockedElsewhere({ host: hostname(), beat: 20 }, 30);
  expect(await lockHolder(fresh.folder)).toMatch(/in use by process 4711/);
  const old = await lockedElsewhere({ host: hostname(), beat: 20 }, 3600);
  expect(await lockHolder(old.folder)).toBeNull();
});

test("a holder gives signs of life, which leave the lock as it is, and hears when it lost it", async () => {
  const folder = path.join(root, "beating");
  const claim = await tryLockFolder(folder, "mine", 0.02);
  if (!("unlock" in claim)) throw new Error("not locked");
  const file = path.join(folder, ".flexbert.lock");
  const content = readFileSync(file, "utf8");
  utimesSync(file, 1000, 1000);
  await until(() => statSync(file).mtimeMs > 1_000_000);
  expect(readFileSync(file, "utf8")).toBe(content);
  expect(claim.lost.aborted).toBe(false);
  const theirs = JSON.stringify({ ...JSON.parse(content), token: "theirs" });
  writeFileSync(`${file}.new`, theirs);
  renameSync(`${file}.new`, file);
  await until(() => claim.lost.aborted);
  await claim.unlock();
  expect(readFileSync(file, "utf8")).toBe(theirs);
});
