import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { findSplitFile, type ReadOptions, readSplit } from "../../src/data/read-split";
import { ExitCode, UserError } from "../../src/errors/errors";
import { glueTasks } from "../../src/tasks/glue";
import { kinds } from "../../src/tasks/kinds";
import type { SplitSource, Task } from "../../src/tasks/task";

let glueData: string;
beforeAll(async () => {
  glueData = await mkdtemp(path.join(tmpdir(), "flexbert-data-"));
});
afterAll(() => rm(glueData, { recursive: true }));

type Options = Partial<ReadOptions>;

/** Reads train of a task from a file of this content. */
async function read(task: Task, content: string | Uint8Array, options: Options = {}) {
  const file = path.resolve(glueData, task.folder, task.splits.train?.file ?? "");
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, content);
  return readSplit(task, "train", { glueData, ...options });
}

async function errorOf(task: Task, content: string | Uint8Array, options: Options = {}): Promise<string> {
  const error = await read(task, content, options).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(error instanceof UserError)) throw error ?? new Error("the file was accepted");
  expect(error.exitCode).toBe(ExitCode.data);
  expect(error.message).not.toContain("\n");
  return error.message.replace(glueData + path.sep, "");
}

const withSource = (task: Task, source: Partial<SplitSource>): Task => ({
  ...task,
  splits: { train: { ...(task.splits.train as SplitSource), ...source } },
});

const { rte, cola, stsb, sst2 } = glueTasks;
const header = "index\tsentence1\tsentence2\tlabel\n";
const rows = "0\tIt rains.\tIt is wet.\tentailment\n1\tIt snows.\tIt is hot.\tnot_entailment\n";

describe("rows", () => {
  test("become examples with line numbers", async () => {
    const split = await read(rte, header + rows);
    expect(split.path).toBe(path.join(glueData, "RTE/train.tsv"));
    expect(split.broken).toEqual([]);
    expect(split.examples).toEqual([
      { text: "It rains.", pair: "It is wet.", label: 0, index: "0", line: 2 },
      { text: "It snows.", pair: "It is hot.", label: 1, index: "1", line: 3 },
    ]);
  });

  test("end at \\n only; one \\r before it goes; the last needs none", async () => {
    const texts = ["one\u0085line", "one\u2028line", "one\rline", "a return\r", "the end"];
    const content = `sentence\tlabel\r\n${texts.map((text) => `${text}\t1`).join("\r\n")}`;
    const { examples } = await read(sst2, content);
    expect(examples.map(({ text }) => text)).toEqual(texts);
    expect(examples.map(({ line }) => line)).toEqual([2, 3, 4, 5, 6]);
  });

  test("maxRows takes the first rows and looks at no others", async () => {
    const split = await read(rte, `${header}${rows}2\tbroken\n`, { maxRows: 1 });
    expect(split.examples.map(({ index }) => index)).toEqual(["0"]);
    expect(split.broken).toEqual([]);
  });

  test("empty cells beyond the header are harmless, empty lines at the end too", async () => {
    expect((await read(rte, `${header}0\tA.\tB.\tentailment\t\t\n\n\n`)).examples).toHaveLength(1);
  });

  test("columns may stand in any order", async () => {
    const { examples } = await read(rte, "label\tx\tsentence2\tsentence1\tindex\nentailment\t-\tB.\tA.\t9\n");
    expect(examples).toEqual([{ text: "A.", pair: "B.", label: 0, index: "9", line: 2 }]);
  });
});

