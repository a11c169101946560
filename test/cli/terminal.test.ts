import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { coloursOf, createTerminal, type OutputStream, table } from "../../src/cli/terminal";
import { formatScore } from "../../src/messages/quantities";
import { recipes } from "../../src/recipes/recipes";

const talk = { json: false, quiet: false, verbose: false };
const interruption = { signal: new AbortController().signal };

/** A stream that keeps what it is given. As a terminal it also has what cli-progress asks for. */
function stream(isTTY: boolean): OutputStream & { text: string } {
  const kept = {
    text: "",
    isTTY,
    columns: 120,
    write(text: string) {
      kept.text += text;
      return true;
    },
  };
  return kept;
}

const kept = { ...process.env };
beforeEach(() => {
  for (const name of ["CI", "NO_COLOR", "FORCE_COLOR"]) delete process.env[name];
  process.env["TERM"] = "xterm";
});
afterEach(() => {
  for (const name of ["CI", "NO_COLOR", "FORCE_COLOR", "TERM"]) {
    if (kept[name] === undefined) delete process.env[name];
    else process.env[name] = kept[name];
  }
});

/** What a terminal shows: carriage returns, cleared lines, and positions saved and restored; nothing scrolls away. */
function screen(written: string): string[] {
  const lines = [""];
  let [row, column] = [0, 0];
  let saved = [0, 0];
  const put = (text: string) => {
    const line = (lines[row] ?? "").padEnd(column);
    lines[row] = line.slice(0, column) + text + line.slice(column + text.length);
    column += text.length;
  };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control sequences are what it reads
  for (const part of written.match(/\x1b(?:[78]|\[[?\d;]*[A-Za-z])|\n|\r|[^\x1b\n\r]+/g) ?? []) {
    if (part === "\n") [row, column] = [row + 1, 0];
    else if (part === "\r" || part === "\x1b[1G") column = 0;
    else if (part === "\x1b7") saved = [row, column];
    else if (part === "\x1b8") [row, column] = saved as [number, number];
    else if (part === "\x1b[2K") lines[row] = "";
    else if (part === "\x1b[0K") lines[row] = (lines[row] ?? "").slice(0, column);
    else if (!part.startsWith("\x1b")) put(part);
    lines[row] ??= "";
  }
  return lines.map((line) => line.trimEnd());
}

describe("progress", () => {
  test("a line written while a bar stands keeps its own row, and the bar leaves nothing behind", () => {
    const err = stream(true);
    const { reporter } = createTerminal({ out: stream(true), err }, interruption, talk, recipes);
    reporter.log("before");
    const bar = reporter.progress("rte k=3", 10);
    expect(screen(err.text).at(-1)).toMatch(/^rte k=3 \[-+\] 0\/10/);
    bar.advance(4, "loss 0.7");
    reporter.log("epoch 1");
    reporter.warn("disk is nearly full");
    bar.advance(6);
    bar.end();
    reporter.log("after");
    expect(screen(err.text)).toEqual([
      "before",
      "epoch 1",
      expect.stringContaining("disk is nearly full"),
      "after",
      "",
    ]);
  });

  test.each([
    ["a pipe", false, {}],
    ["CI", true, { CI: "true" }],
    ["a dumb terminal", true, { TERM: "dumb" }],
  ])("%s gets no bar", (_, isTTY, variables) => {
    Object.assign(process.env, variables);
    const err = stream(isTTY);
    const { reporter } = createTerminal({ out: stream(false), err }, interruption, talk, recipes);
    const bar = reporter.progress("rte k=3", 10);
    bar.advance(10);
    bar.end();
    reporter.log("done");
    expect(err.text).toBe("done\n");
  });

  test("--quiet silences logs and bars, never warnings", () => {
    const err = stream(true);
    const { reporter } = createTerminal({ out: stream(true), err }, interruption, { ...talk, quiet: true }, recipes);
    reporter.log("chatter");
    reporter.progress("rte", 3).advance(1);
    reporter.warn("real trouble");
    expect(err.text).toMatch(/^[^\n]*warning:[^\n]* real trouble\n$/);
  });
});

describe("colours", () => {
  const coloured = (isTTY: boolean) => coloursOf(stream(isTTY)).isColorSupported;

  test("are for terminals, unless the environment says otherwise", () => {
    expect([coloured(true), coloured(false)]).toEqual([true, false]);
    process.env["FORCE_COLOR"] = "1";
    expect(coloured(false)).toBe(true);
    process.env["NO_COLOR"] = "1";
    expect(coloured(true)).toBe(false);
    delete process.env["NO_COLOR"];
    process.env["FORCE_COLOR"] = "0";
    process.env["TERM"] = "dumb";
    expect(coloured(true)).toBe(false);
  });
});

describe("what people read", () => {
  test("scores are points", () => {
    expect([formatScore(0.5884), formatScore(null)]).toEqual(["58.8", "-"]);
  });

  test("tables are aligned and have no frames", () => {
    const built = table(
      ["k", "score"],
      [
        [1, "52.4"],
        [12, "-"],
      ],
    );
    expect(built.split("\n")).toEqual(["k   score", "1   52.4", "12  -"]);
  });
});

test("a table of thousands of rows is laid out as a short one is, in no more than the time to print it", () => {
  const rows = Array.from({ length: 999 }, (_, i) => [i, "a".repeat(i % 7), i % 3 ? "" : "x", 1.5 * i]);
  const head = ["n", "name", "", "v"];
  const long = Array.from({ length: 60 }, () => rows).flat();
  const lines = table(head, long).split("\n");
  expect(lines.slice(0, 1000)).toEqual(table(head, rows).split("\n"));
  expect(lines).toHaveLength(long.length + 1);
});
