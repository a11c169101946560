import { existsSync, readdirSync, readFileSync, statSync, truncateSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, test } from "@jest/globals";
import { ExitCode } from "../../src/errors/errors";
import { unpackWheel } from "../../src/files/wheel";
import { writeWheel } from "../engines/tensorflow/fake-tools";
import { temporaryFolder } from "./temporary-folder";

let folder: string;
let out: string;
beforeEach(() => {
  folder = temporaryFolder();
  out = path.join(folder, "out");
});

const entries = { "a/lib/x.so": "library", "a/bin/tool": "tool", "a, b.txt": "comma", "a/skip.py": "no" };
const file = "pack-1.0-py3-none-any.whl";
const unpack = (wheel: string, target = (entry: string): string | null => entry, maxBytes = 1e6) =>
  unpackWheel(wheel, out, { target, maxBytes, durable: true });
const failing = (message: RegExp) => ({ exitCode: ExitCode.failure, message: expect.stringMatching(message) });

describe("unpackWheel", () => {
  test("unpacks the chosen entries into a tree, with their modes and sizes", async () => {
    const wheel = await writeWheel(folder, file, entries);
    const sizes = await unpack(wheel, (entry) => (entry.startsWith("a/") && !entry.endsWith(".py") ? entry : null));
    expect(sizes).toEqual({ "a/lib/x.so": 7, "a/bin/tool": 4 });
    expect(readFileSync(path.join(out, "a/lib/x.so"), "utf8")).toBe("library");
    expect(statSync(path.join(out, "a/bin/tool")).mode & 0o111).not.toBe(0);
    expect(readdirSync(path.join(out, "a")).sort()).toEqual(["bin", "lib"]);
  });

  test.each(["../x", "a/../../x", "/x", "a//x", "a\\..\\x", ""])("refuses the target %p", async (target) => {
    const wheel = await writeWheel(folder, file, entries);
    await expect(unpack(wheel, () => target)).rejects.toMatchObject(failing(/leaves the folder/));
    expect(existsSync(path.join(folder, "x"))).toBe(false);
  });

  test("refuses a file that RECORD gives another hash, or does not list", async () => {
    const wrong = await writeWheel(folder, file, entries, "a/lib/x.so");
    await expect(unpack(wrong)).rejects.toMatchObject(failing(/a\/lib\/x\.so has another sha256 than its RECORD says/));
    const unlisted = await writeWheel(folder, file, entries);
    const chosen = (entry: string) => (entry === "a, b.txt" ? entry : null); // not quoted in this RECORD
    await expect(unpack(unlisted, chosen)).rejects.toMatchObject(failing(/RECORD does not list a, b\.txt/));
  });

  test("refuses half a wheel, and one that would unpack to too much", async () => {
    const wheel = await writeWheel(folder, file, entries);
    await expect(unpack(wheel, (entry) => entry, 10)).rejects.toMatchObject(failing(/would unpack to more than 10 B/));
    truncateSync(wheel, 100);
    await expect(unpack(wheel)).rejects.toMatchObject(failing(/pack-1\.0-py3-none-any\.whl is damaged/));
  });
});
