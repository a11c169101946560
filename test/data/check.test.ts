import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { checkTask } from "../../src/data/check";
import { glueTasks } from "../../src/tasks/glue";
import type { Task } from "../../src/tasks/task";
import { parseUserTasks } from "../../src/tasks/user-tasks";
import { describeWithSharedData, sharedData } from "../shared-data";

let glueData: string;
beforeAll(async () => {
  glueData = await mkdtemp(path.join(tmpdir(), "flexbert-check-"));
  const pairs = (rows: string[]) =>
    `index\tsentence1\tsentence2\tlabel\n${rows.map((row, i) => `${i}\t${row}`).join("\n")}\n`;
  await mkdir(path.join(glueData, "RTE"));
  await writeFile(
    path.join(glueData, "RTE/train.tsv"),
    pairs([
      "a b c\td e\tentailment",
      "a b c \td e\tnot_entailment", // the same but for a space; the other label
      "a b c\td e\tnot_entailment", // that label was there before
      "d e\ta b c\tentailment", // the other order is another pair
      "f\tg\tentailmnt", // broken
      "f\t\tentailment",
    ]),
  );
  await writeFile(
    path.join(glueData, "RTE/dev.tsv"),
    pairs(["d e\ta b c\tnot_entailment", "a b c\td e\tentailment", "new\tpair\tentailment"]),
  );
  await mkdir(path.join(glueData, "STS-B"));
  await writeFile(
    path.join(glueData, "STS-B/dev.tsv"),
    "index\tsentence1\tsentence2\tscore\n0\ta\tb\t1\n1\tb\tc\t2\n2\tc\td\t4.5\n3\td\te\t0.5\n",
  );
});
afterAll(() => rm(glueData, { recursive: true }));

describe("checkTask", () => {
  test("reports rows, balance, lengths, duplicates and broken rows of train", async () => {
    const { splits, missing } = await checkTask(glueTasks.rte, { glueData });
    expect(missing).toEqual(["test"]);
    expect(splits[0]).toEqual({
      split: "train",
      path: path.join(glueData, "RTE/train.tsv"),
      rows: 5,
      expectedRows: 2490,
      broken: [{ line: 6, reason: expect.stringContaining('unknown label "entailmnt"') }],
      brokenRows: 1,
      warnings: [],
      labels: [
        { label: "entailment", rows: 3, share: 0.6 },
        { label: "not_entailment", rows: 2, share: 0.4 },
      ],
      values: null,
      lengthUnit: "words",
      lengths: { min: 1, mean: 4.2, p50: 5, p95: 5, max: 5 },
      truncatedShare: null,
      halfEmpty: [7],
      duplicates: [
        { line: 3, firstLine: 2, contradicts: true },
        { line: 4, firstLine: 2, contradicts: false },
      ],
      leaks: [],
    });
  });

  test("reports dev rows that train has, and which of them contradict it", async () => {
    const { splits } = await checkTask(glueTasks.rte, { glueData });
    expect(splits[1]).toMatchObject({
      split: "dev",
      duplicates: [],
      leaks: [
        { line: 2, firstLine: 5, contradicts: true },
        { line: 3, firstLine: 2, contradicts: false },
      ],
    });
  });

  test("takes tokens and truncation from an encoder", async () => {
    const encodeLength = ({ text, pair }: { text: string; pair: string | null }) => {
      const length = 3 + text.length + (pair ?? "").length;
      return { length, truncated: Math.max(0, length - 8) };
    };
    const { splits } = await checkTask(glueTasks.rte, { glueData, encodeLength });
    expect(splits[1]).toMatchObject({
      lengthUnit: "tokens",
      lengths: { min: 10, mean: 32 / 3, p50: 11, p95: 11, max: 11 },
      truncatedShare: 1,
    });
    expect(splits[0]?.truncatedShare).toBe(0.8);
  });

  test("where words have labels no text is cut: a long one is read in windows", async () => {
    await writeFile(path.join(glueData, "words.conll"), "a O\nb B-x\n\nc O\n");
    const entry =
      "name: words\n    kind: tagging\n    files: { train: words.conll }\n    columns: { text: 0, label: 1 }";
    const [task] = parseUserTasks(`tasks:\n  - ${entry}\n    labels: [O, B-x]\n`, path.join(glueData, "tasks.yaml"));
    const encodeLength = ({ text }: { text: string }) => ({ length: text.length, truncated: text.length - 2 });
    const { splits } = await checkTask(task as Task, { glueData, encodeLength });
    expect(splits[0]).toMatchObject({ rows: 2, lengths: { max: 3 }, truncatedShare: 0 });
  });

  test("a regression has a distribution of values in place of a balance", async () => {
    const { splits, missing } = await checkTask(glueTasks.stsb, { glueData });
    expect(missing).toEqual(["train", "test"]);
    expect(splits[0]).toMatchObject({ labels: null, values: { min: 0.5, mean: 2, p50: 1, p95: 4.5, max: 4.5 } });
  });

  test("a task without any file is all missing", async () => {
    expect(await checkTask(glueTasks.mnli, { glueData })).toEqual({
      task: "mnli",
      splits: [],
      missing: ["train", "dev", "dev_mismatched", "test", "test_mismatched"],
    });
  });
});

describeWithSharedData("published CoLA", () => {
  test("has 16 dev and 19 test sentences that its train set has too", async () => {
    const { splits } = await checkTask(glueTasks.cola, { glueData: path.join(sharedData, "glue") });
    expect(splits.map(({ leaks }) => leaks.length)).toEqual([0, 16, 19]);
    expect(splits.map(({ leaks }) => leaks.filter(({ contradicts }) => contradicts).length)).toEqual([0, 2, 0]);
    expect(splits.map(({ rows, expectedRows }) => rows === expectedRows)).toEqual([true, true, true]);
  });
});
