import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, test } from "@jest/globals";
import { copyIntoPlace, moveIntoPlace } from "../../src/data/place";
import { temporaryFolder } from "../files/temporary-folder";

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
  mkdirSync(path.join(folder, "from/below"), { recursive: true });
  writeFileSync(path.join(folder, "from/a.tsv"), "a");
  writeFileSync(path.join(folder, "from/below/b.tsv"), "b");
});

const from = () => path.join(folder, "from");
const to = () => path.join(folder, "glue-data/RTE");

test("moves a folder, making the one above it", async () => {
  await moveIntoPlace(from(), to());
  expect(readFileSync(path.join(to(), "below/b.tsv"), "utf8")).toBe("b");
  expect(readdirSync(folder)).toEqual(["glue-data"]);
});

describe("across file systems", () => {
  beforeEach(() => mkdirSync(path.dirname(to())));

  test("a folder and a file are copied under another name first", async () => {
    await copyIntoPlace(from(), to());
    await copyIntoPlace(path.join(from(), "a.tsv"), path.join(to(), "c.tsv"));
    expect(readdirSync(to()).sort()).toEqual(["a.tsv", "below", "c.tsv"]);
    expect(readdirSync(path.dirname(to()))).toEqual(["RTE"]);
  });

  test("a copy that fails leaves nothing", async () => {
    await copyIntoPlace(from(), to());
    await expect(copyIntoPlace(from(), to())).rejects.toMatchObject({
      code: expect.stringMatching(/ENOTEMPTY|EEXIST/),
    });
    expect(readdirSync(path.dirname(to()))).toEqual(["RTE"]);
  });
});
