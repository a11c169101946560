// What users of other tools reported in public of files of rows, tried on inputs of our own: repository and number, what
// went wrong there, and what is right here. Model folders: reports-of-models.test.ts.

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "@jest/globals";
import { planInit } from "../../src/api/init";
import { withLabels } from "../../src/data/labels";
import { readSplit } from "../../src/data/read-split";
import { ExitCode } from "../../src/errors/errors";
import { openRowFile, type RowFileOptions } from "../../src/predict/row-file";
import type { InputRow } from "../../src/predict/rows";
import { formatByName } from "../../src/tasks/format";
import type { Task } from "../../src/tasks/task";
import { parseUserTasks } from "../../src/tasks/user-tasks";
import { createTokenizer } from "../../src/tokenizer/tokenizer";
import { embeddedVocabulary } from "../../src/tokenizer/vocabulary";
import { temporaryFolder } from "../files/temporary-folder";

const cwd = temporaryFolder();
let count = 0;

/** In a folder of its own. */
function write(name: string, content: string | Uint8Array): string {
  const folder = path.join(cwd, String(count++));
  mkdirSync(folder);
  writeFileSync(path.join(folder, name), content);
  return path.join(folder, name);
}

/** A task of one file, whose dev rows are its train rows. */
function taskOf(file: string, keys = "", columns = "{ text: text, label: label }"): Task {
  const files = `files: { train: ${JSON.stringify(file)}, dev: ${JSON.stringify(file)} }`;
  const text = `tasks:\n  - name: t\n    ${files}\n    columns: ${columns}\n${keys && `    ${keys}\n`}`;
  return parseUserTasks(text, path.join(cwd, "tasks.yaml"))[0] as Task;
}

const formatOf = (file: string) => (formatByName(file) ? "" : "format: csv");

const train = (task: Task) => readSplit(task, "train", { glueData: "" });

async function rowsOf(file: string, options: RowFileOptions = {}, tasks: readonly Task[] = []): Promise<InputRow[]> {
  const { rows } = await openRowFile(file, { tasks, takesPairs: false, glueData: cwd }, options);
  const found: InputRow[] = [];
  for await (const row of rows) found.push(row);
  return found;
}

const texts = async (file: string) => (await rowsOf(file)).map(({ text }) => text);

/** What predict, training and tasks init say of a file. */
async function refusals(file: string): Promise<string[]> {
  const readers = [
    () => rowsOf(file),
    () => train(taskOf(file, `labels: [yes, no]\n    ${formatOf(file)}`)),
    () => planInit([file]),
  ];
  return Promise.all(
    readers.map(async (read) => {
      const error = await read().then(
        () => ({ exitCode: 0, message: "it was read" }),
        (thrown: { exitCode: number; message: string }) => thrown,
      );
      expect(error).toMatchObject({ exitCode: ExitCode.data, message: expect.stringMatching(/^[^\p{C}]+$/u) });
      return error.message;
    }),
  );
}

const rows = (separator: string, end = "\n") =>
  ["text,label", ...Array.from({ length: 20 }, (_, i) => `good film ${i},${i % 2 ? "yes" : "no"}`)]
    .map((line) => line.replace(",", separator) + end)
    .join("");

