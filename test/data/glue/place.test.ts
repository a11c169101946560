import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, test } from "@jest/globals";
import { copyIntoPlace, moveIntoPlace } from "../../../src/data/glue/place";
import { temporaryFolder } from "../../files/temporary-folder";

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

test("a file where the folder belongs is an error that names it", async () => {
  writeFileSync(path.join(folder, "glue-data"), "");
  await expect(moveIntoPlace(from(), to())).rejects.toThrow(/glue-data/);
  await moveIntoPlace(path.join(from(), "a.tsv"), path.join(folder, "other/RTE"));
  await expect(moveIntoPlace(from(), path.join(folder, "other/RTE/train.tsv"))).rejects.toMatchObject({ exitCode: 1 });
  expect(readFileSync(path.join(folder, "other/RTE"), "utf8")).toBe("a");
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
    await expect(copyIntoPlace(from(), to())).rejects.toThrow(/RTE cannot be put there/);
    expect(readdirSync(path.dirname(to()))).toEqual(["RTE"]);
  });
});
