import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { ExitCode, type UserError } from "../../src/errors/errors";
import { kinds } from "../../src/tasks/kinds";
import { readUserTasks, userTasksJsonSchema } from "../../src/tasks/user-tasks";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "flexbert-tasks-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function read(yaml: string) {
  const file = path.join(folder, "tasks.yaml");
  await writeFile(file, yaml);
  return readUserTasks(file);
}

async function errorOf(yaml: string): Promise<UserError> {
  const error = await read(yaml).then(
    () => undefined,
    (error: UserError) => error,
  );
  if (!error) throw new Error("the file was accepted");
  return error;
}

describe("readUserTasks", () => {
  test("a classification of single texts, with defaults", async () => {
    const [task] = await read(`
tasks:
  - name: tickets
    files: { train: data/train.tsv, dev: data/dev.csv, test: data/test.jsonl }
    columns: { text: body, label: queue, index: id }
    labels: [billing, returns, other]
`);
    expect(task).toMatchObject({
      name: "tickets",
      title: "tickets",
      kind: kinds.classification,
      inputs: "single",
      labels: ["billing", "returns", "other"],
      metric: "accuracy",
      alsoReport: [],
      inAverage: true,
    });
    expect(task?.splits.train).toEqual({
      file: path.join(folder, "data/train.tsv"),
      format: "tsv",
      header: true,
      quotes: "ordinary",
      columns: { text: "body", label: "queue", index: "id" },
      spellings: { billing: "billing", returns: "returns", other: "other" },
    });
    expect(task?.splits.dev).toMatchObject({ format: "csv", quotes: "csv" });
    expect(task?.splits.test).toMatchObject({ format: "jsonl", labelOptional: true });
  });

  test("a regression on pairs by position", async () => {
    const [task] = await read(`
tasks:
  - name: closeness
    files: { train: t.txt }
    format: tsv
    header: false
    columns: { text: 1, pair: 2, label: 0 }
    range: [-1, 1]
    metric: spearman
    also-report: [pearson]
`);
    expect(task).toMatchObject({
      kind: kinds.regression,
      inputs: "pair",
      labels: [],
      range: [-1, 1],
      metric: "spearman",
    });
    expect(task?.splits.train?.columns).toEqual({ text: 1, pair: 2, label: 0 });
    expect(task?.splits.train?.spellings).toBeUndefined();
  });

  test("several labels a row: a kind to name, with its threshold and what stands between labels", async () => {
    const [task, other, tuned] = await read(`
tasks:
  - name: topics
    kind: multilabel
    files: { train: t.tsv, test: t.csv }
    columns: { text: t, label: l }
    labels: [sport, { name: money, written: 1 }]
  - name: tags
    kind: multilabel
    files: { dev: d.jsonl }
    columns: { text: t, label: l }
    labels: [a, b|c]
    threshold: 0.3
    label-separator: ", "
    also-report: [macro_f1]
  - name: tuned
    kind: multilabel
    files: { dev: d.jsonl }
    columns: { text: t, label: l }
    threshold: tuned
`);
    expect(task).toMatchObject({
      kind: kinds.multilabel,
      metric: "micro_f1",
      threshold: 0.5,
      labels: ["sport", "money"],
    });
    expect(task?.splits.train).toMatchObject({ labelSeparator: "|", spellings: { sport: "sport", "1": "money" } });
    expect(other).toMatchObject({ threshold: 0.3, labels: ["a", "b|c"], alsoReport: ["macro_f1"] });
    expect(other?.splits.dev?.labelSeparator).toBe(", ");
    expect(tuned?.threshold).toBe("tuned");
  });

  test("labels stay as they are written: YAML's numbers, booleans and nulls are text", async () => {
    const [task] = await read(`
tasks:
  - name: odd
    files: { train: t.tsv }
    columns: { text: a, label: b }
    labels: [01, 1.0, true, null, { name: no, written: 0 }]
`);
    expect(task?.labels).toEqual(["01", "1.0", "true", "null", "no"]);
    expect(task?.splits.train?.spellings).toMatchObject({ "1.0": "1.0", "0": "no" });
  });

  test("every problem comes in one report, with its line", async () => {
    const error = await errorOf(`tasks:
  - name: rte
    titel: RTE
    files: { train: a.xyz }
    columns: { text: 3, label: b }
    labels: [a, b, a]
    metric: pearson
  - name: other
    files: {}
    columns: { txt: a, label: b }
    labels: [a]
    metric: acuracy
`);
    expect(error.exitCode).toBe(ExitCode.usage);
    const [first, ...problems] = error.message.split("\n");
    expect(first).toBe(`${path.join(folder, "tasks.yaml")}: 10 problems`);
    expect(problems.map((line) => line.trim())).toEqual([
      `line 2: tasks[0].name: "rte" is a GLUE task's name; choose another`,
      expect.stringContaining('line 3: tasks[0].titel: unknown key (did you mean "title"?)'),
      'line 4: tasks[0].files.train: "a.xyz" does not tell its format; add format: tsv, csv, jsonl, parquet, conll or folder',
      "line 5: tasks[0].columns.text: 3 is a position; give the column's name, or say header: false",
      'line 6: tasks[0].labels: "a" is there twice',
      "line 7: tasks[0].metric: pearson is no metric of classification; there are accuracy, f1, macro_f1, matthews",
      expect.stringContaining("line 10: tasks[1].columns.text: is missing"),
      expect.stringContaining('line 10: tasks[1].columns.txt: unknown key (did you mean "text"?)'),
      expect.stringContaining("line 11: tasks[1].labels: "),
      expect.stringContaining('line 12: tasks[1].metric: "acuracy" is none of accuracy'),
    ]);
  });

  test.each([
    ["labels: [a, b]\n    range: [0, 1]", "needs either labels (classification) or a range (regression)"],
    ["labels: from-date", 'must be a list of labels, or from-data, got "from-date"'],
    ["labels: from-data\n    range: [0, 1]", "needs either labels (classification) or a range (regression)"],
    ["kind: regression\n    labels: from-data", "regression needs a range"],
    ["labels: [a, b]\n    dev-share: 1", "Too big: expected number to be <1, got 1"],
    ["range: [5, 0]", "line 5: tasks[0].range: 5 is not below 0"],
    ["labels: [a, { name: b, written: a }]", 'two labels are written "a"'],
    ["labels: [a, b, c]\n    metric: f1", "f1 is that of the second of two labels; for more take macro_f1"],
    ["labels: [a, b]\n    kind: regression", "line 6: tasks[0].kind: regression needs a range"],
    ["range: [0, 1]\n    kind: multilabel", "kind: multilabel needs labels"],
    ["labels: [a, b]\n    threshold: 0.4", "threshold: classification has no threshold"],
    ["labels: [a, b]\n    label-separator: ;", "label-separator: a row of a classification has one label"],
    ["labels: [a, b|c]\n    kind: multilabel", 'labels: "b|c" has the separator "|" in it'],
    ["labels: [a, b]\n    kind: multilabel\n    threshold: 1", "threshold: Too big"],
    [
      "labels: [a, b]\n    kind: multilabel\n    threshold: best",
      "threshold: must be a number between 0 and 1, or tuned",
    ],
    ["labels: [a, b]\n    threshold: tuned", "threshold: classification has no threshold"],
    [
      "labels: [a, b]\n    kind: multilabel\n    metric: accuracy",
      "accuracy is no metric of multilabel; there are micro_f1",
    ],
    ["labels: [a, b]\n    header: false", '"t" is a name; with header: false give the position from 0'],
  ])("refuses %j", async (lines, message) => {
    const yaml = `tasks:\n  - name: one\n    files: { train: t.tsv }\n    columns: { text: t, label: l }\n    ${lines}\n`;
    expect((await errorOf(yaml)).message).toContain(message);
  });

  test("refuses two tasks of one name, the name all, and names that are no folder names", async () => {
    const entry = (name: string) =>
      `  - name: ${name}\n    files: { train: t.tsv }\n    columns: { text: t, label: l }\n    labels: [a, b]\n`;
    expect((await errorOf(`tasks:\n${entry("one")}${entry("one")}`)).message).toContain('"one" names two tasks');
    expect((await errorOf(`tasks:\n${entry("all")}`)).message).toContain('"all" means every task');
    expect((await errorOf(`tasks:\n${entry("../up")}`)).message).toContain("must be lower-case letters");
  });

  test("a YAML error has its line; one problem is one line", async () => {
    const { message, exitCode } = await errorOf("tasks:\n  - name: one\n   bad: [\n");
    expect(message).toMatch(/tasks\.yaml(: \d problems\n {2}|, )line 3: /);
    expect(exitCode).toBe(ExitCode.usage);
    expect((await errorOf("tasks: 3\n")).message).toBe(
      `${path.join(folder, "tasks.yaml")}, line 1: tasks: must be of type array, got 3`,
    );
    expect((await errorOf("")).message).toContain("must be of type object, got null");
    expect((await errorOf("tasks: *nowhere\n")).message).toContain("nowhere");
  });

  test("a missing tasks file names itself", async () => {
    await expect(readUserTasks(path.join(folder, "none.yaml"))).rejects.toMatchObject({
      exitCode: ExitCode.usage,
      message: expect.stringContaining("none.yaml: cannot read the tasks file"),
    });
  });
});

test("the JSON Schema knows every key of a task", () => {
  const schema = userTasksJsonSchema() as {
    properties: { tasks: { items: { properties: object; required: string[] } } };
  };
  const { properties, required } = schema.properties.tasks.items;
  expect(Object.keys(properties)).toEqual(
    expect.arrayContaining(["name", "files", "columns", "labels", "range", "metric"]),
  );
  expect(required).toEqual(["name", "files", "columns"]); // keys with defaults are not asked for
});