describe("values", () => {
  // pandas-dev/pandas#33766, zemirco/json2csv#149: whole numbers beyond 2^53 come back with other last digits
  test("ids of 64 bits keep their digits", async () => {
    const lines = [
      '{"id": 72057594038135102, "text": "a \\"12345678901234567890\\" b", "n": [9007199254740993, 0.1234567890123456789]}',
      '{"id": 9007199254740992, "text": "c", "n": -1e400}',
      '{"id": 12, "text": "d", "n": 1e21}',
    ];
    const expected = [
      { id: "72057594038135102", columns: { n: ["9007199254740993", 0.12345678901234568] } },
      { id: 2 ** 53, columns: { n: "-1e400" } },
      { id: 12, columns: { n: 1e21 } },
    ];
    for (const content of [lines.join("\n"), `[${lines.join(",\n")}]`]) {
      const found = await rowsOf(write("ids.json", content), { keepColumns: true });
      expect(found).toMatchObject(expected);
      expect(found[0]?.text).toBe('a "12345678901234567890" b');
    }
  });

  test("labels of 64 bits are told apart", async () => {
    const ids = ["72057594038135102", "72057594038135103"];
    const content = Array.from({ length: 8 }, (_, i) => `{"text": "t${i}", "label": ${ids[i % 2]}}`).join("\n");
    expect((await withLabels(taskOf(write("labels.jsonl", content), "labels: from-data"))).labels).toEqual(ids);
  });

  // mljar/mljar-supervised#245, fastai/fastai#3945: class names that are numbers sorted as text, 10 before 2, and
  // predictions under other names than those that were trained
  test("labels that are numbers are sorted by value", async () => {
    const content = `text,label\n${["10", "9", "2", "1", "0"].flatMap((label) => [`a,${label}\n`, `b,${label}\n`]).join("")}`;
    expect((await withLabels(taskOf(write("numbers.csv", content)))).labels).toEqual(["0", "1", "2", "9", "10"]);
  });

  // deepset-ai/FARM#66: labels True and False become booleans; huggingface/huggingface_hub#797: a YAML list's no is false;
  // pandas-dev/pandas#32084: the word null is read as a missing value
  test.each(["True,False", "yes,no", "null,None,NA,nan", "on,off,~", "1.0,01,1"])(
    "the labels %s are words, listed or found",
    async (list) => {
      const names = list.split(",");
      const content = `text,label\n${names.flatMap((name) => [`${name},${name}\n`, `so ${name},${name}\n`]).join("")}`;
      const file = write("words.csv", content);
      for (const task of [taskOf(file, `labels: [${list}]`), await withLabels(taskOf(file, "labels: from-data"))]) {
        expect([...task.labels].sort()).toEqual([...names].sort());
        const { examples } = await train(task);
        expect(examples.map(({ text }) => text)).toEqual(names.flatMap((name) => [name, `so ${name}`]));
        expect(examples.map(({ label }) => task.labels[label as number])).toEqual(
          names.flatMap((name) => [name, name]),
        );
      }
    },
  );

  // The same of JSON's own values.
  test("true and 1 of JSON lines are the labels true and 1", async () => {
    const content = '{"text": "a", "label": true}\n{"text": "b", "label": 1}\n{"text": "c", "label": "true"}\n';
    const { examples } = await train(taskOf(write("json.jsonl", content), "labels: [true, 1]"));
    expect(examples.map(({ label }) => label)).toEqual([0, 1, 0]);
  });

  // wireservice/csvkit#927, OpenRefine/OpenRefine#653: a NUL in a cell ends the run, or escapes the quote behind it
  test("a NUL is a character like any other, which the tokenizer leaves out as BERT's does", async () => {
    const found = await texts(write("nul.csv", 'id,text\n1,"go\0od"\n2,ba\0d\n3,"end\0"\n'));
    expect(found).toEqual(["go\0od", "ba\0d", "end\0"]);
    const tokenizer = createTokenizer({ tokens: embeddedVocabulary(), lowerCase: true });
    expect(tokenizer.encode(found[0] as string, null, 16).ids).toEqual(tokenizer.encode("good", null, 16).ids);
  });

  // openai/tiktoken#82: half a surrogate pair, as JSON may escape it, ends encoding. BERT's own tokenizer (transformers'
  // BertTokenizer in Python, before 5.0) leaves characters of the category C out.
  test("half a surrogate pair is read and left out", async () => {
    const found = await texts(write("half.jsonl", '{"text": "go\\ud800od"}\n{"text": "\\ud83d\\ude00"}\n'));
    expect(found).toEqual(["go\ud800od", "\u{1f600}"]);
    const tokenizer = createTokenizer({ tokens: embeddedVocabulary(), lowerCase: true });
    expect(tokenizer.encode(found[0] as string, null, 16).ids).toEqual(tokenizer.encode("good", null, 16).ids);
  });
});

