// What files hold reaches a terminal as text, never as what it obeys.

import { expect, test } from "@jest/globals";
import { modelError, oneLine } from "../../src/errors/errors";
import { onOneLine, printable, withoutControls } from "../../src/errors/printable";

test("control and invisible characters are written out, letters of any script stay", () => {
  expect(onOneLine("a\u001b[2Jb\n\t\u2028\u200b\u202e é本")).toBe(
    "a\\u{1b}[2Jb\\u{a}\\u{9}\\u{2028}\\u{200b}\\u{202e} é本",
  );
  expect(printable("x".repeat(500))).toBe(`${"x".repeat(120)}...`);
});

test("a message keeps its own line ends and tabs", () => {
  expect(withoutControls("a\n\tb\u0007\r")).toBe("a\n\tb\\u{7}\\u{d}");
  expect(modelError("no \u001b]0;x\u0007 file").message).toBe("no \\u{1b}]0;x\\u{7} file");
});

test("a library's error is one line", () => {
  expect(oneLine(new Error('Unexpected token\n "\u0000"'))).toBe('Unexpected token "\\u{0}"');
});
