// Guessing what the columns of a file are for: by names that people use, else by their cells.

import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { surveyColumns } from "../../../src/data/guess/columns";
import { guessColumns } from "../../../src/data/guess/guess";
import { guessLayout } from "../../../src/data/guess/layout";
import { fileBytes } from "../../../src/data/rows/file-bytes";
import type { Columns } from "../../../src/tasks/task";
import { describeWithSharedData, sharedData } from "../../shared-data";
import { temporaryFolder } from "../../tiny";

const folder = temporaryFolder();

async function guess(name: string, content: string | Uint8Array, said: Partial<Columns> = {}) {
  const file = path.join(folder, name);
  writeFileSync(file, content);
  const layout = await guessLayout(fileBytes(file));
  const { columns } = await surveyColumns(fileBytes(file), layout);
  return { layout, ...guessColumns(columns, said, name) };
}

/** A file of rows, made of the row's number. */
const lines = (head: string, row: (i: number) => string, count = 40) =>
  `${[...(head === "" ? [] : [head]), ...Array.from({ length: count }, (_, i) => row(i))].join("\n")}\n`;

const words = (i: number) => `this is text number ${i} of them`;
const yesNo = (i: number) => (i % 3 ? "yes" : "no");

describe("columns by name and by cells:", () => {
  test.each<[string, string, string, object]>([
    [
      "usual names",
      "a.csv",
      lines("id,text,label", (i) => `${i},${words(i)},${yesNo(i)}`),
      { text: "text", label: "label", index: "id" },
    ],
    [
      "names of the user's own (setfit#226)",
      "b.csv",
      lines("utt,what", (i) => `${words(i)},${yesNo(i)}`),
      { text: "utt", label: "what" },
    ],
    [
      "a label that is called a tag among other columns",
      "c.tsv",
      lines("when\tbody\ttag", (i) => `2024\t${words(i)}\t${yesNo(i)}`),
      { text: "body", label: "tag" },
    ],
    [
      "GLUE's pairs",
      "d.tsv",
      lines("index\tsentence1\tsentence2\tlabel", (i) => `${i}\t${words(i)}\t${words(i + 1)}\t${yesNo(i)}`),
      { text: "sentence1", pair: "sentence2", label: "label", index: "index" },
    ],
    [
      "a question and its answer",
      "e.jsonl",
      lines("", (i) => JSON.stringify({ question: words(i), answer: words(i), label: i % 2 })),
      { text: "question", pair: "answer", label: "label" },
    ],
    ["no header", "f.csv", lines("", (i) => `${i % 2},${words(i)}`), { text: 1, label: 0 }],
    ["no header, the label last", "g.tsv", lines("", (i) => `${words(i)}\t${yesNo(i)}`), { text: 0, label: 1 }],
  ])("%s", async (_, name, content, columns) => {
    const found = await guess(name, content);
    expect(found.columns).toEqual(columns);
    expect(found.kind).toBe("classification");
  });

  test("what is said is taken", async () => {
    const content = lines("title,body,mood", (i) => `${words(i)},${words(i)} and more,${yesNo(i)}`);
    expect((await guess("h.csv", content)).columns).toEqual({ text: "body", label: "mood" });
    expect((await guess("h.csv", content, { text: "title" })).columns).toEqual({ text: "title", label: "mood" });
    await expect(guess("h.csv", content, { text: "bod" })).rejects.toThrow(
      'has no column "bod" for the text; it has "title"',
    );
  });
});

describe("kinds:", () => {
  test.each<[string, (i: number) => string | number, string, object]>([
    ["fractions", (i) => i / 8, "regression", { range: [0, 5] }],
    ["shares", (i) => i / 100, "regression", { range: [0, 1] }],
    ["many numbers with gaps", (i) => i * 3, "regression", { range: [0, 117] }],
    ["a few whole numbers", (i) => i % 5, "classification", { range: null }],
    ["classes that are counted", (i) => i % 150, "classification", { range: null }],
    [
      "parts that come again",
      (i) => ["sport", "money|sport", "money"][i % 3] as string,
      "multilabel",
      { separator: "|" },
    ],
    ["parts between semicolons", (i) => ["x", "y;x", "y"][i % 3] as string, "multilabel", { separator: ";" }],
    [
      "a label with a sign in it",
      (i) => ["yes|no", "either|or"][i % 2] as string,
      "classification",
      { separator: null },
    ],
  ])("%s", async (name, label, kind, more) => {
    const content = lines("text\tlabel", (i) => `${words(i)}\t${label(i)}`, name.includes("counted") ? 600 : 41);
    const {
      kind: found,
      range,
      separator,
    } = await guess(
      "kind.tsv",
      name.includes("gaps") ? lines("text\tlabel", (i) => `${words(i)}\t${label(i)}`) : content,
    );
    expect({ found, ...(range ? { range } : { range: null }), separator }).toMatchObject({ found: kind, ...more });
  });

  test("arrays of JSON are several labels a row", async () => {
    const content = lines("", (i) => JSON.stringify({ text: words(i), tags: i % 2 ? ["a", "b"] : [] }));
    const { kind, labels } = await guess("lists.jsonl", content);
    expect([kind, [...labels]]).toEqual([
      "multilabel",
      [
        ["a", 20],
        ["b", 20],
      ],
    ]);
  });
});

