import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { buildMrpc } from "../../../src/data/glue/mrpc";
import { glueSources } from "../../../src/data/glue/sources";
import { describeWithSharedData, sharedData } from "../../shared-data";

const header = "\uFEFFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String";
const train = `${header}\n1\t1\t2\ta "b\tc\n0\t3\t4\td\te \n1\t5\t6\tf\tg\n`;
const testText = `${header}\n1\t7\t8\th\ti\n0\t9\t10\tj\tk\n`;

describe("buildMrpc", () => {
  test("cuts dev out of train, in train's order, and drops the test set's gold labels", () => {
    expect(buildMrpc({ train, test: testText, devIds: "5\t6\n1\t2\n" })).toEqual({
      "train.tsv": `${header}\n0\t3\t4\td\te\n`,
      "dev.tsv": `${header}\n1\t1\t2\ta "b\tc\n1\t5\t6\tf\tg\n`,
      "test.tsv": "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t7\t8\th\ti\n1\t9\t10\tj\tk\n",
    });
  });

  test("takes lines that end with a carriage return", () => {
    const dos = (text: string) => text.replaceAll("\n", "\r\n");
    const files = { train, test: testText, devIds: "1\t2\n" };
    const same = { train: dos(train), test: dos(testText), devIds: dos("1\t2\n") };
    expect(buildMrpc(same)).toEqual(buildMrpc(files));
  });

  test.each([
    ["dev ids that train lacks", { devIds: "1\t2\n11\t12\n" }, /names 1 pairs .* the first 11 and 12/],
    ["a list that is none", { devIds: "<html>\n" }, /mrpc_dev_ids\.tsv, line 1 is no pair of ids: "<html>"/],
    ["an empty list", { devIds: "" }, /line 1 is no pair/],
    [
      "a row that lacks a text",
      { train: `${header}\n1\t1\t2\ta\n` },
      /msr_paraphrase_train\.txt, line 2 has 4 columns/,
    ],
    ["a row without a label", { test: `${header}\nx\t7\t8\th\ti\n` }, /msr_paraphrase_test\.txt, line 2/],
  ])("refuses %s (exit 3)", (_, broken, message) => {
    const build = () => buildMrpc({ train, test: testText, devIds: "1\t2\n", ...broken });
    expect(build).toThrow(message);
    expect(build).toThrow(expect.objectContaining({ exitCode: 3 }));
  });
});

describeWithSharedData("the published MRPC", () => {
  const published = (name: string) => readFileSync(path.join(sharedData, "glue/MRPC", name), "utf8");

  test("comes out byte for byte", () => {
    const rows = (name: string) => published(name).trimEnd().split("\n").slice(1);
    const [trainRows, devRows] = [rows("train.tsv"), rows("dev.tsv")];
    // The corpus mixes both; any order that keeps theirs must give the same files.
    const mixed = trainRows.flatMap((row, i) => (i < devRows.length ? [devRows[i] as string, row] : [row]));
    const files = {
      train: `${[header, ...mixed].join("\n")}\n`,
      test: `${[header, ...rows("test.tsv").map((row) => row.replace(/^\d+/, "1"))].join("\n")}\n`,
      devIds: devRows.map((row) => `${row.split("\t").slice(1, 3).join("\t")}\n`).join(""),
    };
    // All three have the bytes that are recorded for the official files.
    const source = glueSources.mrpc as Extract<(typeof glueSources)["mrpc"], { form: "senteval" }>;
    expect(Buffer.byteLength(files.train)).toBe(source.train.bytes);
    expect(Buffer.byteLength(files.test)).toBe(source.test.bytes);
    expect(Buffer.byteLength(files.devIds)).toBe(source.devIds.bytes);
    const built = buildMrpc(files);
    for (const [name, content] of Object.entries(built)) expect(content === published(name)).toBe(true);
    expect(Object.keys(built)).toHaveLength(3);
  });
});
