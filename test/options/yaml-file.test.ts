// YAML that no editor writes: one error with the file's name, whatever the parser makes of it.

import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "@jest/globals";
import { parseYamlFile, readYamlText } from "../../src/options/yaml-file";
import { temporaryFolder } from "../files/temporary-folder";

const laughs = `a: &a [x, x, x, x, x, x, x, x, x]\n${[..."bcdefghi"]
  .map((name, i) => `${name}: &${name} [${Array.from({ length: 9 }, () => `*${"abcdefgh"[i]}`).join(", ")}]`)
  .join("\n")}\n`;

test.each([
  ["an alias inside of its own anchor", "a: &a [1, *a]", /deeper than 100 levels, or an alias stands inside/],
  ["an alias in a key's own value", "a: &a { b: *a }", /deeper than 100 levels, or an alias stands inside/],
  ["an alias without its anchor", "a: *b", /tasks\.yaml.*b/],
  ["nine words that stand for nine to the ninth", laughs, /Excessive alias count/],
  ["a hundred brackets", `a: ${"[".repeat(101)}${"]".repeat(101)}`, /deeper than 100 levels/],
  ["four hundred brackets", `a: ${"[".repeat(400)}${"]".repeat(400)}`, /deeper than 100 levels/],
  ["sixty thousand brackets", `a: ${"[".repeat(60_000)}${"]".repeat(60_000)}`, /nests too deep/],
  ["sixty thousand keys in each other", `a: ${'{"a":'.repeat(60_000)}1${"}".repeat(60_000)}`, /nests too deep/],
  ["a list in a list, sixty thousand times", `${"- ".repeat(60_000)}1`, /nests too deep/],
  ["a key in a key, sixty thousand times", `${"? ".repeat(60_000)}1`, /nests too deep/],
  ["an indentation of sixty thousand", `a:\n${" ".repeat(60_000)}b: 1`, /nests too deep/],
  ["nothing but errors", "]".repeat(1_000), /10 problems/],
])("%s", (_, text, message) => {
  let error: unknown;
  try {
    parseYamlFile("tasks.yaml", text);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ name: "UserError", exitCode: 2, message: expect.stringMatching(message) });
  for (const line of (error as Error).message.split("\n")) expect(line).toMatch(/^(tasks\.yaml| {2}line \d+: )/);
});

test("types that YAML knows beside JSON's are texts, and a key of several values is a name", () => {
  const emitted: unknown[] = [];
  const listen = (warning: unknown) => emitted.push(warning);
  process.on("warning", listen);
  const { content } = parseYamlFile("a.yaml", "a: !!binary aGk=\n? [b, c]\n: 1\n");
  expect(content).toEqual({ a: "aGk=", "[ b, c ]": 1 });
  process.off("warning", listen);
  expect(emitted).toEqual([]);
});

test("an unknown key cannot write a line of its own", () => {
  const file = parseYamlFile("a.yaml", "x: 1");
  const error = file.report([
    { path: ["two\nlines: "], message: "unknown key" },
    { path: ["y\u001b[2J"], message: "unknown key" },
  ]);
  expect(error.lines).toHaveLength(3);
  expect(error.message).toContain("two\\u{a}lines: ");
});

test("bytes that are no text are an error", async () => {
  const file = path.join(temporaryFolder(), "a.yaml");
  writeFileSync(file, Buffer.from([0x61, 0xff, 0x3a]));
  await expect(readYamlText(file, "the tasks file")).rejects.toMatchObject({ exitCode: 2 });
});
