// Files of rows to predict: read as their tasks say, every row of them or an error that says where and why.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { findSplitFile, readSplit } from "../../src/data/read-split";
import { ExitCode } from "../../src/errors/errors";
import { openRowFile, type RowFileOptions } from "../../src/predict/row-file";
import { glueTasks } from "../../src/tasks/glue";
import { kinds } from "../../src/tasks/kinds";
import type { SplitSource, Task } from "../../src/tasks/task";
import { temporaryFolder } from "../files/temporary-folder";

const cwd = temporaryFolder();
const fixtures = path.join(__dirname, "../fixtures/glue");

function write(file: string, content: string | Uint8Array): string {
  const place = path.join(cwd, file);
  mkdirSync(path.dirname(place), { recursive: true });
  writeFileSync(place, content);
  return place;
}

async function open(
  from: string | AsyncIterable<Uint8Array>,
  tasks: readonly Task[] = [],
  options: RowFileOptions = {},
) {
  const takesPairs = tasks.length === 0 || tasks.some(({ inputs }) => inputs === "pair");
  const file = await openRowFile(from, { tasks, takesPairs, glueData: fixtures }, options);
  const rows: unknown[][] = [];
  for await (const { text, pair, id } of file.rows)
    rows.push([...(id === undefined ? [] : [id]), text, ...(pair === null ? [] : [pair])]);
  return { ...file, rows };
}

const errorOf = (reading: Promise<unknown>): Promise<string> =>
  reading.then(
    () => "it was read",
    (error: { exitCode: number; message: string }) => {
      expect(error.exitCode).toBe(ExitCode.data);
      return error.message.replaceAll(cwd + path.sep, "");
    },
  );

const own = (name: string, columns: SplitSource["columns"], options: Partial<SplitSource> = {}): Task => ({
  ...glueTasks.sst2,
  name,
  kind: kinds.classification,
  folder: "",
  labels: ["good", "bad"],
  inputs: columns.pair === undefined ? "single" : "pair",
  definedIn: "tasks.yaml",
  splits: {
    train: {
      file: path.join(cwd, `${name}.tsv`),
      format: "tsv",
      header: true,
      quotes: "ordinary",
      columns,
      ...options,
    },
  },
});

async function* stdin(...pieces: string[]) {
  for (const piece of pieces) yield Buffer.from(piece);
}

describe("rows", () => {
  test.each([
    ["blank.tsv", "text\nfirst\n\nthird\n", [["first"], [""], ["third"]]],
    [
      "mixed.tsv",
      "id\ttext\r\n1\tfirst\n2\tsecond\r\n3\tthird",
      [
        ["1", "first"],
        ["2", "second"],
        ["3", "third"],
      ],
    ],
    ["upper.CSV", 'ID,Text\n1,"a, b"\n', [["1", "a, b"]]],
    ["marked.jsonl", '\ufeff{"text":"one"}\n{"text":"two","id":7}\n', [["one"], [7, "two"]]],
    ["array.json", '[{"text":"one"},\n{"text":"two","pair":null}]', [["one"], ["two"]]],
    [
      "empty-cells.csv",
      "text,pair\na,b,,\nc,\n",
      [
        ["a", "b"],
        ["c", ""],
      ],
    ],
    ["qnli.tsv", "index\tquestion\tsentence\n0\tWhat is it?\tA cat.\n", [["0", "What is it?", "A cat."]]],
    ["twice.jsonl", '{"sentence":"a","text":"b"}\n', [["b"]]],
  ])("of %s: each in order", async (file, content, rows) => {
    const read = await open(write(file, content));
    expect([read.rows, read.total, read.notes]).toEqual([rows, rows.length, []]);
  });

  test.each([
    ["unclosed.csv", 'id,text\n1,one\n2,"two\n3,three\n', "2 broken rows (line 3: Quoted field unterminated)"],
    [
      "short.csv",
      "id,text,note\n1,a,x\n2\n3,b\n",
      "2 broken rows (line 3: 1 column, the header has 3; line 4: 2 columns, the header has 3)",
    ],
    ["long.tsv", "id\ttext\n1\ta\tb\n", "1 broken row (line 2: 3 columns, the header has 2)"],
    ["gap.tsv", "id\ttext\n1\ta\n\n2\tb\n", "1 broken row (line 3: empty line)"],
    [
      "gap.jsonl",
      '{"text":"a"}\n\n{"text":3}\n{"id":1}\n[]\n{',
      '5 broken rows (line 2: empty line; line 3: "text" is 3, not a string; line 4: no "text"; and 2 more)',
    ],
    ["latin1.csv", Buffer.from("text\ncaf\xe9\n", "latin1"), "line 2 is not UTF-8: byte 4 of the line is 0xe9"],
    [
      "mixed.jsonl",
      '{"text":"a","pair":"b"}\n{"text":"a"}\n',
      "1 of 2 rows are pairs: predict pairs and single texts apart",
    ],
    ["other.csv", "message,intent\na,b\n", "no column of texts among message, intent. Name one of them text"],
    ["empty.csv", "", "the file is empty"],
  ])("of %s are refused, with their lines", async (file, content, message) => {
    expect(await errorOf(open(write(file, content)))).toContain(message);
  });

  test("are not there where there is a header alone", async () => {
    expect(await open(write("none.csv", "text\n"))).toMatchObject({ rows: [], total: 0 });
  });
});