describe("broken rows", () => {
  const broken = `${header}0\tA.\tB.\tentailmnt
1\tA.\tB.
2\tA.\tB.\tC.\tentailment

4\t\t\tentailment
5\tA.\tB.\tnot_entailment
`;

  test("stop the reading with their count, the first lines and values", async () => {
    expect(await errorOf(rte, broken)).toBe(
      "RTE/train.tsv: 5 broken rows (" +
        'line 2: unknown label "entailmnt", nearest "entailment" of entailment, not_entailment; ' +
        "line 3: 3 columns, the header has 4; line 4: 5 columns, the header has 4; and 2 more); " +
        "mend them, or leave them out with --skip-broken-rows",
    );
  });

  test("are recorded with skipBroken", async () => {
    const split = await read(rte, broken, { skipBroken: true });
    expect(split.examples.map(({ line }) => line)).toEqual([7]);
    expect(split.broken.map(({ line }) => line)).toEqual([2, 3, 4, 5, 6]);
    expect(split.broken.slice(3)).toEqual([
      { line: 5, reason: "empty line" },
      { line: 6, reason: "empty text" },
    ]);
  });

  test.each([0.07, 0.14, 0.28, 0.29, 0.55, 0.57, 0.58])("of exactly the share %d may be left out", async (share) => {
    const count = Math.round(100 * share);
    const rows = "0\tA.\tB.\tentailment\n".repeat(100 - count) + "1\tA.\tB.\n".repeat(count);
    const { examples } = await read(rte, header + rows, { skipBroken: true, maxBroken: share });
    expect(examples).toHaveLength(100 - count);
    const more = await errorOf(rte, `${header}${rows}1\tA.\tB.\n`, { skipBroken: true, maxBroken: share });
    expect(more).toContain(
      `${count + 1} of 101 are more than ${count} %; mend them, or allow it with --max-broken-rows`,
    );
  });

  test("cannot all be skipped", async () => {
    expect(await errorOf(rte, `${header}0\tA.\tB.\t\n`, { skipBroken: true })).toContain(
      'unknown label "", not one of entailment, not_entailment); no row is left; is it the right file?',
    );
  });

  test.each([
    ["five", '"five" is no number'],
    ["", '"" is no number'],
    ["nan", '"nan" is no number'],
    ["0x3", '"0x3" is no number'],
    ["Infinity", '"Infinity" is no number'],
    ["5.001", "5.001 is outside 0 to 5"],
    ["-1e0", "-1e0 is outside 0 to 5"],
  ])("a score of %j is one", async (score, reason) => {
    const content = `index\tsentence1\tsentence2\tscore\n0\tA.\tB.\t${score}\n1\tA.\tB.\t2.5e0\n`;
    expect(await errorOf(stsb, content)).toContain(`1 broken row (line 2: ${reason})`);
  });

  test("a header where none belongs is a broken first row", async () => {
    const content = `source\tlabel\tstar\tsentence\ngj04\t1\t\tA b.\ngj04\t0\t*\tB a.\n`;
    expect(await errorOf(cola, content)).toContain('(line 1: unknown label "label", not one of 0, 1)');
  });

  test("without a header most rows decide the width", async () => {
    const content = "gj04\t1\tA b.\ngj04\t1\t\tA b.\ngj04\t0\t*\tB a.\ngj04\t0\t*\tB\ta.\n";
    const split = await read(cola, content, { skipBroken: true });
    expect(split.broken).toEqual([
      { line: 1, reason: "3 columns, most rows have 4" },
      { line: 4, reason: "5 columns, most rows have 4" },
    ]);
  });

  test("names of labels do not stand for their spellings", async () => {
    expect(await errorOf(sst2, "sentence\tlabel\nfine\tpositive\nbad\t0\n")).toContain('unknown label "positive"');
    expect(await errorOf(sst2, "sentence\tlabel\nfine\ttoString\nbad\t0\n")).toContain('unknown label "toString"');
  });
});

describe("several labels a row", () => {
  const { train: source } = sst2.splits;
  const tags = (format: SplitSource["format"], labelOptional = false): Task => ({
    ...sst2,
    kind: kinds.multilabel,
    labels: ["red", "green", "blue"],
    splits: {
      train: {
        ...(source as SplitSource),
        format,
        labelSeparator: "|",
        labelOptional,
        spellings: { r: "red", green: "green", blue: "blue" },
      },
    },
  });
  const labelsOf = async (task: Task, content: string) =>
    (await read(task, content)).examples.map(({ label }) => label);

  test("stand in a cell with a separator, in any order; an empty cell has none", async () => {
    const content = "sentence\tlabel\none\tblue | r\ntwo\t\nthree\tgreen\nfour\tgreen|green\n";
    expect(await labelsOf(tags("tsv"), content)).toEqual([[0, 2], [], [1], [1]]);
    expect(await labelsOf(tags("tsv", true), content)).toEqual([[0, 2], [], [1], [1]]);
    expect(await labelsOf(tags("tsv", true), "sentence\none\n")).toEqual([null]);
  });

  test("are an array in JSON lines, or such a cell", async () => {
    const lines = [["blue", "r"], [], "green|r", ""].map((label, i) => JSON.stringify({ sentence: `row ${i}`, label }));
    expect(await labelsOf(tags("jsonl"), lines.join("\n"))).toEqual([[0, 2], [], [0, 1], []]);
  });

  test("that are unknown or no list break a row", async () => {
    expect(await errorOf(tags("tsv"), "sentence\tlabel\none\tr|grean\n")).toContain(
      'unknown label "grean", nearest "green" of r, green, blue',
    );
    const lines = [{ r: 1 }, [["r"]], null].map((label) => JSON.stringify({ sentence: "row", label }));
    expect(await errorOf(tags("jsonl"), lines.join("\n"))).toContain(
      'line 1: "label" is {"r":1}, not an array of strings; line 2: "label" is [["r"]], not an array of strings; line 3',
    );
  });

  test("are hashed by name: another order of labels is other data, another order in a cell is not", async () => {
    const task = tags("tsv");
    const sha256 = async (of: Task, cell: string) => (await read(of, `sentence\tlabel\none\t${cell}\n`)).sha256;
    expect(await sha256(task, "r|blue")).toBe(await sha256(task, "blue|r"));
    expect(await sha256(task, "r|blue")).not.toBe(await sha256(task, "r"));
  });
});

