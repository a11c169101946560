import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, expect, test } from "@jest/globals";
import { makeFolder, subfolders } from "../../src/files/folder";
import { asRoot, notLinux, unless } from "../skips";
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

unless(asRoot).test("a folder that may not be written is an error", async () => {
  chmodSync(folder, 0o500);
  await expect(makeFolder(path.join(folder, "a/b"))).rejects.toMatchObject({ code: "EACCES" });
});

unless(notLinux).test("ends where the system makes no folders", async () => {
  await expect(makeFolder("/proc/flexbert/deep")).rejects.toMatchObject({ code: "ENOENT", path: "/proc/flexbert" });
});

test("lists folders and links to folders; none is no error, and what cannot be read is one", async () => {
  for (const name of ["b", "a", ".hidden"]) mkdirSync(path.join(folder, name));
  writeFileSync(path.join(folder, "file"), "");
  symlinkSync(path.join(folder, "b"), path.join(folder, "c"));
  symlinkSync(path.join(folder, "nowhere"), path.join(folder, "d"));
  expect(await subfolders(folder)).toEqual(["a", "b", "c"]);
  expect(await subfolders(path.join(folder, "absent"))).toEqual([]);
  await expect(subfolders(path.join(folder, "file"))).rejects.toMatchObject({ code: "ENOTDIR" });
});
