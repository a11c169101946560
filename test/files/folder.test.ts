import { chmodSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, expect, test } from "@jest/globals";
import { makeFolder } from "../../src/files/folder";
import { temporaryFolder } from "./temporary-folder";

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
});

test("makes folders below folders, and leaves those that exist alone", async () => {
  const deep = path.join(folder, "a/b/c");
  await makeFolder(deep);
  await makeFolder(deep);
  expect(statSync(deep).isDirectory()).toBe(true);
});

test("many at once make the same folders", async () => {
  const deep = path.join(folder, "a/b/c/d");
  await Promise.all(Array.from({ length: 20 }, () => makeFolder(deep)));
  expect(statSync(deep).isDirectory()).toBe(true);
});

test("a file in the way is an error", async () => {
  writeFileSync(path.join(folder, "a"), "");
  await expect(makeFolder(path.join(folder, "a"))).rejects.toMatchObject({ code: "EEXIST" });
  await expect(makeFolder(path.join(folder, "a/b"))).rejects.toMatchObject({ code: "ENOTDIR" });
});

(process.getuid?.() === 0 ? test.skip : test)("a folder that may not be written is an error", async () => {
  chmodSync(folder, 0o500);
  await expect(makeFolder(path.join(folder, "a/b"))).rejects.toMatchObject({ code: "EACCES" });
});

(process.platform === "linux" ? test : test.skip)("ends where the system makes no folders", async () => {
  await expect(makeFolder("/proc/flexbert/deep")).rejects.toMatchObject({ code: "ENOENT", path: "/proc/flexbert" });
});