describe("files", () => {
  test("a missing one is named with the next step", async () => {
    await expect(readSplit(glueTasks.qqp, "dev", { glueData })).rejects.toMatchObject({
      exitCode: ExitCode.data,
      message: `${path.join(glueData, "QQP/dev.tsv")}: the dev file of qqp is missing; put GLUE's QQP folder there (flexbert data download --task qqp), or say with --glue-data where it lies`,
    });
    expect(findSplitFile(glueTasks.qqp, "dev", glueData)).toBeNull();
    expect(findSplitFile(glueTasks.qqp, "dev_mismatched", glueData)).toBeNull();
  });

  test("a folder in its place is an error of the data", async () => {
    await mkdir(path.join(glueData, "QNLI/train.tsv"), { recursive: true });
    await expect(readSplit(glueTasks.qnli, "train", { glueData })).rejects.toThrow("cannot be read (EISDIR)");
  });

  test("a missing column names the file, the column and those found", async () => {
    expect(await errorOf(rte, "index\tsentence1\tsentense2\tlabel\n0\tA.\tB.\tentailment\n")).toBe(
      'RTE/train.tsv: there is no column "sentence2" (did you mean "sentense2"?); the file has "index", "sentence1", ' +
        '"sentense2", "label"; name its columns so, or put the right file there',
    );
    expect(await errorOf(cola, "A b.\t1\nB a.\t0\n")).toContain(
      "there is no column 3 (from 0) for the text: rows have 2 columns",
    );
  });

  test.each([
    ["nothing", "", "the file is empty"],
    ["blank lines", "\n \n", "the file is empty"],
    ["a byte order mark", "\ufeff", "the file is empty"],
    ["a header alone", header, "there is a header and no row"],
  ])("one with %s is an error", async (_, content, message) => {
    expect(await errorOf(rte, content)).toContain(`RTE/train.tsv: ${message}`);
  });

  test("one that is not UTF-8 names the line and the byte", async () => {
    const latin1 = Buffer.from(`${header}0\tA.\tB.\tentailment\n1\tcaf\xe9\tB.\tentailment\n`, "latin1");
    expect(await errorOf(rte, latin1)).toBe(
      "RTE/train.tsv: line 3 is not UTF-8: byte 6 of the line is 0xe9 (byte 57 of the file); save the file as UTF-8",
    );
  });

  test.each(["utf16le", "utf16be"])("one in %s is read where it has a byte order mark", async (encoding) => {
    const bytes = Buffer.from(`\ufeff${header}${rows.replace("rains", "rains \u{1f327}\u0a0a")}`, "utf16le");
    const { examples } = await read(rte, encoding === "utf16le" ? bytes : bytes.swap16());
    expect(examples.map(({ text, line }) => [text, line])).toEqual([
      ["It rains \u{1f327}\u0a0a.", 2],
      ["It snows.", 3],
    ]);
    expect(await errorOf(rte, bytes.subarray(encoding === "utf16le" ? 2 : 3))).toContain("RTE/train.tsv: ");
  });
});

