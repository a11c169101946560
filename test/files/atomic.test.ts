import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, test } from "@jest/globals";
import { ExitCode } from "../../src/errors/errors";
import {
  appendLine,
  formatBytes,
  isTemporaryName,
  requireFreeSpace,
  stageFile,
  temporaryOwner,
  writeFileAtomic,
} from "../../src/files/atomic";
import { temporaryFolder } from "./temporary-folder";

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
});

const errno = (code: string) => Object.assign(new Error(code), { code });

describe("stageFile", () => {
  test("a file lies whole beside its target until it is committed or discarded", async () => {
    const file = path.join(folder, "a.bin");
    writeFileSync(file, "old");
    const first = await stageFile(file, [Uint8Array.of(1), Uint8Array.of(2)]);
    const second = await stageFile(file, "third");
    expect([path.dirname(first.path), isTemporaryName(path.basename(first.path))]).toEqual([folder, true]);
    expect(readFileSync(first.path)).toEqual(Buffer.of(1, 2));
    expect(readFileSync(file, "utf8")).toBe("old");
    await second.discard();
    await first.commit();
    expect(readFileSync(file)).toEqual(Buffer.of(1, 2));
    expect(readdirSync(folder)).toEqual(["a.bin"]);
  });

  test("a commit that fails leaves the target alone and nothing beside it", async () => {
    const staged = await stageFile(path.join(folder, "a.bin"), "new");
    mkdirSync(path.join(folder, "a.bin"));
    await expect(staged.commit()).rejects.toMatchObject({
      exitCode: ExitCode.failure,
      message: expect.stringMatching(/^cannot write .*a\.bin: a folder stands where a file is needed/),
    });
    expect(readdirSync(folder)).toEqual(["a.bin"]);
  });
});

describe("writeFileAtomic", () => {
  test.each([
    ["text", "é\n", Buffer.from("é\n")],
    ["bytes", Uint8Array.of(0, 255), Buffer.of(0, 255)],
    ["chunks", [Uint8Array.of(1), Uint8Array.of(), Uint8Array.of(2, 3)], Buffer.of(1, 2, 3)],
    ["nothing", [], Buffer.of()],
  ])("writes %s whole and leaves nothing beside it", async (_, content, expected) => {
    const file = path.join(folder, "a.bin");
    writeFileSync(file, "an older and longer content");
    await writeFileAtomic(file, content);
    expect(readFileSync(file).equals(expected)).toBe(true);
    expect(readdirSync(folder)).toEqual(["a.bin"]);
  });

  test("keeps the old content and leaves no temporary file when writing fails", async () => {
    const file = path.join(folder, "a.bin");
    writeFileSync(file, "old");
    function* chunks() {
      yield Uint8Array.of(1, 2, 3);
      throw new Error("interrupted");
    }
    await expect(writeFileAtomic(file, chunks())).rejects.toThrow("interrupted");
    expect(readFileSync(file, "utf8")).toBe("old");
    expect(readdirSync(folder)).toEqual(["a.bin"]);
  });

  test.each(["ENOSPC", "EACCES", "EROFS", "EDQUOT"])("names path and next step on %s (exit 1)", async (code) => {
    const file = path.join(folder, "a.bin");
    // biome-ignore lint/correctness/useYield: fails before its first chunk, as a full disk does
    function* failing(): Iterable<Uint8Array> {
      throw errno(code);
    }
    const write = writeFileAtomic(file, failing());
    await expect(write).rejects.toMatchObject({ name: "UserError", exitCode: ExitCode.failure });
    await expect(write).rejects.toThrow(new RegExp(`^cannot write ${file}: [^\n]+\\. \\w[^\n]+$`));
    expect(readdirSync(folder)).toEqual([]);
  });

  test("a folder of another file's name is a failure that names it", async () => {
    writeFileSync(path.join(folder, "file"), "");
    await expect(writeFileAtomic(path.join(folder, "file", "a"), "x")).rejects.toThrow("a file stands where a folder");
  });
});

test("only temporary files have temporary names", () => {
  for (const name of ["model.safetensors", ".flexbert.lock", "run.json", ".a.tmp", "a.1-00000000.tmp"]) {
    expect([name, isTemporaryName(name), temporaryOwner(name)]).toEqual([name, false, null]);
  }
});

test("appendLine adds lines to what is there", async () => {
  const file = path.join(folder, "metrics.jsonl");
  await appendLine(file, "1");
  await appendLine(file, "2");
  expect(readFileSync(file, "utf8")).toBe("1\n2\n");
});

describe("requireFreeSpace", () => {
  test("passes where there is room, also for a folder that does not exist yet", async () => {
    await expect(requireFreeSpace(path.join(folder, "not", "yet"), 1, "a test")).resolves.toBeUndefined();
  });

  test("names folder, purpose and both sizes where there is not (exit 1)", async () => {
    const check = requireFreeSpace(folder, 1e18, "the state");
    await expect(check).rejects.toMatchObject({ exitCode: ExitCode.failure });
    await expect(check).rejects.toThrow(
      /^the disk of .* has [\d.]+ \w+ free, the state needs 1000000\.0 TB\. Free some/,
    );
  });
});

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1536, "1.5 kB"],
  [999_949, "999.9 kB"],
  [999_999, "1.0 MB"],
  [4.4e8, "440.0 MB"],
])("formatBytes(%d) is %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
