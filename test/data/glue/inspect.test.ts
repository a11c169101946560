import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { inspectSplit, requireRows } from "../../../src/data/glue/inspect";
import { sha256Hex } from "../../../src/files/hash";
import { glueTasks } from "../../../src/tasks/glue";
import type { SplitSource } from "../../../src/tasks/task";
import { temporaryFolder } from "../../files/temporary-folder";
import { describeWithSharedData, sharedData } from "../../shared-data";

const folder = temporaryFolder();
const sst2 = glueTasks.sst2.splits.train as SplitSource;
const cola = glueTasks.cola.splits.train as SplitSource;

async function inspect(content: string, source = sst2) {
  const file = path.join(folder, "train.tsv");
  writeFileSync(file, content);
  return inspectSplit(file, source);
}

describe("inspectSplit", () => {
  test.each([
    ["the header is no row", "sentence\tlabel\na\t1\nb\t0\n", [2, 0]],
    ["the last line may lack its end", "sentence\tlabel\na\t1", [1, 0]],
    ["empty lines at the end are none, carriage returns nothing", "sentence\tlabel\r\na\t1\r\n\r\n\n", [1, 0]],
    ["an empty line in between is broken", "sentence\tlabel\na\t1\n\nb\t0\n", [2, 1]],
    ["a row that lacks a column is broken", "sentence\tlabel\na\nb\t0\n", [1, 1]],
    ["texts may hold other line ends", "sentence\tlabel\na\u2028b\u0085c\t1\n", [1, 0]],
  ])("%s", async (_, content, [rows, broken]) => {
    expect(await inspect(content)).toEqual({ rows, broken, sha256: sha256Hex(content) });
  });

  test("CoLA has no header", async () => {
    expect(await inspect("gj04\t1\t\tFish swim.\nc-05\t0\t*\tFish swims they.\n", cola)).toMatchObject({ rows: 2 });
  });

  test("a file of another layout is refused", async () => {
    await expect(inspect("text\tlabel\na\t1\n")).rejects.toThrow(/no column "sentence"/);
  });
});

test("requireRows takes a count with the broken rows, and one without them", () => {
  const inspection = { rows: 8, broken: 2, sha256: "" };
  for (const expected of [8, 10, undefined]) requireRows("f", inspection, expected, "");
  expect(() => requireRows("f", inspection, 9, "Fetch it")).toThrow(
    "f has 8 rows and 2 broken ones, the published file 9. Fetch it",
  );
});

describeWithSharedData("published files", () => {
  test.each(["cola", "sst2", "mrpc", "stsb", "rte", "wnli"] as const)(
    "%s has the rows of its definition",
    async (name) => {
      const task = glueTasks[name];
      for (const source of Object.values(task.splits)) {
        const { rows, broken } = await inspectSplit(path.join(sharedData, "glue", task.folder, source.file), source);
        expect([rows, broken]).toEqual([source.rows, 0]);
      }
    },
  );
});