describe("other formats", () => {
  const columns = { text: "body", label: "queue", index: "id" } as const;
  const labels = ["billing", "other"];
  const csv = { ...withSource(sst2, { format: "csv", quotes: "csv", columns, file: "t.csv" }), labels };
  const { spellings: _, ...unspelled } = csv.splits.train as SplitSource;
  const csvTask: Task = { ...csv, splits: { train: unspelled } };
  const jsonlTask: Task = { ...csv, splits: { train: { ...unspelled, format: "jsonl", file: "t.jsonl" } } };

  test("CSV: RFC 4180 quoting, rows over several lines, CRLF", async () => {
    const content = 'id,body,queue\r\n1,"a ""b"", c",billing\r\n2,"two\r\nlines","other"\r\n3,plain,other\r\n';
    const { examples } = await read(csvTask, content);
    expect(examples.map(({ text, line }) => [text, line])).toEqual([
      ['a "b", c', 2],
      ["two\nlines", 3],
      ["plain", 5],
    ]);
  });

  test("CSV: a quote that is not closed breaks all rows behind it", async () => {
    expect(await errorOf(csvTask, 'id,body,queue\n1,fine,other\n2,"open,other\n3,lost,other\n')).toMatch(
      /2 broken rows \(line 3: Quoted field unterminated\)/,
    );
  });

  test("JSONL: keys by name, numbers as labels and ids", async () => {
    const numbered: Task = {
      ...jsonlTask,
      splits: { train: { ...(jsonlTask.splits.train as SplitSource), spellings: { "0": "billing", "1": "other" } } },
    };
    const { examples } = await read(numbered, '{"id": 7, "body": "a\\nb", "queue": 1, "more": []}\n');
    expect(examples).toEqual([{ text: "a\nb", pair: null, label: 1, index: "7", line: 1 }]);
  });

  test("JSONL: every kind of broken row", async () => {
    const content = [
      '{"id": "1", "body": "a", "queue": "other"}',
      '{"id": "2", "body": "a"',
      "[1]",
      '{"id": "4", "queue": "other"}',
      '{"id": "5", "body": 3, "queue": "other"}',
      '{"id": "6", "body": "a", "queue": "othr"}',
    ].join("\n");
    const { examples, broken } = await read(jsonlTask, content, { skipBroken: true });
    expect(examples).toHaveLength(1);
    expect(broken.map(({ line, reason }) => `${line}: ${reason}`)).toEqual([
      expect.stringMatching(/^2: not JSON \(/),
      "3: not a JSON object",
      '4: no "body"',
      '5: "body" is 3, not a string',
      '6: unknown label "othr", nearest "other" of billing, other',
    ]);
  });

  test("JSONL: a key that no row has is a missing column", async () => {
    expect(await errorOf(jsonlTask, '{"id": 1, "bodi": "a", "queue": "other"}\n')).toContain(
      'there is no column "body" (did you mean "bodi"?); the file has "id", "bodi", "queue"',
    );
  });

  test("TSV of a user may be quoted as CSV is", async () => {
    const task: Task = { ...csvTask, splits: { train: { ...unspelled, format: "tsv", file: "t.tsv" } } };
    const { examples } = await read(task, 'id\tbody\tqueue\n1\t"a\tb"\tother\n');
    expect(examples[0]?.text).toBe("a\tb");
  });

  test("a label may lack where it is optional", async () => {
    const optional = (format: "csv" | "jsonl"): Task => ({
      ...csvTask,
      splits: { train: { ...unspelled, format, file: `o.${format}`, labelOptional: true } },
    });
    const labelsOf = async (task: Task, content: string) =>
      (await read(task, content)).examples.map(({ label }) => label);
    expect(await labelsOf(optional("csv"), "id,body\n1,a\n")).toEqual([null]);
    expect(await labelsOf(optional("csv"), "id,body,queue\n1,a,\n2,b,other\n")).toEqual([null, 1]);
    expect(await labelsOf(optional("jsonl"), '{"id":1,"body":"a"}\n{"id":2,"body":"b","queue":"other"}')).toEqual([
      null,
      1,
    ]);
  });
});

describe("sha256", () => {
  const shaOf = async (content: string, options: Options = {}) => (await read(rte, content, options)).sha256;

  test("is that of the texts and labels used, however they are written down", async () => {
    const plain = await shaOf(header + rows);
    expect(plain).toMatch(/^[0-9a-f]{64}$/);
    expect(await shaOf((header + rows).replaceAll("\n", "\r\n"))).toBe(plain);
    expect(await shaOf(`\ufeff${header}${rows}7\tbroken\n`, { skipBroken: true })).toBe(plain);
    expect(await shaOf(`${header}${rows}7\tC.\tD.\tentailment\n`, { maxRows: 2 })).toBe(plain);
  });

  test("changes with a text, a label, the order, the number of rows, the task's labels", async () => {
    const contents = [
      rows,
      rows.replace("wet", "dry"),
      rows.replace("\tnot_entailment", "\tentailment"),
      rows.trim().split("\n").reverse().join("\n"),
      rows.split("\n")[0] as string,
      rows.replace("It rains.\tIt", "It rains. It\t"),
    ];
    const hashes: string[] = [];
    for (const content of contents) hashes.push(await shaOf(header + content));
    const moreLabels: Task = { ...rte, labels: [...rte.labels, "unclear"] };
    hashes.push((await read(moreLabels, header + rows)).sha256);
    expect(new Set(hashes).size).toBe(7);
  });
});
