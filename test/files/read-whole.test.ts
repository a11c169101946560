import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { readWhole } from "../../src/files/read-whole";
import { notLinux, unless } from "../skips";
import { temporaryFolder } from "./temporary-folder";

test("gives the bytes of a file, and the system's error where it cannot be read", async () => {
  const folder = temporaryFolder();
  const file = path.join(folder, "a");
  const bytes = Buffer.alloc(300_000, "abc");
  for (const content of [bytes, Buffer.alloc(0)]) {
    writeFileSync(file, content);
    expect((await readWhole(file)).equals(content)).toBe(true);
  }
  await expect(readWhole(path.join(folder, "b"))).rejects.toMatchObject({ code: "ENOENT" });
  await expect(readWhole(folder)).rejects.toMatchObject({ code: "EISDIR" });
});

unless(notLinux).test("ends with EFBIG at a device without an end", async () => {
  await expect(readWhole("/dev/zero")).rejects.toMatchObject({ code: "EFBIG" });
});
