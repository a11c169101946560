// What documents and help say of flexbert holds: every command line that they show is read by the program's own parser,
// every link leads to a file or a heading that exists, and nothing points outside the repository.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { type CommandEntry, commands, isGroup } from "../src/cli/catalogue";
import { buildProgram, type Shell } from "../src/cli/program";
import type { OutputStream } from "../src/cli/terminal";
import { commandFirst, commandIn } from "../src/cli/words";
import { recipes } from "../src/recipes/recipes";
import { type CommandLine, commandLinesOf, commandLinesOfComments, commandLinesOfShell } from "./command-lines";

const root = path.join(__dirname, "..");
const read = (file: string) => readFileSync(path.join(root, file), "utf8");
const inFolder = (folder: string, extension: string) =>
  (readdirSync(path.join(root, folder), { recursive: true }) as string[])
    .filter((file) => file.endsWith(extension))
    .map((file) => `${folder}/${file.replaceAll(path.sep, "/")}`);

const documents = [
  ...readdirSync(root).filter((file) => file.endsWith(".md")),
  ...["docs", "bench", "glue-data/sample"].flatMap((folder) => inFolder(folder, ".md")),
  "glue-data/README.md",
];
const experiments = inFolder("experiments", ".yaml");

const shell = (out: OutputStream): Shell => ({
  streams: { out, err: out },
  interruption: { signal: new AbortController().signal },
  recipes,
  commands,
  parseOnly: true,
});

/** What the program says against a command line, or null. Runs nothing. */
async function refusal({ words, mentioned }: CommandLine): Promise<string | null> {
  const named = mentioned && commandIn(words, commands).length === words.length;
  const args = await commandFirst(named ? [...words, "--help"] : words, commands);
  let printed = "";
  const out = { write: (text: string) => (printed += text) };
  try {
    const program = await buildProgram(args, shell(out));
    await program.parseAsync(args, { from: "user" });
    return null;
  } catch (error) {
    // Help and version end the parser so, with what they print on its stream.
    return (error as { exitCode?: number }).exitCode === 0 && printed !== "" ? null : (error as Error).message;
  }
}

async function refused(lines: readonly CommandLine[]): Promise<string[]> {
  const problems: string[] = [];
  for (const line of lines) {
    const problem = await refusal(line);
    if (problem !== null) problems.push(`${line.text}: ${problem}`);
  }
  return problems;
}

describe("command lines", () => {
  test("a wrong option, value, command or argument is refused, and each form of a line is found", async () => {
    const lines = commandLinesOf(
      [
        "Text with `flexbert finetune --epoch 3`, `flexbert cache` and `flexbert\nmerge --out merged/ --no-onyx`.",
        "```sh",
        "npm ci && SEED=1 flexbert finetune --task rte --k x-9 | tee log # --wrong",
        'for seed in 1 2; do echo; done; node bin/flexbert.js predict --text "a # b" \\',
        "  --model merged/ one > out.txt 2>&1 || flexbert merge merged/",
        "flexbert run FILE --shard I/N --json",
        "npx flexbert finetune --seed $SEED --task NAME",
        "for seed in 1 2; do flexbert upgrade; done",
        "```",
        "```text",
        "flexbert.json  it's no command",
        "flexbert pull",
        "```",
      ].join("\n"),
    );
    expect(lines.map(({ words }) => words.join(" "))).toEqual([
      "finetune --task rte --k x-9",
      "predict --text a # b --model merged/ one",
      "merge merged/",
      "run FILE --shard 1/2 --json",
      "finetune --seed 1 --task NAME",
      "upgrade",
      "pull",
      "finetune --epoch 3",
      "cache",
      "merge --out merged/ --no-onyx",
    ]);
    expect(await refused(lines)).toEqual([
      expect.stringMatching(/--k x-9.*--k "x-9": it takes /),
      expect.stringMatching(/flexbert merge merged.*too many arguments/),
      expect.stringMatching(/unknown command upgrade/),
      expect.stringMatching(/flexbert pull: .*missing required argument/),
      expect.stringMatching(/unknown option '--epoch'/),
      expect.stringMatching(/unknown option '--no-onyx'/),
    ]);
  });

  test.each(documents)("%s", async (file) => {
    expect(await refused(commandLinesOf(read(file)))).toEqual([]);
  });

  test.each(experiments)("comments of %s", async (file) => {
    expect(await refused(commandLinesOfComments(read(file)))).toEqual([]);
  });

  test("documents and experiments show command lines", () => {
    expect(documents.flatMap((file) => commandLinesOf(read(file))).length).toBeGreaterThan(50);
    for (const file of experiments) expect(commandLinesOfComments(read(file))).not.toEqual([]);
  });

  /** A command's name, how its examples may begin, and itself. A group's own name is that of what it does without one. */
  const entries = Object.entries(commands).flatMap(([name, entry]): [string, string[], CommandEntry][] =>
    isGroup(entry)
      ? Object.entries(entry.commands).map(([action, command]) => [
          `${name} ${action}`,
          [`${name} ${action}`, ...(action === entry.fallback ? [name] : [])],
          command,
        ])
      : [[name, [name], entry]],
  );

  test.each(entries)("examples in the help of %s", async (_, beginnings, { load }) => {
    const { examples } = await load();
    const begins = (line: string) => beginnings.some((name) => `${line} `.startsWith(`${name} `));
    expect(examples.filter((line) => !begins(line))).toEqual([]);
    expect(await refused(examples.flatMap((line) => commandLinesOfShell(`flexbert ${line}`)))).toEqual([]);
  });

  test("examples in the help of flexbert", async () => {
    let help = "";
    const out = { write: (text: string) => (help += text) };
    const program = await buildProgram(["--help"], shell(out));
    await expect(program.parseAsync(["--help"], { from: "user" })).rejects.toMatchObject({ exitCode: 0 });
    const lines = [...help.matchAll(/^ {2}(flexbert .*?)( {3,}.*)?$/gm)].map(([, line]) => line as string);
    expect(lines.length).toBeGreaterThan(3);
    expect(await refused(lines.flatMap(commandLinesOfShell))).toEqual([]);
  });
});

