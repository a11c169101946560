// Texts that readers, terminals and page writers trip over, and pieces of JSON and YAML that no object of JavaScript's
// becomes when it is written.

import fc from "fast-check";

/** In names of files, of tasks, of columns and of labels, in cells and in values. */
export const hostileTexts: readonly string[] = [
  "",
  " ",
  "\u0000",
  "\u001b[2J\u001b[31mred\u001b]0;title\u0007",
  "\u009b31m",
  "a\u0008\u0008b\u007f",
  "two\nlines",
  "two\r\nlines",
  "\r",
  "tab\there",
  "\u2028\u2029\u0085",
  "\u202eright to left\u2066",
  "\ufeff",
  "\ud83d\ude00",
  "e\u0301\u200d\u200b",
  "\ud800",
  "__proto__",
  "constructor",
  "toString",
  "hasOwnProperty",
  "../../../etc/passwd",
  "/etc/passwd",
  "/dev/zero",
  "CON",
  ".",
  "..",
  "~",
  "-",
  "--help",
  "null",
  "NaN",
  "1e999",
  "-1",
  "0x10",
  "true",
  "$(touch x)",
  "%s%n",
  "<script>alert(1)</script>",
  "',\"`",
  "at Object.<anonymous> (file.js:1:1)",
  "flexbert: not an error",
  "x".repeat(300),
  "y".repeat(20_000),
  "z\n".repeat(500),
];

export const hostileText = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...hostileTexts) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 12 }) },
);

const deep = (open: string, close: string, times: number) => `${open.repeat(times)}1${close.repeat(times)}`;

/** Read by JSON and by YAML. */
export const rawValues: readonly string[] = [
  "1e999",
  "-1e999",
  "-0",
  "0.1",
  "-1",
  "0",
  "2147483648",
  "4294967296",
  "9007199254740993",
  "18446744073709551616",
  "1e308",
  "5e-324",
  `1${"0".repeat(400)}`,
  deep("[", "]", 60),
  deep("[", "]", 3_000),
  deep('{"a":', "}", 3_000),
  deep("[", "]", 60_000),
  '{"__proto__": {"format": 1}}',
  '{"a": 1, "a": 2}',
  `[${"0,".repeat(20_000)}0]`,
  `{${Array.from({ length: 5_000 }, (_, i) => `"k${i}": ${i}`).join(",")}}`,
  '"\\ud800"',
  '"\\u0000"',
];

/** Read by YAML alone. */
export const yamlValues: readonly string[] = [
  ".nan",
  ".inf",
  "0o17",
  "0x1F",
  "2026-11-26",
  "!!binary aGk=",
  "!!set {a, b}",
  "!!js/function 'function () {}'",
  "!unknown x",
  "*nowhere",
  "&a [*a]",
  "{<<: {a: 1}}",
  "{? [a, b] : c}",
  "{? {a: b} : c}",
  "{1: a, null: b, true: c}",
  "&a [&b [*a, *b], *b]",
  '"\\e[31m"',
  "~",
];

/** The billion laughs: nine lines that stand for 9^9 words. */
export const laughs = `a: &a [x, x, x, x, x, x, x, x, x]\n${[..."bcdefghi"]
  .map((name, i) => `${name}: &${name} [${Array.from({ length: 9 }, () => `*${"abcdefgh"[i]}`).join(", ")}]`)
  .join("\n")}\n`;