describe("layouts:", () => {
  test("a byte order mark, CRLF, and quotes around commas and line ends", async () => {
    const content = `\ufeff${lines("text,label", (i) => `"one, ""two""\n${i}",${yesNo(i)}`).replaceAll("\n", "\r\n")}`;
    const found = await guess("bom.csv", content);
    expect(found.columns).toEqual({ text: "text", label: "label" });
    expect([...found.labels.keys()].sort()).toEqual(["no", "yes"]);
  });

  test("a TSV in which pandas quoted the cells that hold quotes, tabs or line ends", async () => {
    const content = lines("text\tlabel", (i) => `${i % 2 ? '"say ""so""\tor\nnot"' : `plain ${i}`}\t${yesNo(i)}`);
    expect((await guess("pandas.tsv", content)).layout).toEqual({ format: "tsv", header: true, quotes: "csv" });
    const own = lines("text\tlabel", (i) => `${i % 2 ? 'he said "so' : `plain ${i}`}\t${yesNo(i)}`);
    expect((await guess("plain.tsv", own)).layout.quotes).toBe("ordinary");
  });

  test("a TSV that pandas quoted, and one without extension", async () => {
    const quoted = lines('"text"\t"label"', (i) => `"say ""${i}"""\t"${yesNo(i)}"`);
    expect((await guess("q.tsv", quoted)).layout).toEqual({ format: "tsv", header: true, quotes: "csv" });
    expect(
      (
        await guess(
          "noname",
          lines("text\tlabel", (i) => `${i} a\t${yesNo(i)}`),
        )
      ).layout.format,
    ).toBe("tsv");
  });
});

describe("refused:", () => {
  const rows = (i: number) => `${words(i)},${yesNo(i)}`;
  test.each<[string, string | Uint8Array, RegExp]>([
    [
      "two columns of one name",
      lines("text,text,label", (i) => `${words(i)},${rows(i)}`),
      /two columns are called "text"/,
    ],
    [
      "two columns of labels of one name",
      lines("text,label,label", (i) => `${rows(i)},x`),
      /two columns are called "label"/,
    ],
    ["one label alone", lines("text,label", () => "a b,c", 1), /"label" has one label alone, "c"; a task needs two/],
    ["no label", lines("text,label", () => "a b,"), /"label" is empty/],
    [
      "100,000 labels",
      lines("text,label", (i) => `a,l${i}`, 100_000),
      /"label" has too many different cells to be labels/,
    ],
    ["texts in the column of labels", lines("text,label", (i) => `a,${words(i)}`), /has 40 different cells in 40 rows/],
    ["numbers that never change", lines("text,score", () => "a b,0.5"), /every "score" is 0.5/],
    [
      "no labels at all",
      lines("text,more", (i) => `${words(i)},${words(i)}`),
      /no column looks like labels; it has "text", "more"/,
    ],
    ["semicolons", lines("text;label", (i) => `a;${yesNo(i)}`), /cells stand between semicolons/],
    ["nothing", "", /the file is empty/],
    ["bytes that are no text", Buffer.from([0x74, 0xff, 0xfe, 0x0a]), /UTF-8/],
  ])("%s", async (_, content, message) => {
    await expect(guess("bad.csv", content)).rejects.toMatchObject({
      exitCode: 3,
      message: expect.stringMatching(message),
    });
  });
});

describeWithSharedData("field-cases", () => {
  const survey = async (name: string) => {
    const file = path.join(sharedData, "field-cases", name);
    const layout = await guessLayout(fileBytes(file));
    return { layout, ...(await surveyColumns(fileBytes(file), layout)) };
  };

  test("pandas-tsv/train.tsv is read with its quotes: four rows, none broken", async () => {
    const { layout, columns, rows, broken, examples } = await survey("pandas-tsv/train.tsv");
    expect(layout).toEqual({ format: "tsv", header: true, quotes: "csv" });
    expect([rows, broken.rows, examples[0]]).toEqual([4, 0, ['he said "fine" and left', "good"]]);
    expect(guessColumns(columns, {}, "train.tsv").columns).toEqual({ text: "text", label: "label" });
  });

  test("task-definition/own.csv has columns of the user's own names", async () => {
    const { columns } = await survey("task-definition/own.csv");
    expect(guessColumns(columns, {}, "own.csv").columns).toEqual({ text: "message", label: "intent" });
  });
});
