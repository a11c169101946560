// The one reader of rows: what ends a line, what a row is, and what is said of rows that are none. Kinds of fault that
// users of other tools met: PapaParse#112, #281, #345 (quotes, mixed line ends), nodejs/node#22448 (lines cut at U+2028),
// fastText#344 (blank lines lost), pydantic-ai#8316 (a byte order mark before JSON).

import { describe, expect, test } from "@jest/globals";
import { isJson, layoutOf, looksQuoted } from "../../../src/data/rows/layout";
import { linesOf } from "../../../src/data/rows/text-blocks";
import { ExitCode } from "../../../src/errors/errors";
import { bytesOf, csv, jsonl, read, tsv } from "./reader";

async function lines(content: string | Uint8Array, pieces?: number): Promise<string[]> {
  const found: string[] = [];
  for await (const line of linesOf(bytesOf(content, pieces))) found.push(line);
  return found;
}

const errorOf = (reading: Promise<unknown>): Promise<string> =>
  reading.then(
    () => "it was read",
    (error: { exitCode: number; message: string }) => {
      expect(error.exitCode).toBe(ExitCode.data);
      return error.message;
    },
  );

describe("lines", () => {
  test("end at LF and CRLF alone, in pieces of any size", async () => {
    const content = "first \u2028 still\r\nsecond\rstill\n\nthird\u0085\u000b\r\n\r\nlast\u{1f327}";
    const expected = ["first \u2028 still", "second\rstill", "", "third\u0085\u000b", "", "last\u{1f327}"];
    for (const pieces of [1, 2, 3, 7, 1000]) expect(await lines(content, pieces)).toEqual(expected);
    expect(await lines(`${content}\r\n`)).toEqual(expected);
    expect(await lines(`${content}\n\n`)).toEqual([...expected, ""]);
  });

  test("of UTF-16 with a mark, either way round", async () => {
    const bytes = Buffer.from("\ufeffa\u0a0a\u{1f327}\r\nb\u010a\n", "utf16le");
    for (const pieces of [1, 2, 3, 100]) {
      expect(await lines(bytes, pieces)).toEqual(["a\u0a0a\u{1f327}", "b\u010a"]);
      expect(await lines(Buffer.from(bytes).swap16(), pieces)).toEqual(["a\u0a0a\u{1f327}", "b\u010a"]);
    }
    expect(await errorOf(lines(Buffer.from("\ufeffab\ncd\ud800\n", "utf16le")))).toContain(
      "line 2 has half a surrogate",
    );
    expect(await errorOf(lines(bytes.subarray(0, -1)))).toContain("rows: line 2 ends in half a character");
  });

  test.each([
    ["caf\xe9", 1, 4, "0xe9", 4],
    ["good\nb\u00c3\u00a9 caf\xe9s\n", 2, 8, "0xe9", 13],
    ["a\n\xff\xfe", 2, 1, "0xff", 3],
    ["ok \xe2\x82", 1, 4, "0xe2", 4],
    ["over\xc0\xaflong", 1, 5, "0xc0", 5],
    ["surrogate \xed\xa0\x80", 1, 11, "0xed", 11],
  ])("of %j are no UTF-8, and line and byte are named", async (latin1, line, byte, value, place) => {
    for (const pieces of [1, 4, 1000]) {
      expect(await errorOf(lines(Buffer.from(latin1, "latin1"), pieces))).toBe(
        `rows: line ${line} is not UTF-8: byte ${byte} of the line is ${value} (byte ${place} of the file); save the file as UTF-8`,
      );
    }
  });
});

describe("CSV and TSV", () => {
  test("CRLF in the header and LF in the rows, and the other way round", async () => {
    for (const content of ["id\ttext\r\n1\tone\n2\ttwo", "id\ttext\n1\tone\r\n2\ttwo\r\n"]) {
      expect((await read(content, tsv)).rows.map(({ cells }) => cells)).toEqual([
        ["1", "one"],
        ["2", "two"],
      ]);
    }
  });

  test("rows over several lines, read in pieces, keep their lines", async () => {
    const content = 'id,text\r\n1,"a ""b""\r\n, c"\r\n2,plain\n"3","\n\n"\n4,"x" \n';
    for (const pieces of [1, 5, 1000]) {
      expect((await read(content, csv, pieces)).rows).toEqual([
        { line: 2, cells: ["1", 'a "b"\n, c'] },
        { line: 4, cells: ["2", "plain"] },
        { line: 5, cells: ["3", "\n\n"] },
        { line: 8, cells: ["4", "x"] },
      ]);
    }
  });

  test("an open quote is named with the line where it opened, and counts all rows that it takes", async () => {
    const content = 'id,text\n1,one\n2,"open\n3,three\n4,four\n';
    for (const pieces of [1, 1000]) {
      expect((await read(content, csv, pieces)).rows).toEqual([
        { line: 2, cells: ["1", "one"] },
        { line: 3, cells: ["2", "open\n3,three\n4,four"], problem: "Quoted field unterminated", lines: 3 },
      ]);
    }
    const [row] = (await read('a,b\n"x\ny","open\nz\n', csv)).rows;
    expect(row).toMatchObject({ line: 2, problem: "Quoted field unterminated, opened in line 3", lines: 3 });
    expect(await errorOf(read('"a,b\n1,2\n', csv))).toContain("rows: line 1, the header: Quoted field unterminated");
  });

  test("a stray quote takes the rows up to the next one, which are counted, and no more", async () => {
    const { rows } = await read('a,b\n1,"x\n2,y\n3,"z",w\n4,v\n', csv);
    expect(rows.map(({ line, problem, lines }) => [line, problem !== undefined, lines])).toEqual([
      [2, true, 3],
      [5, false, undefined],
    ]);
  });

  test("too few or too many cells are a problem, empty ones at the end are none", async () => {
    const { rows } = await read("a\tb\n1\t2\t\t\n1\n1\t2\t3\n\n1\t2\n\n\n", tsv);
    expect(rows.map(({ line, problem }) => [line, problem])).toEqual([
      [2, undefined],
      [3, "1 column, the header has 2"],
      [4, "3 columns, the header has 2"],
      [5, "empty line"],
      [6, undefined],
    ]);
  });

  test("of one column, an empty line is a row", async () => {
    expect((await read("text\nfirst\n\nthird\n\n", tsv)).rows.map(({ cells }) => cells)).toEqual([
      ["first"],
      [""],
      ["third"],
      [""],
    ]);
    expect((await read('text\n""\na\n', csv)).rows.map(({ cells }) => cells)).toEqual([[""], ["a"]]);
  });

  test("without a header most rows say how wide it is", async () => {
    const { names, width, rows } = await read("a\tb\nc\nd\te\n", { ...tsv, header: false });
    expect([names, width]).toEqual([null, 2]);
    expect(rows.map(({ problem }) => problem)).toEqual([undefined, "1 column, most rows have 2", undefined]);
  });

  test("a quote that is open in TSV of ordinary quotes is pointed at", async () => {
    const { rows } = await read('text\tlabel\n"a\ttab"\tbad\n', tsv);
    expect(rows[0]?.problem).toBe(
      "3 columns, the header has 2, and a double quote is open: where quotes are CSV's, say quotes: csv",
    );
  });

  test("what is empty says so", async () => {
    for (const content of ["", "\n\n", "\ufeff", " \n"])
      expect(await errorOf(read(content, csv))).toContain("is empty");
  });
});

