// Labels that a tasks file leaves to its train file, and dev rows that a hash splits off it.

import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { sortedLabels, withLabels } from "../../src/data/labels";
import { isOfPart, shareOf } from "../../src/data/part";
import { readSplit } from "../../src/data/read-split";
import type { Task } from "../../src/tasks/task";
import { parseUserTasks } from "../../src/tasks/user-tasks";
import { temporaryFolder } from "../tiny";

const folder = temporaryFolder();

/** A task of a train file with these lines, and these keys. */
function taskOf(rows: readonly string[], keys = "labels: from-data"): Task {
  writeFileSync(path.join(folder, "train.csv"), `text,label\n${rows.join("\n")}\n`);
  const entry = `name: own\n    files: { train: train.csv }\n    columns: { text: text, label: label }\n    ${keys}`;
  return parseUserTasks(`tasks:\n  - ${entry}\n`, path.join(folder, "tasks.yaml"))[0] as Task;
}

const labelsOf = async (rows: readonly string[], keys?: string) => (await withLabels(taskOf(rows, keys))).labels;
const repeated = (labels: readonly string[]) =>
  labels.flatMap((label) => [`a ${label} row,${label}`, `b,${label}`, `c,${label}`]);

test("are the train file's, sorted: whole numbers by value, else by code unit", async () => {
  expect(await labelsOf(repeated(["b", "a", "Z", "é"]))).toEqual(["Z", "a", "b", "é"]);
  expect(sortedLabels(["10", "9", "-1", "0"])).toEqual(["-1", "0", "9", "10"]);
  expect(sortedLabels(["10", "9", "x"])).toEqual(["10", "9", "x"]);
});

test("that other files have alone are told with what to do", async () => {
  const task = taskOf(repeated(["a", "b"]));
  writeFileSync(path.join(folder, "dev.csv"), "text,label\nx,a\ny,c\n");
  const dev = { ...task.splits.train, file: path.join(folder, "dev.csv") } as NonNullable<Task["splits"]["dev"]>;
  const labelled = await withLabels({ ...task, splits: { ...task.splits, dev } });
  const advice =
    /unknown label "c".*\. Labels of own are those of its train file: .* list all of them under labels in /;
  await expect(readSplit(labelled, "dev", { glueData: "" })).rejects.toThrow(advice);
  const { labelsFrom: _, ...listed } = labelled;
  await expect(readSplit(listed, "dev", { glueData: "" })).rejects.toThrow(/--skip-broken-rows$/);
});

test("150 intents need no list", async () => {
  const intents = Array.from({ length: 150 }, (_, i) => `intent_${String(i).padStart(3, "0")}`);
  expect(await labelsOf(repeated([...intents].reverse()))).toEqual(intents);
});

test("are meant where neither labels nor a range is said and the column holds few words", async () => {
  expect(await labelsOf(repeated(["no", "yes"]), "metric: f1")).toEqual(["no", "yes"]);
  const advice = /Give own labels, labels: from-data or, for numbers, a range in .*tasks.yaml$/;
  await expect(labelsOf(repeated(["0.5", "1.25"]), "title: x")).rejects.toThrow(/numbers such as 0.5\. /);
  await expect(labelsOf(repeated(["one two three four five six", "b"]), "title: x")).rejects.toThrow(advice);
  await expect(labelsOf(["a,one", "b,two", "c,three"], "title: x")).rejects.toThrow(/has 3 different words in 3 rows/);
  expect(await labelsOf(["a,one", "b,two", "c,three"])).toEqual(["one", "three", "two"]);
});

test("of rows with several labels are the parts", async () => {
  expect(await labelsOf(["x,b|a", "y,", "z,c"], "kind: multilabel\n    labels: from-data")).toEqual(["a", "b", "c"]);
});

test("a label of a list that has the separator in it is not taken for two", async () => {
  const rows = [
    { text: "x", label: ["a|b"] },
    { text: "y", label: ["c"] },
    { text: "z", label: ["d", "c"] },
  ];
  writeFileSync(path.join(folder, "train.jsonl"), rows.map((row) => JSON.stringify(row)).join("\n"));
  const listed = (keys: string) => {
    const task = taskOf([], `kind: multilabel\n    labels: from-data${keys}`);
    const source = { ...task.splits.train, file: path.join(folder, "train.jsonl"), format: "jsonl" };
    return { ...task, splits: { train: source } } as Task;
  };
  const torn = listed("");
  expect((await withLabels(torn)).labels).toEqual(["c", "d"]);
  await expect(readSplit(torn, "train", { glueData: "" })).rejects.toThrow(
    /line 1: the label "a\|b" has the separator "\|" in it: give another label-separator/,
  );
  expect((await withLabels(listed('\n    label-separator: ";"'))).labels).toEqual(["a|b", "c", "d"]);
});

