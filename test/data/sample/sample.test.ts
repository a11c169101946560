import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { checkTask } from "../../../src/data/check";
import { sampleSeed, sampleTasks, splitmix32, writeSample } from "../../../src/data/sample/sample";
import { readUserTasks } from "../../../src/tasks/user-tasks";

const checkedIn = path.join(__dirname, "../../../glue-data/sample");

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "flexbert-sample-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function filesOf(root: string): Promise<Record<string, string>> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => path.join(entry.parentPath, entry.name));
  const contents = await Promise.all(files.map((file) => readFile(file, "utf8")));
  return Object.fromEntries(files.map((file, i) => [path.relative(root, file), contents[i] as string]));
}

describe("the sample", () => {
  test("in glue-data/sample is what the script writes with its seed, byte for byte", async () => {
    await writeSample(path.join(folder, "same"), sampleSeed);
    const [made, kept] = [await filesOf(path.join(folder, "same")), await filesOf(checkedIn)];
    expect(Object.keys(made).sort()).toEqual(Object.keys(kept).sort());
    for (const [file, content] of Object.entries(made)) expect([file, content === kept[file]]).toEqual([file, true]);
  });

  test("is another with another seed, and says which", async () => {
    await writeSample(path.join(folder, "other"), 2);
    const [made, kept] = [await filesOf(path.join(folder, "other")), await filesOf(checkedIn)];
    for (const { name } of sampleTasks) {
      expect(made[path.join(name, "train.tsv")]).not.toBe(kept[path.join(name, "train.tsv")]);
    }
    expect(made["README.md"]).toMatch(/with\s+seed\s+2;/);
    expect(made["tasks.yaml"]).toBe(kept["tasks.yaml"]);
  });

  test("reads as user tasks: whole, balanced, without duplicates or dev rows in train", async () => {
    const tasks = await readUserTasks(path.join(checkedIn, "tasks.yaml"));
    expect(tasks.map(({ name, kind, inputs }) => `${name} ${kind.name} ${inputs}`)).toEqual([
      "sample-sentiment classification single",
      "sample-entailment classification pair",
      "sample-similarity regression pair",
      "sample-intent classification single",
    ]);
    for (const [i, task] of tasks.entries()) {
      const { splits, missing } = await checkTask(task, { glueData: "" });
      expect(missing).toEqual([]);
      expect(splits.map(({ rows }) => rows)).toEqual([sampleTasks[i]?.train, sampleTasks[i]?.dev]);
      for (const { broken, duplicates, leaks, labels, values } of splits) {
        expect([broken, duplicates, leaks]).toEqual([[], [], []]);
        const even = 1 / (labels?.length ?? 1);
        for (const { share } of labels ?? []) expect(Math.abs(share - even)).toBeLessThan(even / 2);
        if (values) expect(values.max - values.min).toBeGreaterThan(4);
      }
    }
  });

  test("stays small", async () => {
    const bytes = Object.values(await filesOf(checkedIn)).reduce((sum, content) => sum + Buffer.byteLength(content), 0);
    expect(bytes).toBeLessThan(400_000);
  });
});

test("splitmix32 gives numbers in [0, 1) that depend on seed and stream", () => {
  const draw = (seed: number, stream: number) => {
    const random = splitmix32(seed, stream);
    return Array.from({ length: 10_000 }, random);
  };
  const numbers = draw(1, 0);
  expect(draw(1, 0)).toEqual(numbers);
  expect(draw(2, 0)).not.toEqual(numbers);
  expect(draw(1, 1)).not.toEqual(numbers);
  expect(numbers.every((number) => number >= 0 && number < 1)).toBe(true);
  const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.015); // five standard errors
});