describe("files that are written otherwise are told by what they are", () => {
  // PowerShell/PowerShell#7776: Excel's first line sep=, is read as the header; flairNLP/flair#966: other separators
  // than the comma
  test.each([
    ["sep=,\n", ",", "its first line is Excel's word for what parts cells: remove it"],
    ["sep=;\n", ";", "its first line is Excel's word for what parts cells: remove it"],
    ["", ";", "its cells stand between semicolons: save it with commas or tabs"],
  ])("%j before cells between %j", async (first, separator, advice) => {
    for (const message of await refusals(write("excel.csv", first + rows(separator))))
      expect(message).toContain(advice);
  });

  test("commas in a file called .tsv, and tabs in one called .csv", async () => {
    const [predict, training] = await refusals(write("commas.tsv", rows(",")));
    for (const message of [predict, training])
      expect(message).toContain("cells stand between commas: let its name end");
    const tabs = write("tabs.csv", 'text\tn\n"good, ""film"""\t1\n');
    expect(await texts(tabs)).toEqual(['good, "film"']);
    await expect(train(taskOf(tabs, "labels: [a, b]"))).rejects.toThrow("cells stand between tabs: let its name end");
  });

  // turicas/rows#273, where the cells full of NULs were UTF-16 that nobody took for it
  test("UTF-16 without a mark", async () => {
    for (const message of await refusals(write("wide.csv", Buffer.from(rows(","), "utf16le")))) {
      expect(message).toContain("it may be UTF-16 without a byte order mark: save it as UTF-8");
    }
  });

  // The other side of nodejs/node#22448: lines that end at CR alone are no lines, and the file is told so.
  test("line ends of old", async () => {
    for (const message of await refusals(write("mac.csv", rows(",", "\r")))) {
      expect(message).toContain("its lines end at CR alone: save it with LF or CRLF");
    }
  });

  // SACGF/variantgrid#339, streamlit/files-connection#11: a gzip file is said to have an invalid byte 0x8b in place 1
  test.each<[string, Uint8Array, string]>([
    ["rows.csv.gz", gzipSync(rows(",")), "it is packed by gzip: unpack it first"],
    ["rows.csv", gzipSync(rows(",")), "it is packed by gzip: unpack it first"],
    ["rows.xlsx", Buffer.from("504b030414000600080000002100ff", "hex"), "it is a zip, as .xlsx files are"],
    ["rows.jsonl", Buffer.from("28b52ffd04", "hex"), "it is packed by zstd"],
  ])("%s", async (name, content, advice) => {
    for (const message of await refusals(write(name, content))) expect(message).toContain(advice);
  });

  // microsoft/OmniParser#34, huggingface/transformers#27923: what git-lfs leaves where it is not installed
  test.each(["rows.csv", "rows.jsonl", "rows.parquet"])("a pointer of git-lfs: %s", async (name) => {
    const pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    for (const message of await refusals(write(name, pointer))) expect(message).toContain("run git lfs pull there");
  });

  test("a web page", async () => {
    const page = write("page.csv", "<!DOCTYPE html>\n<html><head><title>404, not found</title></head></html>\n");
    for (const message of await refusals(page)) expect(message).toContain("it is a web page");
  });

  // datalad/datalad-catalog#135: one JSON object over several lines, where JSON lines were wanted, and an error that
  // speaks of a property name
  test("JSON over several lines, of Python, and of arrays", async () => {
    const pretty = write("pretty.json", `${JSON.stringify({ text: "a", label: { name: "yes" } }, null, 2)}\n`);
    const [predict, training] = await refusals(pretty);
    expect(predict).toContain("line 1: not JSON (an object begins and does not end in this line)");
    expect(training).toContain("JSON is one object a line, or one array of objects");
    expect((await refusals(write("python.jsonl", "{'text': 'a'}\n")))[0]).toContain("line 1: not JSON (");
    expect((await refusals(write("arrays.json", '[["a", "yes"]]')))[0]).toContain("line 1: not a JSON object; JSON is");
  });
});

// swiftcsv/SwiftCSV#134, melihbirim/csvql#102: of two columns of one name one wins, and nothing says so
test("two columns of the name that is read are refused, and of another they are none of its business", async () => {
  const twice = write("twice.csv", "text,text,label\na,b,yes\n");
  for (const message of await refusals(twice)) expect(message).toMatch(/two columns are (named|called) "text"/);
  await expect(rowsOf(twice, { columns: { text: "text" } })).rejects.toThrow('two columns are named "text"');
  expect(await texts(write("other.csv", "n,n,text\n1,2,a\n"))).toEqual(["a"]);
});
