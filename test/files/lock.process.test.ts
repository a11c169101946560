import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { ExitCode } from "../../src/errors/errors";
import { lockFolder } from "../../src/files/lock";
import { processStart } from "../../src/files/process-start";
import { notLinux, unless } from "../skips";
import { until } from "../until";
import { compileSources } from "./compiled-sources";
import { temporaryFolder } from "./temporary-folder";

const lockFile = () => path.join(folder, ".flexbert.lock");

let sources: string;
beforeAll(() => {
  const files = ["atomic", "folder", "lock", "process-start", "storage-failure"].map((name) => `files/${name}.ts`);
  sources = compileSources(["errors/errors.ts", ...files]);
});

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
});

/** A child that runs the script after loading lockFolder; it prints what the script logs. */
function runChild(script: string): ChildProcess {
  const program = `const { lockFolder } = require("./files/lock.js"); const folder = ${JSON.stringify(folder)};
    (async () => { ${script} })()`;
  return spawn(process.execPath, ["-e", program], { cwd: sources, stdio: ["pipe", "pipe", "inherit"] });
}

/** Leaves the lock of a process that was killed. */
async function leaveDeadLock(): Promise<void> {
  const child = runChild(`await lockFolder(folder, "dying"); console.log("locked"); setInterval(() => {}, 1000);`);
  await once(child.stdout as NodeJS.ReadableStream, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(existsSync(lockFile())).toBe(true);
}

function writeHolder(holder: object): void {
  writeFileSync(lockFile(), JSON.stringify({ host: os.hostname(), start: null, purpose: "p", token: "t", ...holder }));
}

describe("lockFolder", () => {
  test("creates the folder, holds, and leaves nothing behind", async () => {
    folder = path.join(folder, "deep", "er");
    const unlock = await lockFolder(folder, "a test");
    expect(readdirSync(folder)).toEqual([".flexbert.lock"]);
    await unlock();
    expect(readdirSync(folder)).toEqual([]);
    await (await lockFolder(folder, "again"))();
  });

  test("names the live process, its purpose and the folder (exit 1)", async () => {
    const child = runChild(`await lockFolder(folder, "training rte"); console.log("locked"); process.stdin.resume();`);
    await once(child.stdout as NodeJS.ReadableStream, "data");
    try {
      const second = lockFolder(folder, "a test");
      await expect(second).rejects.toMatchObject({ name: "UserError", exitCode: ExitCode.failure });
      await expect(second).rejects.toThrow(`${folder} is in use by process ${child.pid} (training rte)`);
    } finally {
      child.kill("SIGKILL");
      await once(child, "exit");
    }
    await (await lockFolder(folder, "after its death"))();
  });

  test("takes over the lock of a process that was killed", async () => {
    await leaveDeadLock();
    const unlock = await lockFolder(folder, "a test");
    expect(JSON.parse(readFileSync(lockFile(), "utf8")).pid).toBe(process.pid);
    await unlock();
    expect(readdirSync(folder)).toEqual([]);
  });

  test("of processes that race for a dead lock exactly one wins, every time", async () => {
    const racers = 6;
    for (let round = 0; round < 5; round++) {
      await leaveDeadLock();
      const children = Array.from({ length: racers }, () =>
        runChild(`
          process.stdout.write("r");
          await new Promise((go) => process.stdin.once("data", go));
          try { await lockFolder(folder, "racing"); process.stdout.write("won"); }
          catch (error) { process.stdout.write(error.name === "UserError" ? "lost" : String(error.stack)); }
          process.stdin.resume();`),
      );
      const said = children.map(() => "");
      const told = children.map(
        (child, i) =>
          new Promise<void>((resolve) => {
            child.stdout?.on("data", (text) => {
              said[i] += text;
              if (said[i] === "r") resolve();
            });
          }),
      );
      await Promise.all(told);
      for (const child of children) child.stdin?.write("go\n");
      const closed = children.map((child) => once(child, "exit"));
      await until(() => said.every((text) => text !== "r"));
      for (const child of children) child.kill("SIGKILL");
      await Promise.all(closed);
      expect(said.sort()).toEqual([...Array(racers - 1).fill("rlost"), "rwon"]);
    }
  });

  test("goes on where a process died in the middle of a takeover", async () => {
    await leaveDeadLock();
    const dead = JSON.parse(readFileSync(lockFile(), "utf8"));
    writeFileSync(`${lockFile()}-${dead.token}`, JSON.stringify({ ...dead, token: "guard" }));
    const unlock = await lockFolder(folder, "a test");
    await unlock();
    expect(readdirSync(folder)).toEqual([]);
  });

  unless(notLinux).test("sees that a process id was given to another process", async () => {
    writeHolder({ pid: process.pid, start: "another-boot/1" });
    await (await lockFolder(folder, "a test"))();
  });

  test("holds on to a lock whose process lives and says no start", async () => {
    writeHolder({ pid: process.ppid });
    await expect(lockFolder(folder, "a test")).rejects.toThrow(`process ${process.ppid} (p)`);
  });

  test("never takes over another host's lock, and says which file to remove", async () => {
    writeHolder({ host: "elsewhere", pid: 1 });
    await expect(lockFolder(folder, "a test")).rejects.toThrow(`on elsewhere (p). If it is gone, remove ${lockFile()}`);
  });

  test("takes over a lock that was cut off while it was written", async () => {
    writeFileSync(lockFile(), '{"host":"h');
    await (await lockFolder(folder, "a test"))();
    expect(readdirSync(folder)).toEqual([]);
  });

  unless(notLinux).test("a folder that cannot be made is an error, at once", async () => {
    await expect(lockFolder("/proc/flexbert", "a test")).rejects.toThrow("cannot lock /proc/flexbert");
  });

  test.each([
    ["null", "null"],
    [
      "a token that is a path",
      JSON.stringify({ host: os.hostname(), pid: 1e9, start: null, purpose: "p", token: "/../../x" }),
    ],
    ["no process", JSON.stringify({ host: os.hostname(), pid: "1", start: null, purpose: "p", token: "t" })],
  ])("a lock file with %s is taken over, as one that was cut off is", async (_, content) => {
    writeFileSync(lockFile(), content);
    const unlock = await lockFolder(folder, "a test");
    await unlock();
    expect(readdirSync(folder)).toEqual([]);
  });

  test("unlocking leaves the lock of somebody else alone", async () => {
    const unlock = await lockFolder(folder, "a test");
    writeHolder({ pid: process.pid, token: "somebody else" });
    await unlock();
    expect(existsSync(lockFile())).toBe(true);
  });
});

unless(notLinux).test("processStart tells processes apart", async () => {
  expect(processStart(process.pid)).toMatch(/^[0-9a-f-]{36}\/\d+$/);
  expect(processStart(process.pid)).toBe(processStart(process.pid));
  const child = runChild(`process.stdin.resume();`);
  expect(processStart(child.pid as number)).not.toBe(processStart(process.pid));
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(processStart(child.pid as number)).toBeNull();
});
