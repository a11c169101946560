// What files hold reaches a terminal as text, never as what it obeys.

import { expect, test } from "@jest/globals";
import { modelError, oneLine, usageError } from "../../src/errors/errors";
import { asText, messageLine, onOneLine, printable, shown } from "../../src/errors/printable";

test("control and invisible characters are written out, letters of any script stay", () => {
  expect(onOneLine("a\u001b[2Jb\n\t\u2028\u200b\u202e é本")).toBe(
    "a\\u{1b}[2Jb\\u{a}\\u{9}\\u{2028}\\u{200b}\\u{202e} é本",
  );
  expect(printable("x".repeat(500))).toBe(`${"x".repeat(120)}...`);
});

test("a message is one line, or as many as it was given, whatever texts are in it", () => {
  expect(messageLine("a\n\tb\u0007\r\u2028\u202e é本")).toBe("a\\u{a}\tb\\u{7}\\u{d}\\u{2028}\\u{202e} é本");
  expect(modelError("no \u001b]0;x\u0007 file\nflexbert: forged").message).toBe(
    "no \\u{1b}]0;x\\u{7} file\\u{a}flexbert: forged",
  );
  const several = usageError(["one", "two\nlines"]);
  expect([several.message, several.lines]).toEqual(["one\ntwo\\u{a}lines", ["one", "two\\u{a}lines"]]);
});

test("of an endless line the middle is left out, so that the next step is still said", () => {
  const line = messageLine(`${"x".repeat(100_000)}. Fetch it again`);
  expect(line).toHaveLength(4_026);
  expect(line).toMatch(/^x{3000} \.\.\. 96016 characters \.\.\. x{984}\. Fetch it again$/);
});

test("a value is shown as JSON, but for what would be endless", () => {
  expect([{ a: [1, "b", null, true] }, undefined, Number.NaN, -0, 5n, "\u0000"].map(shown)).toEqual([
    '{"a":[1,"b",null,true]}',
    ...["undefined", "NaN", "0", "5", '"\\u0000"'],
  ]);
  const circle: unknown[] = [];
  circle.push(circle);
  expect(shown(circle)).toBe("[[[[...]]]]");
  expect(shown(JSON.parse("[".repeat(60_000) + "]".repeat(60_000)))).toBe("[[[[...]]]]");
  expect(shown(new Array(1_000_000).fill(0))).toBe("[0,0,0,0,0,0,0,0,...]");
  expect(shown("x".repeat(1_000_000)).length).toBeLessThan(130);
});

test("text of a value is String's, and of an object no call of what a file calls toString", () => {
  expect([1, null, undefined, true, [1, [2, 3]], "a"].map(asText)).toEqual([
    "1",
    "null",
    "undefined",
    "true",
    "1,2,3",
    "a",
  ]);
  expect(asText([{ toString: 1 }, 2])).toBe('{"toString":1},2');
});

test("a library's error is one line", () => {
  expect(oneLine(new Error('Unexpected token\n "\u0000"'))).toBe('Unexpected token "\\u{0}"');
});
