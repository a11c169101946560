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
});
