// The rows of the check: real ones where they are, two batches that differ, padding always.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { batchTensors, checkRows } from "../../../src/export/check/check-rows";
import type { MergedTask } from "../../../src/merge/folder/manifest";
import { kinds } from "../../../src/tasks/kinds";
import { createTokenizer } from "../../../src/tokenizer/tokenizer";
import { embeddedVocabulary } from "../../../src/tokenizer/vocabulary";
import { temporaryFolder, tinyTasks, writeTinyGlue } from "../../tiny";

const folder = temporaryFolder();
const tokenizer = createTokenizer({ tokens: embeddedVocabulary(), lowerCase: true });
const taskOf = (name: string) => tinyTasks.find((task) => task.name === name);

const merged = (name: string, inputs: MergedTask["inputs"], maxLength = 128): MergedTask => ({
  name,
  kind: kinds.classification,
  inputs,
  labels: ["0", "1"],
  range: null,
  metric: "accuracy",
  maxLength,
  fork: 1,
  layers: 1,
  score: null,
  metrics: {},
  run: "",
  file: "",
  sha256: "",
});

async function rowsFor(tasks: readonly MergedTask[], glueData: string, positions = 512) {
  const warnings: string[] = [];
  const warn = (line: string) => void warnings.push(line);
  const rows = await checkRows(tasks, tokenizer, positions, { glueData, taskOf, warn });
  for (const { rows: own, length } of rows.batches) {
    const longest = Math.max(...own.map(({ ids }) => ids.length));
    expect(length).toBeGreaterThan(longest);
    expect(length).toBeLessThanOrEqual(positions);
  }
  const [first, second] = rows.batches;
  expect(first.rows.length).not.toBe(second.rows.length);
  expect(first.length).not.toBe(second.length);
  return { ...rows, warnings };
}

test("dev rows of the tasks whose data is there, the sample's texts for the others", async () => {
  writeTinyGlue(path.join(folder, "glue"));
  const { sources, batches, warnings } = await rowsFor(
    [merged("rte", "pair"), merged("sst2", "single"), merged("gone", "pair"), merged("cola", "single")],
    path.join(folder, "glue"),
  );
  expect(sources).toEqual([
    { task: "rte", rows: path.join(folder, "glue/RTE/dev.tsv") },
    { task: "sst2", rows: path.join(folder, "glue/SST-2/dev.tsv") },
    { task: "gone", rows: "sample texts" },
    { task: "cola", rows: "sample texts" },
  ]);
  expect(batches.map(({ rows }) => rows.length)).toEqual([8, 12]);
  expect(warnings).toEqual([]);
  // Pairs are encoded as pairs.
  expect(batches[0].rows[0]?.typeIds.includes(1)).toBe(true);
  expect(batches[0].rows[2]?.typeIds.includes(1)).toBe(false);
  expect(batches[0].rows[4]?.typeIds.includes(1)).toBe(true);
});

test("dev data that cannot be read is said, and sample texts take its place", async () => {
  mkdirSync(path.join(folder, "bad/RTE"), { recursive: true });
  writeFileSync(path.join(folder, "bad/RTE/dev.tsv"), "not\tthe\theader\n");
  const { sources, warnings } = await rowsFor([merged("rte", "pair")], path.join(folder, "bad"));
  expect(sources[0]?.rows).toBe("sample texts");
  expect(warnings).toEqual([expect.stringMatching(/bad\/RTE\/dev.tsv.*checked on sample texts for rte/)]);
});

test.each([1, 2, 3])("a dev split of %d rows still gives two different batches", async (rows) => {
  const glue = path.join(folder, `few-${rows}`);
  writeTinyGlue(glue, 4, rows);
  await rowsFor([merged("rte", "pair")], glue);
});

test("rows are cut to the model's positions, with room for padding; many tasks give fewer rows each", async () => {
  const { batches } = await rowsFor([merged("long", "pair", 512)], "", 16);
  expect(batches[1].length).toBeLessThanOrEqual(16);
  const many = await rowsFor(
    Array.from({ length: 9 }, (_, i) => merged(`t${i}`, "single")),
    "",
  );
  expect(many.batches.map(({ rows }) => rows.length)).toEqual([9, 18]);
});

test("a batch is ids, mask and types, padded at the end", () => {
  const row = (ids: number[], types: number[]) => ({
    ids: Int32Array.from(ids),
    typeIds: Int32Array.from(types),
    truncated: 0,
  });
  const { input_ids, attention_mask, token_type_ids } = batchTensors(
    { rows: [row([5, 6, 7], [0, 1, 1]), row([8], [0])], length: 4 },
    9,
    {},
  );
  expect(input_ids.shape).toEqual([2, 4]);
  expect([...input_ids.data]).toEqual([5, 6, 7, 9, 8, 9, 9, 9]);
  expect([...attention_mask.data]).toEqual([1, 1, 1, 0, 1, 0, 0, 0]);
  expect([...(token_type_ids?.data ?? [])]).toEqual([0, 1, 1, 0, 0, 0, 0, 0]);
});
