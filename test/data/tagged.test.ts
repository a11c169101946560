// Rows whose words have labels, in the forms that files have them: words in columns, a folder of columns, tags in a cell, and spans.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { withLabels } from "../../src/data/labels";
import { readSplit, type Split } from "../../src/data/read-split";
import type { Task } from "../../src/tasks/task";
import { parseUserTasks } from "../../src/tasks/user-tasks";
import { temporaryFolder } from "../files/temporary-folder";

const folder = temporaryFolder();

/** A task of files with this content. */
function taskOf(name: string, files: Readonly<Record<string, string>>, entry: string): Task {
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), content);
  }
  const text = `tasks:\n  - name: ${name}\n    kind: tagging\n${entry.replace(/^/gm, "    ")}\n`;
  return parseUserTasks(text, path.join(folder, "tasks.yaml"))[0] as Task;
}

const read = (task: Task, skipBroken = false): Promise<Split> => readSplit(task, "train", { glueData: "", skipBroken });
const said = ({ task, examples }: Split) =>
  examples.map(({ text, words, label }) => [
    (words ?? []).map(([start, end]) => text.slice(start, end)),
    (label as readonly number[]).map((id) => task.labels[id]),
  ]);

describe("words in columns", () => {
  const entry = "files: { train: a.conll }\ncolumns: { text: 0, label: 2 }\nlabels: [O, B-x, I-x]";

  test("are rows of words with tags, tabs or spaces between them", async () => {
    const file = "-DOCSTART- -X- O\n\nA DT O\nlong\tJJ\tB-x\nbook NN I-x\n\n\n# id = 2\n# N B-x\n\n";
    const split = await read(taskOf("columns", { "a.conll": file }, entry));
    expect(said(split)).toEqual([
      [
        ["A", "long", "book"],
        ["O", "B-x", "I-x"],
      ],
      [["#"], ["B-x"]],
    ]);
    expect(split.examples.map(({ text, line }) => [text, line])).toEqual([
      ["A long book", 3],
      ["#", 9],
    ]);
  });

  test("that are broken are told by their line, and the others kept", async () => {
    const task = taskOf("broken", { "a.conll": "a D O\nb D\n\nc D B-y\n\nd D O\n" }, entry);
    await expect(read(task)).rejects.toThrow(/2 broken rows \(line 2: 2 columns, .*; line 4: unknown tag "B-y"/);
    const { examples, broken } = await read(task, true);
    expect([examples.map(({ text }) => text), broken.map(({ line }) => line)]).toEqual([["d"], [2, 4]]);
  });

  test("give their labels themselves, and an order that their scheme has not is told", async () => {
    const task = taskOf("own", { "a.conll": "a D O\nb D I-x\n\nc D B-x\n" }, entry.replace(/\[.*\]/, "from-data"));
    const labelled = await withLabels(task);
    expect(labelled.labels).toEqual(["B-x", "I-x", "O"]);
    expect((await read(labelled)).warnings).toEqual([expect.stringMatching(/1 row \(the first in line 1\) have tags/)]);
  });

  test.each([
    ["without a word", "a\tD\tO\n\tD\tO\n", /line 1: a line has no word before its other columns/],
    ["with a word of spaces", "a\tD\tO\n\u3000\tD\tO\n", /line 1: a line has no word/],
    ["whose tag has a space", "a\tD\tB-big x\n", /line 1: the tag "B-big x" has a space in it/],
    ["between CR alone", "a D O\rb D B-x\r\rc D O", /a\.conll: its lines end at CR alone/],
  ])("%s are none", async (_, file, message) => {
    await expect(read(taskOf("none", { "a.conll": file }, entry))).rejects.toThrow(message);
  });

  test.each([
    ["", "a D b-x\nb D o\n", /no label is O/], // types of a text's spans would get tags of their own
    ["", "a D O\nb D O\n\nc D O\n", /every word's tag is O, and there is no span to learn/],
    ["scheme: BIOES", "a D B-x\nb D O\n", /they are tags of BIO, and its scheme is BIOES/],
  ])("%s do not give labels that cannot be: %j", async (scheme, file, message) => {
    const own = `${entry.replace(/\[.*\]/, "from-data")}\n${scheme}`.trim();
    await expect(withLabels(taskOf("cannot", { "a.conll": file }, own))).rejects.toThrow(message);
  });
});

describe("a folder of columns", () => {
  const entry =
    "format: folder\nfiles: { train: atis }\ncolumns: { text: seq.in, label: seq.out }\nlabels: [O, B-x, I-x]";

  test("has a row a line", async () => {
    const files = { "atis/seq.in": "to st. louis\nnow\n", "atis/seq.out": "O B-x I-x\nO\n", "atis/notes": "one line" };
    expect(said(await read(taskOf("folder", files, entry)))).toEqual([
      [
        ["to", "st.", "louis"],
        ["O", "B-x", "I-x"],
      ],
      [["now"], ["O"]],
    ]);
  });

  test("needs as many lines in each file, and as many tags as words", async () => {
    const files = (tags: string) => ({ "atis/seq.in": "a b\nc\n", "atis/seq.out": tags });
    await expect(read(taskOf("short", files("O O\n"), entry))).rejects.toThrow(/seq.out has 1 line, .*line 2/);
    await expect(read(taskOf("few", files("O\nO\n"), entry))).rejects.toThrow(/line 1: 1 tag for 2 words/);
  });
});

describe("lists of words with lists of tags", () => {
  const entry = "files: { train: lists.jsonl }\ncolumns: { text: tokens, label: ner_tags }\nlabels: ";
  const row = (tokens: unknown, ner_tags: unknown) => `${JSON.stringify({ tokens, ner_tags })}\n`;
  const wanted = [
    [
      ["New York", "is", "\u{1f600}"],
      ["B-x", "O", "I-x"],
    ],
    [["no"], ["O"]],
  ];

  test("by their names, one space between two words", async () => {
    const file = row(["New York", "is", "\u{1f600}"], ["B-x", "O", "I-x"]) + row(["no"], ["O"]);
    const task = taskOf("lists", { "lists.jsonl": file }, `${entry}[O, B-x, I-x]`);
    const split = await read(task);
    expect(said(split)).toEqual(wanted);
    expect(split.examples[0]?.text).toBe("New York is \u{1f600}");
    expect((await withLabels({ ...task, labels: [], labelsFrom: "data" })).labels).toEqual(["B-x", "I-x", "O"]);
  });

  test("by their numbers, in the order of the labels that are listed", async () => {
    const file = row(["New York", "is", "\u{1f600}"], [1, 0, 2]) + row(["no"], [0]);
    expect(said(await read(taskOf("ids", { "lists.jsonl": file }, `${entry}[O, B-x, I-x]`)))).toEqual(wanted);
    const written = '[{ name: O, written: "1" }, { name: B-x, written: "0" }, { name: I-x, written: "2" }]';
    const [[, tags]] = said(await read(taskOf("own", { "lists.jsonl": file }, entry + written))) as [
      [string[], string[]],
    ];
    expect(tags).toEqual(["O", "B-x", "I-x"]);
  });

  test.each<[string, unknown, unknown, RegExp]>([
    ["[O, B-x, I-x]", ["a"], [3], /unknown tag 3, there are 3, counted from 0/],
    ["[O, B-x, I-x]", ["a", "b"], ["O"], /1 tag for 2 words/],
    ["[O, B-x, I-x]", ["a", "b"], ["O", "B-x O"], /the tag "B-x O" has a space in it/],
    ["[O, B-x, I-x]", ["a", " "], ["O", "O"], /"tokens" is \["a"," "\], not a string or an array of words/],
    ["[O, B-x, I-x]", ["a", 2], ["O", "O"], /not a string or an array of words/],
    ["[O, B-x, I-x]", [], [], /not a string or an array of words/],
    ["[x]", ["a"], [1], /unknown tag "1"/],
  ])("with labels %s the row %j, %j is broken", async (labels, tokens, tags, message) => {
    const task = taskOf("wrong", { "lists.jsonl": row(tokens, tags) }, entry + labels);
    await expect(read(task)).rejects.toThrow(message);
  });

  test("numbers without their names are none", async () => {
    const task = taskOf("numbers", { "lists.jsonl": row(["a", "b"], [0, 1]) }, `${entry}from-data`);
    await expect(withLabels(task)).rejects.toThrow(
      /the tags of numbers are numbers, 0 to 1\. List in .* under labels the tags/,
    );
  });
});

describe("spans of characters", () => {
  const entry = "files: { train: spans.jsonl }\ncolumns: { text: text, label: spans }\nlabels: [a, b]";
  const row = (text: string, ...spans: unknown[]) => `${JSON.stringify({ text, spans })}\n`;

  test("are tags of the words that they touch, counted in code points", async () => {
    const text = "😀  caf\u0065\u0301, 東京 now";
    const file = row(text, { start: 3, end: 8, label: "a" }, [10, 12, "b"]) + row("none");
    const split = await read(taskOf("spans", { "spans.jsonl": file }, entry));
    expect(split.task.labels).toEqual(["O", "B-a", "I-a", "B-b", "I-b"]);
    expect(said(split)).toEqual([
      [
        ["😀", "caf\u0065\u0301", ",", "東", "京", "now"],
        ["O", "B-a", "O", "B-b", "I-b", "O"],
      ],
      [["none"], ["O"]],
    ]);
  });

  test("give their types as labels, whatever these are called", async () => {
    const file = row("x y", [0, 1, "B-cell"], [2, 3, "O"]);
    const task = taskOf("types", { "spans.jsonl": file }, entry.replace(/\[.*\]/, "from-data"));
    const labelled = await withLabels(task);
    expect(labelled.labels).toEqual(["O", "B-B-cell", "I-B-cell", "B-O", "I-O"]);
    expect(said(await read(labelled))[0]?.[1]).toEqual(["B-B-cell", "B-O"]);
  });

  test("in UTF-16 units where the tasks file says so", async () => {
    const file = row("😀 x y", { start: 3, end: 4, label: "a" });
    const [first] = said(await read(taskOf("units", { "spans.jsonl": file }, `${entry}\noffset-unit: utf16`)));
    expect(first).toEqual([
      ["😀", "x", "y"],
      ["O", "B-a", "O"],
    ]);
  });

  test.each([
    [{ start: 2, end: 9, label: "a" }, /line 1: the span 2 to 9 \(a\) is none of a text of 3 code points/],
    [{ start: 1, end: 2, label: "a" }, /has no word in it/],
    [{ start: 0, end: 1, label: "c" }, /unknown label "c" of a span, not one of a, b/],
    [{ start: 0, end: "1", label: "a" }, /needs start, end and label/],
  ])("that cannot be are broken rows: %j", async (span, message) => {
    await expect(read(taskOf("wrong", { "spans.jsonl": row("x y", span) }, entry))).rejects.toThrow(message);
  });

  test("that have a word in common are a broken row", async () => {
    const file = row("x-ray y", { start: 0, end: 2, label: "a" }, { start: 0, end: 5, label: "b" });
    const task = taskOf("common", { "spans.jsonl": file }, `${entry}\nwords: spaces`);
    await expect(read(task)).rejects.toThrow(/the spans 0 to 2 \(a\) and 0 to 5 \(b\) have a word in common/);
  });
});

describe("IOB1", () => {
  const entry = "files: { train: iob1.conll }\ncolumns: { text: 0, label: 1 }\nlabels: ";
  const file = "a I-x\nb B-x\nc I-x\nd I-y\n\ne O\nf I-y\n";

  test("is read as BIO, with the tags that it leaves out, and that is said", async () => {
    const task = await withLabels(taskOf("iob1", { "iob1.conll": file }, `${entry}from-data`));
    expect(task.labels).toEqual(["B-x", "B-y", "I-x", "I-y", "O"]);
    const split = await read(task);
    expect(said(split).map(([, tags]) => tags)).toEqual([
      ["B-x", "B-x", "I-x", "B-y"],
      ["O", "B-y"],
    ]);
    expect(split.warnings).toEqual([expect.stringMatching(/iob1.conll: its tags are IOB1's, and are read as BIO/)]);
  });

  test("needs the tags of BIO among the labels that a tasks file lists", async () => {
    const listed = taskOf("listed", { "iob1.conll": file.replaceAll("I-y", "O") }, `${entry}[O, B-x, I-x]`);
    expect(said(await read(listed))[0]?.[1]).toEqual(["B-x", "B-x", "I-x", "O"]);
    expect(() => taskOf("lacking", {}, `${entry}[O, B-x, I-x, I-y]`)).toThrow(/"I-y" never begins a span of BIO/);
  });

  test("without any B-X is IO, and means the same", async () => {
    const task = await withLabels(taskOf("io", { "iob1.conll": file.replace("B-x", "I-x") }, `${entry}from-data`));
    const split = await read(task);
    expect([task.labels, split.warnings]).toEqual([["I-x", "I-y", "O"], []]);
  });
});

test("spans that cut words are told", async () => {
  const entry = "files: { train: cuts.jsonl }\ncolumns: { text: text, label: spans }\nlabels: [a]";
  const rows = [
    { text: "x yes", spans: [[2, 4, "a"]] },
    { text: "x yes", spans: [[2, 5, "a"]] },
  ];
  const split = await read(taskOf("cuts", { "cuts.jsonl": rows.map((row) => JSON.stringify(row)).join("\n") }, entry));
  expect(said(split).map(([, tags]) => tags)).toEqual([
    ["O", "B-a"],
    ["O", "B-a"],
  ]);
  expect(split.warnings).toEqual([expect.stringMatching(/in 1 row \(the first in line 1\) spans begin or end within/)]);
});

test("one type of spans is enough, one label of texts is not", () => {
  const entry = "files: { train: a.jsonl }\ncolumns: { text: text, label: spans }\nlabels: ";
  expect(taskOf("one", {}, `${entry}[a]`).labels).toEqual(["O", "B-a", "I-a"]);
  const alone = /has one label, and needs two at least/;
  expect(() => taskOf("outside", {}, `${entry}[O]`)).toThrow(alone);
  const whole = `tasks:\n  - name: t\n    ${`${entry}[a]`.replaceAll("\n", "\n    ")}\n`;
  expect(() => parseUserTasks(whole, "tasks.yaml")).toThrow(alone);
});

test("words in columns are no labels of whole texts, and have no index", () => {
  const text = (entry: string) =>
    `tasks:\n  - name: t\n    files: { train: a.conll }\n    labels: [a, b]\n${entry.replace(/^/gm, "    ")}\n`;
  const wrong = text("kind: classification\ncolumns: { text: 0, label: 1 }");
  expect(() => parseUserTasks(wrong, "tasks.yaml")).toThrow(/conll's columns have a label a word/);
  const indexed = text("kind: tagging\ncolumns: { text: 0, label: 1, index: 2 }");
  expect(() => parseUserTasks(indexed, "tasks.yaml")).toThrow(/words in columns have no index of their row/);
});
