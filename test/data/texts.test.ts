// Texts without labels: of a task whatever its labels say, of anybody's file by its columns, in one order and under one hash.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test } from "@jest/globals";
import { eachText, type TextSource, textsOfFile, textsOfTask } from "../../src/data/texts";
import { glueTasks } from "../../src/tasks/glue";
import { temporaryFolder } from "../tiny";

const folder = temporaryFolder();
const glue = path.join(folder, "glue");
const write = (name: string, text: string) => {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
  return file;
};
const strict = { skipBroken: false, maxBroken: 0.1 };
const { rte, sst2 } = glueTasks;

async function textsOf(sources: readonly (TextSource | null)[], rules = strict) {
  const texts: (string | null)[][] = [];
  const survey = await eachText(sources as TextSource[], rules, (text, pair) => void texts.push([text, pair]));
  return { texts, ...survey };
}

beforeAll(() => {
  write("glue/RTE/train.tsv", "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n1\tc\td\tnobody knows\n");
});

test("of a task: every row, whatever its label says; another task's rows after them", async () => {
  const file = write("more.csv", 'premise,hypothesis,extra\n"e, f",g,1\nh,,2\n');
  const { texts, rows, sha256, notes } = await textsOf([textsOfTask(rte, glue), await textsOfFile(file, rte, glue)]);
  expect(texts).toEqual([
    ["a", "b"],
    ["c", "d"],
    ["e, f", "g"],
    ["h", ""],
  ]);
  expect([rows, notes]).toEqual([4, []]);
  expect((await textsOf([await textsOfFile(file, rte, glue), textsOfTask(rte, glue)])).sha256).not.toBe(sha256);
  expect(textsOfTask(sst2, glue)).toBeNull();
});

test("the hash is of the texts alone: not of their file, its form or its other columns", async () => {
  const files = [
    write("one.tsv", "text\tid\nx y\t1\nz\t2\n"),
    write("two.jsonl", '{"sentence": "x y", "label": 7}\n{"sentence": "z"}\n'),
    write("three.csv", "text,pair\nx y,left out\nz,too\n"),
  ];
  const surveys = await Promise.all(files.map(async (file) => textsOf([await textsOfFile(file, sst2, glue)])));
  expect(new Set(surveys.map(({ sha256 }) => sha256)).size).toBe(1);
  expect(surveys[2]?.texts).toEqual([
    ["x y", null],
    ["z", null],
  ]);
});

test("broken rows stop it, or are left out and told", async () => {
  const file = write("broken.tsv", `text\tid\n${"fine\t1\n".repeat(10)}too\tmany\tcells\n \t3\n`);
  const source = [await textsOfFile(file, sst2, glue)];
  await expect(textsOf(source)).rejects.toMatchObject({
    exitCode: 3,
    message: expect.stringMatching(
      /broken.tsv: 2 broken rows of 12 \(the first in line 12: 3 columns, the header has 2\); mend .*--skip-broken-rows/,
    ),
  });
  const loose = { skipBroken: true, maxBroken: 0.2 };
  expect(await textsOf(source, loose)).toMatchObject({
    rows: 10,
    notes: [expect.stringMatching(/2 broken rows of 12 .* left out/)],
  });
  await expect(textsOf(source, { ...loose, maxBroken: 0.1 })).rejects.toThrow(/more than 10 %.*--max-broken-rows 0.17/);
  const many = write("many.tsv", `text\n${"fine\n".repeat(71)}${"too\tmany\n".repeat(29)}`);
  expect(await textsOf([await textsOfFile(many, sst2, glue)], { ...loose, maxBroken: 0.29 })).toMatchObject({
    rows: 71,
  });
});

test("a file without the columns that the task takes says what would help", async () => {
  const single = write("single.tsv", "text\nx\n");
  await expect(textsOfFile(single, rte, glue)).rejects.toMatchObject({
    exitCode: 3,
    message: expect.stringMatching(
      /single.tsv has single texts, and rte takes pairs\. Name the column of the second texts pair/,
    ),
  });
  await expect(textsOfFile(write("odd.csv", "alpha,beta\n1,2\n"), sst2, glue)).rejects.toThrow(
    /no column of texts among alpha, beta.*describe the file as a task's in a tasks file and give task:NAME/,
  );
  await expect(textsOfFile(path.join(folder, "gone.csv"), sst2, glue)).rejects.toThrow(/gone.csv is missing\. Give/);
});