test.each([
  ["one label alone", ["x,a", "y,a"], /needs at least two labels, and there is "a" alone/],
  ["labels that look alike", ["x,caf\u00e9", "y,cafe\u0301"], /"cafe\\u0301" and "caf\\u00e9" differ in Unicode form/],
  ["an invisible character", ["x,yes", "y,yes\u200b"], /"yes" and "yes\\u200b" differ in Unicode form or invisible/],
  [
    "100,000 labels",
    Array.from({ length: 100_000 }, (_, i) => `x,l${i}`),
    /more than 10000 labels .* is it the column/,
  ],
])("refused: %s", async (_, rows, message) => {
  await expect(labelsOf(rows)).rejects.toMatchObject({ exitCode: 3, message: expect.stringMatching(message) });
});

test("a metric that they do not have is refused once they are known", async () => {
  await expect(labelsOf(repeated(["a", "b", "c"]), "labels: from-data\n    metric: f1")).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringMatching(/^own: f1 is that of the second of two labels/),
  });
});

test("may be given in another order and with further ones, but not without one", async () => {
  const task = taskOf(repeated(["a", "b"]));
  expect((await withLabels(task, ["c", "b", "a"])).labels).toEqual(["c", "b", "a"]);
  await expect(withLabels(task, ["a"])).rejects.toThrow('has the label "b", which --labels does not name');
  await expect(withLabels(taskOf(repeated(["a", "b"]), "labels: [a, b]"), ["a", "b"])).rejects.toThrow(
    /Leave --labels out/,
  );
});

test("a task without its train file keeps none: models know theirs", async () => {
  const task = taskOf(repeated(["a", "b"]));
  const gone = { ...task, splits: { train: { ...task.splits.train, file: path.join(folder, "gone.csv") } } } as Task;
  expect((await withLabels(gone)).labels).toEqual([]);
});

const rows = Array.from({ length: 400 }, (_, i) => `row ${i % 390} of many,${i % 2 ? "odd" : "even"}`);
const split = "labels: [even, odd]\n    dev-share: 0.1";

async function parts(lines: readonly string[]) {
  const task = taskOf(lines, split);
  const read = async (name: "train" | "dev", maxRows?: number) =>
    (await readSplit(task, name, { glueData: "", ...(maxRows ? { maxRows } : {}) })).examples.map(({ text }) => text);
  return { train: await read("train"), dev: await read("dev"), first: await read("dev", 3) };
}

test("dev-share splits rows by their texts: every row once, none on both sides, in the file's order", async () => {
  const { train, dev, first } = await parts(rows);
  expect(train.length + dev.length).toBe(400);
  expect(dev.length).toBeGreaterThan(20);
  expect(dev.length).toBeLessThan(60);
  expect(dev.filter((text) => train.includes(text))).toEqual([]);
  expect(first).toEqual(dev.slice(0, 3));
});

test("rows that come, go or move leave the others where they are", async () => {
  const before = await parts(rows);
  const after = await parts([...rows.slice(100).reverse(), "a new row,odd"]);
  for (const text of after.dev) expect([...before.dev, "a new row"]).toContain(text);
  for (const text of after.train) expect([...before.train, "a new row"]).toContain(text);
});

test("the hash is of the texts alone, as Python's hashlib has it", () => {
  // int.from_bytes(hashlib.sha256('["a film"]'.encode()).digest()[:4], "big") / 2**32
  expect(shareOf(" a film ")).toBe(shareOf("a film"));
  expect(shareOf("a film")).toBeCloseTo(0.43715247, 9);
  expect(shareOf("a film", "é")).toBeCloseTo(0.603362037, 9);
  const source = { part: { of: "dev", devShare: 1 } } as const;
  expect([isOfPart({ text: "a" }, source), isOfPart({}, source), isOfPart({}, {})]).toEqual([true, false, true]);
});

test("dev-share beside a dev file, or without a train file, is refused", () => {
  const read = (files: string) =>
    parseUserTasks(
      `tasks:\n  - name: own\n    files: { ${files} }\n    columns: { text: t, label: l }\n    ${split}\n`,
      "t.yaml",
    );
  expect(() => read("train: a.csv, dev: b.csv")).toThrow(
    "dev-share: is for tasks without a dev file; leave one of the two",
  );
  expect(() => read("test: a.csv")).toThrow("dev-share: takes rows of the train file, and there is none");
});

test("a share that leaves a split without rows is refused", async () => {
  await expect(parts(["one,odd"])).rejects.toThrow(
    /dev-share 0.1 leaves no (dev|train) row\. Give a (larger|smaller) one, or a dev file/,
  );
});