describe("stdin", () => {
  test("is lines, which end at LF and CRLF alone, and a tab divides a pair", async () => {
    expect((await open(stdin("first \u2028 still", " first\r\nsec", "ond\rstill\n", "\nlast"))).rows).toEqual([
      ["first \u2028 still first"],
      ["second\rstill"],
      [""],
      ["last"],
    ]);
    expect((await open(stdin("a\tb\tc\n"))).rows).toEqual([["a", "b\tc"]]);
  });

  test("is a table where it is JSON, or an option says so", async () => {
    expect((await open(stdin('{"te', 'xt":"one"}\n'))).rows).toEqual([["one"]]);
    expect((await open(stdin("{not json}\n"))).rows).toEqual([["{not json}"]]);
    const columns = { text: "b" };
    expect((await open(stdin('a,b\n1,"x\n', 'y"\n'), [], { columns })).rows).toEqual([["x\ny"]]);
    expect(await errorOf(open(stdin("a,b\n1,x\n2\n"), [], { columns }))).toContain(
      "stdin: 1 broken row (line 3: 1 column",
    );
  });
});

describe("a task's own file", () => {
  test.each([
    ["cola", "dev", 2],
    ["cola", "test", 2],
    ["sst2", "dev", 1],
    ["mrpc", "train", 3],
    ["stsb", "dev", 2],
    ["qqp", "train", 3],
    ["qqp", "test", 2],
    ["mnli", "dev", 2],
    ["mnli", "dev_mismatched", 1],
    ["qnli", "train", 2],
    ["rte", "test", 1],
    ["wnli", "dev", 2],
  ] as const)("of GLUE's %s, %s: the texts that training reads, here and elsewhere", async (name, split, count) => {
    const { examples } = await readSplit(glueTasks[name], split, { glueData: fixtures });
    const place = findSplitFile(glueTasks[name], split, fixtures) as string;
    const texts = examples.map(({ text, pair }) => (pair === null ? [text] : [text, pair]));
    expect(texts.length).toBeGreaterThanOrEqual(Math.min(count, 1));
    for (const file of [place, write(`elsewhere/${name}-${split}.tsv`, readFileSync(place))]) {
      const { rows } = await open(file, [glueTasks[name]]);
      expect(rows.map((row) => row.slice(-(texts[0] as string[]).length))).toEqual(texts);
    }
  });

  test("AX is read with mnli's columns", async () => {
    const { rows } = await open(path.join(fixtures, "diagnostic/diagnostic.tsv"), [glueTasks.mnli]);
    expect(rows).toHaveLength(2);
    expect(rows[0]).toHaveLength(3);
  });

  test("of the user's own, in quotes, without a header, with columns of any name", async () => {
    const quoted = own("quoted", { text: "text", label: "label" }, { quotes: "csv" });
    const file = write("quoted.tsv", 'text\tlabel\n"he said ""fine"""\tgood\n"a\ttab"\tbad\n"two\nlines"\tgood\n');
    const texts = [['he said "fine"'], ["a\ttab"], ["two\nlines"]];
    expect((await open(file, [quoted])).rows).toEqual(texts);
    expect((await open(write("copy.tsv", 'text\tlabel\n"a\ttab"\tbad\n'), [quoted])).rows).toEqual([["a\ttab"]]);
    const bare = own("bare", { text: 1, label: 0 }, { header: false });
    expect((await open(write("bare.tsv", "good\tone\nbad\ttwo\n"), [bare])).rows).toEqual([["one"], ["two"]]);
    expect((await open(write("unseen.tsv", "good\tone\n"), [bare])).rows).toEqual([["one"]]);
    const pairs = own("pairs", { text: "left", pair: "right", label: "same", index: "nr" });
    expect((await open(write("pairs.csv", "right,nr,left\nb,9,a\n"), [quoted, pairs])).rows).toEqual([["9", "a", "b"]]);
  });
});