describe("JSON", () => {
  test("lines, with a mark before them", async () => {
    const { names, rows } = await read('\ufeff{"text":"one"}\r\n{"text":"two","id":null}\n', jsonl);
    expect([names, rows.map(({ cells }) => cells)]).toEqual([["text"], [{ text: "one" }, { text: "two", id: null }]]);
  });

  test("an array, written in any way, cut anywhere", async () => {
    const values = [{ text: 'a ] , } "', more: [1, { b: ["]"] }] }, { text: "\\", n: {} }, { text: "" }];
    const written = [
      JSON.stringify(values),
      JSON.stringify(values, null, 2),
      `\n [ ${values.map((one) => JSON.stringify(one)).join("\n ,\n")} ] \n\n`,
    ];
    for (const content of written) {
      for (const pieces of [1, 3, 1000]) {
        expect((await read(content, jsonl, pieces)).rows.map(({ cells }) => cells)).toEqual(values);
      }
    }
    expect((await read('[\n  {"a": 1},\n\n  {"a":\n 2}, {"a": 3}]', jsonl)).rows.map(({ line }) => line)).toEqual([
      2, 4, 5,
    ]);
  });

  test.each([
    ['[{"a":1},\n{"a":2}', "line 2: the array has no end"],
    ['[{"a":1}]\n{"a":2}', "line 2: there is more behind the array's end"],
    ["[]", "the file is empty"],
  ])("%j is an error", async (content, message) => {
    expect(await errorOf(read(content, jsonl))).toContain(message);
  });

  test("an element or a line that is no object is a broken row with its line", async () => {
    const problems = async (content: string) =>
      (await read(content, jsonl)).rows.map(({ line, problem = "" }) => `${line}: ${problem.replace(/ \(.*/, "")}`);
    expect(await problems('[{"a":1},\n2,\n,\n{"a"}, "]"]')).toEqual([
      "1: ",
      "2: not a JSON object",
      "3: nothing between two commas",
      "4: not JSON",
      "4: not a JSON object",
    ]);
    expect(await problems('{"a":1}\n\n[1]\n{"a"\n\n')).toEqual([
      "1: ",
      "2: empty line",
      "3: not a JSON object",
      "4: not JSON",
    ]);
  });
});

describe("the layout of a file that nobody describes", () => {
  test.each([
    ["rows.CSV", "a,b\n1,2\n", "csv"],
    ["rows.Tsv", "a\tb\n", "tsv"],
    ["rows.JSON", '[{"a":1}]', "jsonl"],
    ["rows.txt", '{"a":1}\n', "jsonl"],
    ["rows.txt", "[\n{}\n]", "jsonl"],
    ["rows.txt", "a,b\n1,2\n", "csv"],
    ["rows.txt", "a, b\tc\n", "tsv"],
    ["rows.csv", "a\tb\n1\t2\n", "tsv"],
    ["rows.csv", '{"a":1}\n', "jsonl"],
    ["rows", "text\n", "tsv"],
    ["rows.csv", "PAR1\u0000\u0001", "parquet"],
  ])("%s with %j is %s", async (name, content, format) => {
    expect((await layoutOf(bytesOf(content, 1000, name))).format).toBe(format);
  });

  test("text that begins like JSON is none", () => {
    expect(["{not json", "[CLS] is a token", '{"a":1} and more'].filter(isJson)).toEqual([]);
  });

  test("CSV's quotes are told from a text that stands in quotes", () => {
    expect(looksQuoted('"he said ""fine"" and left"')).toBe(true);
    for (const text of ['"fine," he said', '"fine"', '"a" "b"', 'she ""said"" so', '"""', '"a""b" c"']) {
      expect(looksQuoted(text)).toBe(false);
    }
  });
});