/** Where a document's links and pictures lead, code left out. */
function targetsOf(markdown: string): string[] {
  const prose = markdown.replace(/^( *)```.*?^\1```/gms, "").replace(/`[^`]*`/g, "");
  const inline = [...prose.matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)].map(
    ([, target]) => target as string,
  );
  const html = [...prose.matchAll(/\b(?:src|href)="([^"]+)"/g)].map(([, target]) => target as string);
  const references = [...prose.matchAll(/^ {0,3}\[[^\]]+\]:\s*<?(\S+?)>?\s*$/gm)].map(([, target]) => target as string);
  return [...inline, ...html, ...references];
}

/** The anchors that GitHub gives a document's headings. */
function anchorsOf(markdown: string): Set<string> {
  const seen = new Map<string, number>();
  const headings = markdown.replace(/^( *)```.*?^\1```/gms, "").matchAll(/^#{1,6} +(.+?) *#*$/gm);
  const anchors = [...headings].map(([, heading = ""]) => {
    const shown = heading.replace(/!?\[([^\]]*)\]\([^)]*\)/g, "$1").replace(/[`*]/g, "");
    const slug = shown
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, "")
      .replaceAll(" ", "-");
    const before = seen.get(slug) ?? 0;
    seen.set(slug, before + 1);
    return before === 0 ? slug : `${slug}-${before}`;
  });
  return new Set([...anchors, ...[...markdown.matchAll(/<a (?:id|name)="([^"]+)"/g)].map(([, id]) => id as string)]);
}

function brokenLinks(file: string, markdown: string): string[] {
  return targetsOf(markdown).filter((target) => {
    if (/^(https?:|mailto:)/.test(target)) return false;
    const [relative = "", anchor] = target.split("#");
    const linked = path.join(path.dirname(file), decodeURIComponent(relative));
    if (relative.startsWith("/") || linked.startsWith("..")) return true;
    const to = relative === "" ? file : linked;
    if (!existsSync(path.join(root, to))) return true;
    const content = relative === "" ? markdown : to.endsWith(".md") ? read(to) : "";
    return anchor !== undefined && !anchorsOf(content).has(anchor);
  });
}

describe("links", () => {
  test("wrong ones are found", () => {
    const markdown = [
      "# The `k` of a task, twice",
      "## The k of a task, twice",
      "[a](#the-k-of-a-task-twice-1) [b](README.md) [c](docs/files.md#no-such-heading) [d](nowhere.md) [e](../shared/x)",
      '<img src="docs/nothing.svg"> `[f](not-a-link.md)` [g](https://example.org/x) [h](#the-k) [i](/etc/passwd)',
    ].join("\n");
    expect(brokenLinks("README.md", markdown)).toEqual([
      "docs/files.md#no-such-heading",
      "nowhere.md",
      "../shared/x",
      "#the-k",
      "/etc/passwd",
      "docs/nothing.svg",
    ]);
  });

  test.each(documents)("of %s lead to files and headings", (file) => {
    expect(brokenLinks(file, read(file))).toEqual([]);
  });

  test.each([...documents, ...experiments])("%s points at nothing outside the repository", (file) => {
    const outside = /(\.\.\/)+shared\b|(?<![\w.~$}-])\/(home|root|work|tmp|Users|mnt)\/|\b[A-Z]:\\Users\\/;
    expect(
      read(file)
        .split("\n")
        .filter((line) => outside.test(line)),
    ).toEqual([]);
  });
});