describe("two tasks", () => {
  const single = own("single", { text: "text", label: "label" });
  const other = own("other", { text: "note", label: "label" });
  const pair = own("pair", { text: "text", pair: "note", label: "label" });

  test("of which the file has the columns of one: that one decides", async () => {
    expect((await open(write("one.csv", "id,note,text2\n1,a,b\n"), [single, other])).rows).toEqual([["1", "a"]]);
  });

  test("that disagree ask for --columns", async () => {
    const file = write("both.csv", "text,note\na,b\n");
    expect(await errorOf(open(file, [single, other]))).toBe(
      'both.csv: single reads "text", other "note". Name one of them with --task, or say which columns are meant: --columns "text=text"',
    );
    expect((await open(file, [single, other], { columns: { text: "note" } })).rows).toEqual([["b"]]);
  });

  test("of which one reads a pair of the other's text: the pair says more", async () => {
    expect((await open(write("wide.csv", "text,note\na,b\n"), [single, pair])).rows).toEqual([["a", "b"]]);
  });

  test("of which one takes pairs under names of its own: usual names still make a pair", async () => {
    const named = own("named", { text: "left", pair: "right", label: "label" });
    expect((await open(write("usual.csv", "text,pair\na,b\n"), [single, named])).rows).toEqual([["a", "b"]]);
    expect((await open(write("usual.csv", "text,pair\na,b\n"), [single])).rows).toEqual([["a"]]);
  });
});

