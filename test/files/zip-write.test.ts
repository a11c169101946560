import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { extractZip } from "../../src/files/zip";
import { writeZip } from "../../src/files/zip-write";
import { temporaryFolder } from "./temporary-folder";

const files = { "CoLA.tsv": "index\tprediction\n0\t1\n", "empty.tsv": "", "é.tsv": "ü".repeat(100_000) };

test("what is written comes out again, flat, and equal contents give equal bytes", async () => {
  const folder = temporaryFolder();
  const [first, second] = [path.join(folder, "a.zip"), path.join(folder, "b.zip")];
  await writeZip(first, files);
  await writeZip(second, files);
  expect(readFileSync(first).equals(readFileSync(second))).toBe(true);
  const names = await extractZip(first, path.join(folder, "out"), { target: (entry) => entry, maxBytes: 1e6 });
  expect(names.sort()).toEqual(Object.keys(files).sort());
  for (const [name, content] of Object.entries(files)) {
    expect(readFileSync(path.join(folder, "out", name), "utf8")).toBe(content);
  }
});

test("a zip that cannot be written leaves nothing behind", async () => {
  const folder = temporaryFolder();
  mkdirSync(path.join(folder, "taken.zip"));
  await expect(writeZip(path.join(folder, "taken.zip"), files)).rejects.toThrow();
  expect(readdirSync(folder)).toEqual(["taken.zip"]);
});
