import { createWriteStream, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { beforeEach, describe, expect, test } from "@jest/globals";
import { ZipFile } from "yazl";
import { ExitCode } from "../../src/errors/errors";
import { extractZip } from "../../src/files/zip";
import { temporaryFolder } from "./temporary-folder";

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
});

async function writeZip(entries: Readonly<Record<string, Buffer>>, compress = true): Promise<string> {
  const zip = new ZipFile();
  for (const [name, content] of Object.entries(entries)) zip.addBuffer(content, name, { compress });
  zip.end();
  const file = path.join(folder, "a.zip");
  await pipeline(zip.outputStream, createWriteStream(file));
  return file;
}

const out = () => path.join(folder, "out");
const basename = (entry: string) => path.posix.basename(entry);
const all = { target: basename, maxBytes: 1e6 };

describe("extractZip", () => {
  test("extracts what is chosen, under the chosen names", async () => {
    const zip = await writeZip({
      "top/a.txt": Buffer.from("a"),
      "top/b.txt": Buffer.from("b"),
      "c.txt": Buffer.from("c"),
    });
    const target = (entry: string) => (entry.startsWith("top/") ? basename(entry) : null);
    expect(await extractZip(zip, out(), { ...all, target })).toEqual(["a.txt", "b.txt"]);
    expect(readdirSync(out()).sort()).toEqual(["a.txt", "b.txt"]);
    expect(readFileSync(path.join(out(), "b.txt"), "utf8")).toBe("b");
  });

  test("refuses an entry that climbs out of the folder", async () => {
    const zip = await writeZip({ "xx/evil.txt": Buffer.from("evil") });
    const bytes = readFileSync(zip);
    writeFileSync(zip, Buffer.from(bytes.toString("latin1").replaceAll("xx/evil", "../evil"), "latin1"));
    await expect(extractZip(zip, out(), all)).rejects.toMatchObject({ exitCode: ExitCode.model });
    expect(readdirSync(folder)).toEqual(["a.zip"]);
  });

  test("refuses to unpack more than the limit, before it writes anything", async () => {
    const zip = await writeZip({ "bomb.bin": Buffer.alloc(2_000_000) });
    await expect(extractZip(zip, out(), all)).rejects.toThrow("would unpack to more than 1.0 MB");
    expect(readdirSync(folder)).toEqual(["a.zip"]);
  });

  test("refuses an entry that unpacks to more than it declares", async () => {
    const zip = await writeZip({ "bomb.bin": Buffer.alloc(500_000) });
    const bytes = readFileSync(zip);
    for (let at = bytes.length - 4; at >= 0; at--) {
      if (bytes.readUInt32LE(at) === 500_000) bytes.writeUInt32LE(1000, at); // local and central headers
    }
    writeFileSync(zip, bytes);
    await expect(extractZip(zip, out(), all)).rejects.toMatchObject({ exitCode: ExitCode.model });
  });

  test("compares contents with their CRC", async () => {
    const zip = await writeZip({ "a.txt": Buffer.from("content") }, false);
    const bytes = readFileSync(zip);
    bytes.write("c0ntent", bytes.indexOf("content"));
    writeFileSync(zip, bytes);
    await expect(extractZip(zip, out(), all)).rejects.toThrow("a.txt has a wrong CRC");
  });

  test("refuses two entries of one name", async () => {
    const zip = await writeZip({ "a/x": Buffer.from("1"), "b/x": Buffer.from("2") });
    await expect(extractZip(zip, out(), all)).rejects.toThrow("holds x twice");
  });

  test.each([
    [
      "no zip at all",
      (bytes: Buffer) => Buffer.from("hello, this is no zip file at all".repeat(bytes.length > 0 ? 3 : 1)),
    ],
    ["a zip that is cut off", (bytes: Buffer) => bytes.subarray(0, bytes.length - 10)],
  ])("names the file that is %s (exit 4)", async (_, damage) => {
    const zip = await writeZip({ "a.txt": Buffer.from("a") });
    writeFileSync(zip, damage(readFileSync(zip)));
    const extraction = extractZip(zip, out(), all);
    await expect(extraction).rejects.toMatchObject({ exitCode: ExitCode.model });
    await expect(extraction).rejects.toThrow(`${zip} is damaged or no zip file`);
  });

  test.each([
    ["a directory", 48],
    ["the record of the directory", -12],
    ["the size of the directory", 40],
    ["the number of entries", 32],
  ])("says that a 64-bit zip is damaged whose %s lies beyond what a number holds", async (_, field) => {
    const zip = await writeZip({ "a.txt": Buffer.from("a") });
    for (const value of [2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
      writeFileSync(zip, wideDirectory(readFileSync(zip), field, value));
      await expect(extractZip(zip, out(), all)).rejects.toMatchObject({
        exitCode: ExitCode.model,
        message: expect.stringMatching(/^[^\n]*a\.zip is damaged or no zip file \([^\n]*\)\. Fetch it again$/),
      });
    }
  });

  test("reads a 64-bit directory", async () => {
    const zip = await writeZip({ "a.txt": Buffer.from("a") });
    writeFileSync(zip, wideDirectory(readFileSync(zip), 32, 1n));
    expect(await extractZip(zip, out(), all)).toEqual(["a.txt"]);
  });

  test.each([
    ["encrypted", 8, 1, /a\.txt is encrypted/],
    ["of another method", 10, 12, /a\.txt is compressed by method 12/],
  ])("refuses an entry that is %s", async (_, field, value, message) => {
    const zip = await writeZip({ "a.txt": Buffer.from("a") });
    const bytes = readFileSync(zip);
    bytes.writeUInt16LE(value, bytes.lastIndexOf("PK\x01\x02", undefined, "latin1") + field);
    writeFileSync(zip, bytes);
    await expect(extractZip(zip, out(), all)).rejects.toThrow(message);
  });

  test("says that deflated bytes are damaged", async () => {
    const zip = await writeZip({ "a.txt": Buffer.from("abc".repeat(1000)) });
    const bytes = readFileSync(zip);
    bytes.fill(0xff, bytes.indexOf("a.txt") + 5, bytes.indexOf("a.txt") + 12);
    writeFileSync(zip, bytes);
    await expect(extractZip(zip, out(), all)).rejects.toMatchObject({ exitCode: ExitCode.model });
  });
});

/** The zip with a 64-bit directory, one field of which is another: of its record, or before it of its locator. */
function wideDirectory(zip: Buffer, field: number, value: bigint): Buffer {
  const end = zip.subarray(-22);
  const at = zip.length - 22;
  const wide = Buffer.alloc(56 + 20);
  wide.write("PK\x06\x06", "latin1");
  wide.writeBigUInt64LE(44n, 4);
  for (const [place, number] of [
    [24, BigInt(end.readUInt16LE(8))],
    [32, BigInt(end.readUInt16LE(10))],
    [40, BigInt(end.readUInt32LE(12))],
    [48, BigInt(end.readUInt32LE(16))],
  ] as const)
    wide.writeBigUInt64LE(number, place);
  wide.write("PK\x06\x07", 56, "latin1");
  wide.writeBigUInt64LE(BigInt(at), 56 + 8);
  wide.writeUInt32LE(1, 56 + 16);
  wide.writeBigUInt64LE(value, field < 0 ? wide.length + field : field);
  const last = Buffer.from(end).fill(0xff, 8, 20);
  return Buffer.concat([zip.subarray(0, at), wide, last]);
}