describe("options", () => {
  test("--columns names any columns, and says which there are", async () => {
    const file = write("own.csv", "message,intent,nr\nhi,x,5\n");
    expect((await open(file, [], { columns: { text: "message" } })).rows).toEqual([["hi"]]);
    expect((await open(file, [], { columns: { text: "message", pair: "intent", index: "nr" } })).rows).toEqual([
      ["5", "hi", "x"],
    ]);
    expect(await errorOf(open(file, [], { columns: { text: "mesage" } }))).toBe(
      'own.csv: there is no column "mesage" (did you mean "message"?); the file has "message", "intent", "nr". Give one of them with --columns',
    );
  });

  test("--quotes csv reads quoted TSV, which otherwise is warned of", async () => {
    const file = write("pandas.tsv", 'text\tn\n"he said ""fine"""\t1\n');
    const ordinary = await open(file);
    expect(ordinary.rows).toEqual([['"he said ""fine"""']]);
    expect(ordinary.notes.map((note) => note.replace(cwd + path.sep, ""))).toEqual([
      "pandas.tsv: texts of 1 row stand in quotes as CSV writes them, and the quotes are read as part of the text; if they are not, give --quotes csv",
    ]);
    expect(await open(file, [], { quotes: "csv" })).toMatchObject({ rows: [['he said "fine"']], notes: [] });
    expect((await open(write("all.tsv", '"id"\t"text"\n"1"\t"a ""b"""\n'))).rows).toEqual([["1", 'a "b"']]);
  });

  test("--keep-columns hands on what is no text and no id", async () => {
    const kept = async (file: string) => {
      const opened = await openRowFile(file, { tasks: [], takesPairs: true, glueData: cwd }, { keepColumns: true });
      const columns: unknown[] = [];
      for await (const row of opened.rows) columns.push(row.columns);
      return [opened.kept, columns];
    };
    expect(await kept(write("kept.csv", "a,text,id,b\n1,x,7,2\n"))).toEqual([["a", "b"], [{ a: "1", b: "2" }]]);
    expect(await kept(write("kept.jsonl", '{"text":"x","a":[1]}\n{"text":"y","b":null,"c":2}\n'))).toEqual([
      ["a", "c", "b"],
      [{ a: [1] }, { b: null, c: 2 }],
    ]);
    expect(await errorOf(kept(write("twice.csv", "a,text,a\n1,x,2\n")))).toContain('two columns are named "a"');
  });
});

test("words in columns stand where --columns says, by position", async () => {
  const file = write("words.conll", "1 a\n2 b\n\n1 c\n");
  const read = (text: string) => open(file, [], { columns: { text } });
  expect((await read("1")).rows).toEqual([["a b"], ["c"]]);
  for (const column of ["2", "word"]) {
    expect(await errorOf(read(column))).toBe(`words.conll: there is no column ${column}: rows have 2 columns`);
  }
  const empty = write("empty.conll", "a\tO\n\tO\n");
  expect(await errorOf(open(empty))).toMatch(/line 1: a line has no word before its other columns/);
});

describe("lists of words", () => {
  const ner: Task = {
    ...own("ner", { text: "tokens", label: "tags", index: "id" }, { format: "jsonl" }),
    kind: kinds.tagging,
    labels: ["O", "B-x"],
  };
  const rows = [
    { id: 7, tokens: ["New York", "is", "big"], source: "a" },
    { id: 8, tokens: "as a text", source: "b" },
  ];
  const lines = rows.map((row) => JSON.stringify(row)).join("\n");

  test("are a task's that labels words, with their words and ids, and other columns where they are kept", async () => {
    const file = write("lists.jsonl", `${lines}\n`);
    for (const keepColumns of [false, true]) {
      const { rows: read } = await openRowFile(
        file,
        { tasks: [ner], takesPairs: false, glueData: fixtures },
        { keepColumns },
      );
      const found = [];
      for await (const row of read) found.push(row);
      const kept = (source: string) => (keepColumns ? { columns: { source } } : {});
      const words = [
        [0, 8],
        [9, 11],
        [12, 15],
      ];
      expect(found).toEqual([
        { id: 7, text: "New York is big", words, pair: null, ...kept("a") },
        { id: 8, text: "as a text", pair: null, ...kept("b") },
      ]);
    }
  });

  test("are no text for a task of whole texts, and an empty word is none", async () => {
    const file = write("lists.jsonl", `${lines}\n`);
    const whole = own("whole", { text: "tokens", label: "tags" }, { format: "jsonl" });
    expect(await errorOf(open(file, [whole]))).toMatch(/line 1: "tokens" is \["New York","is","big"\], not a string/);
    const empty = write("empty.jsonl", `${JSON.stringify({ tokens: ["a", ""] })}\n`);
    expect(await errorOf(open(empty, [ner]))).toMatch(/line 1: "tokens" is \["a",""\], not a string/);
  });
});
