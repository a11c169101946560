// The traps of GLUE's files, on fixtures of our own in the official layout (test/fixtures/glue), and on the published
// files where they lie beside the project.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { readSplit, type Split } from "../../src/data/read-split";
import { type GlueName, glueTasks } from "../../src/tasks/glue";
import type { SplitName } from "../../src/tasks/task";
import { describeWithSharedData, sharedData } from "../shared-data";

const published = path.join(sharedData, "glue");
const fixtures = path.join(__dirname, "../fixtures/glue");
const read = (name: GlueName, split: SplitName, glueData: string): Promise<Split> =>
  readSplit(glueTasks[name], split, { glueData });

const labelNames = ({ task, examples }: Split) => examples.map(({ label }) => task.labels[label as number]);

function countLabels(split: Split): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of labelNames(split)) counts[String(name)] = (counts[String(name)] ?? 0) + 1;
  return counts;
}

describeWithSharedData("published files", () => {
  test.each<[GlueName, number, number, number]>([
    ["cola", 8551, 1043, 1063],
    ["sst2", 67349, 872, 1821],
    ["mrpc", 3668, 408, 1725],
    ["stsb", 5749, 1500, 1379],
    ["rte", 2490, 277, 3000],
    ["wnli", 635, 71, 146],
  ])("%s has %i, %i and %i rows, none of them broken", async (name, ...rows) => {
    for (const [i, split] of (["train", "dev", "test"] as const).entries()) {
      const { examples, broken } = await read(name, split, published);
      expect(examples).toHaveLength(rows[i] as number);
      expect(broken).toEqual([]);
      expect(glueTasks[name].splits[split]?.rows).toBe(rows[i]);
      const labels = new Set(examples.map(({ label }) => label));
      if (split === "test") expect(labels).toEqual(new Set([null]));
      else expect(labels.has(null)).toBe(false);
    }
  });

  test("quotes are ordinary characters", async () => {
    const { examples } = await read("mrpc", "train", published);
    const odd = examples.filter(({ text }) => (text.match(/"/g)?.length ?? 0) % 2 === 1);
    expect(odd.length).toBeGreaterThan(0);
    expect(odd.some(({ text }) => text.startsWith('"'))).toBe(true);
  });

  test("MRPC: the byte order mark is no part of the first column's name", async () => {
    const bytes = await readFile(path.join(published, "MRPC/train.tsv"));
    expect([...bytes.subarray(0, 3)]).toEqual([0xef, 0xbb, 0xbf]);
    expect(countLabels(await read("mrpc", "train", published))).toEqual({ equivalent: 2474, not_equivalent: 1194 });
    expect(countLabels(await read("mrpc", "dev", published))).toEqual({ equivalent: 279, not_equivalent: 129 });
  });

  test("CoLA: train and dev have no header, test has one", async () => {
    const train = await read("cola", "train", published);
    expect(train.examples[0]).toEqual({
      text: "Our friends won't buy this analysis, let alone the next one we propose.",
      pair: null,
      label: 1,
      index: "0",
      line: 1,
    });
    expect((await read("cola", "test", published)).examples[0]).toMatchObject({ label: null, index: "0", line: 2 });
    expect(countLabels(await read("cola", "dev", published))).toEqual({ acceptable: 721, unacceptable: 322 });
  });

  test("SST-2: texts keep the space at their end", async () => {
    const { examples } = await read("sst2", "train", published);
    expect(examples.every(({ text }) => text.endsWith(" "))).toBe(true);
  });

  test("STS-B: values 0 to 5, from the last column of train and dev", async () => {
    const { examples } = await read("stsb", "dev", published);
    const values = examples.map(({ label }) => label as number);
    expect([Math.min(...values), Math.max(...values)]).toEqual([0, 5]);
    expect(examples[0]).toMatchObject({
      text: "A man with a hard hat is dancing.",
      pair: "A man wearing a hard hat is dancing.",
      label: 5,
      index: "0",
    });
  });

  test("RTE's and WNLI's labels go by name, though their ids are reversed", async () => {
    expect(countLabels(await read("rte", "dev", published))).toEqual({ entailment: 146, not_entailment: 131 });
    const wnli = await read("wnli", "dev", published);
    expect(countLabels(wnli)).toEqual({ not_entailment: 40, entailment: 31 });
    expect(wnli.task.labels[0]).toBe("not_entailment");
  });
});

test.each<[GlueName, number, number, number]>([
  ["cola", 3, 2, 2],
  ["sst2", 2, 1, 1],
  ["mrpc", 3, 1, 1],
  ["stsb", 2, 2, 1],
  ["rte", 2, 2, 1],
  ["wnli", 2, 2, 1],
])("%s in its official layout: %i, %i and %i rows, none broken, no label in test", async (name, ...rows) => {
  for (const [i, split] of (["train", "dev", "test"] as const).entries()) {
    const { examples, broken } = await read(name, split, fixtures);
    expect([examples.length, broken]).toEqual([rows[i], []]);
    for (const { label } of examples) expect(label === null).toBe(split === "test");
  }
});

test("MRPC: quotes are ordinary characters, the byte order mark is no part of the first column's name", async () => {
  const bytes = await readFile(path.join(fixtures, "MRPC/train.tsv"));
  expect([...bytes.subarray(0, 3)]).toEqual([0xef, 0xbb, 0xbf]);
  const train = await read("mrpc", "train", fixtures);
  expect(train.examples.map(({ text }) => text)).toEqual([
    '" It rains , he said .',
    "The shop closed at six .",
    "Prices rose .",
  ]);
  expect(labelNames(train)).toEqual(["equivalent", "not_equivalent", "equivalent"]);
});

test("CoLA: train and dev have no header, test has one", async () => {
  expect((await read("cola", "train", fixtures)).examples[0]).toEqual({
    text: "The baker sold her bread.",
    pair: null,
    label: 1,
    index: "0",
    line: 1,
  });
  expect((await read("cola", "test", fixtures)).examples[0]).toMatchObject({ label: null, index: "0", line: 2 });
  expect(labelNames(await read("cola", "dev", fixtures))).toEqual(["unacceptable", "acceptable"]);
});

test("SST-2: texts keep the space at their end", async () => {
  const { examples } = await read("sst2", "train", fixtures);
  expect(examples.map(({ text }) => text)).toEqual(["a bright and quick story ", "dull , and far too long "]);
});

test("STS-B: values from the last column of train and dev", async () => {
  const { examples } = await read("stsb", "dev", fixtures);
  expect(examples.map(({ label }) => label)).toEqual([3.75, 1.2]);
  expect(examples[1]).toMatchObject({ text: "Rain is expected.", pair: '"Snow.', index: "1" });
});

test("RTE's and WNLI's labels go by name, though their ids are reversed", async () => {
  const rte = await read("rte", "dev", fixtures);
  expect(labelNames(rte)).toEqual(["not_entailment", "entailment"]);
  expect(rte.examples.map(({ label }) => label)).toEqual([1, 0]);
  const wnli = await read("wnli", "dev", fixtures);
  expect(labelNames(wnli)).toEqual(["not_entailment", "entailment"]);
  expect(wnli.task.labels[0]).toBe("not_entailment");
});

test("MNLI: gold_label is found by name, in column 11 of train and 15 of dev", async () => {
  expect(labelNames(await read("mnli", "train", fixtures))).toEqual(["entailment", "contradiction", "neutral"]);
  // The first annotator's label, in dev's column 10 and 11, is another one.
  expect(labelNames(await read("mnli", "dev", fixtures))).toEqual(["contradiction", "entailment"]);
  expect(labelNames(await read("mnli", "dev_mismatched", fixtures))).toEqual(["neutral"]);
});

test("MNLI: two dev sets and two test sets; indices start again in each", async () => {
  const [matched, mismatched] = [await read("mnli", "test", fixtures), await read("mnli", "test_mismatched", fixtures)];
  expect(matched.examples.map(({ index }) => index)).toEqual(["7", "8"]);
  expect(mismatched.examples).toEqual([
    { text: "We regret the delay.", pair: "There was a delay.", label: null, index: "7", line: 2 },
  ]);
});

test("QNLI: the question comes first, entailment is id 0", async () => {
  const { examples } = await read("qnli", "train", fixtures);
  expect(examples[0]).toEqual({
    text: 'Who wrote the "Tale?',
    pair: "The tale was written by a baker.",
    label: 0,
    index: "0",
    line: 2,
  });
  expect((await read("qnli", "test", fixtures)).examples[0]?.label).toBeNull();
});

test("QQP: texts by name in train and test, one empty question is kept", async () => {
  const { examples } = await read("qqp", "train", fixtures);
  expect(examples.map(({ label }) => label)).toEqual([1, 0, 0]);
  expect(examples[0]).toMatchObject({ text: 'How do I bake "bread?', pair: "What is the way to bake bread?" });
  expect(examples[2]).toMatchObject({ text: "How can I learn to draw?", pair: "" });
  expect((await read("qqp", "test", fixtures)).examples[1]).toMatchObject({ text: "", pair: "Who is it?", index: "7" });
});

test("AX: test only, without labels, also where the official script puts it", async () => {
  const { examples, path: file } = await read("ax", "test", fixtures);
  expect(file).toBe(path.join(fixtures, "diagnostic/diagnostic.tsv"));
  expect(examples.map(({ label }) => label)).toEqual([null, null]);
  await expect(read("ax", "train", fixtures)).rejects.toThrow(
    "ax has no train split, only test; it is predicted with mnli's branch",
  );
});
