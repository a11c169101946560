// Cases of a reader, one after the other: a file changed, a command run on it, and what a command must never do looked for.

import fc from "fast-check";
import { soakSeeds } from "../soak";
import type { CommandLine, Ended, Runner } from "./host";
import { type Drawn, drawn, type Reader } from "./readers";
import type { Workspace } from "./workspace";

interface Case {
  readonly file: number;
  readonly command: number;
  readonly drawn: Drawn;
  readonly terminal: boolean;
  readonly quiet: boolean;
}

const cases = fc.record({
  file: fc.nat(),
  command: fc.nat(),
  drawn,
  terminal: fc.boolean(),
  quiet: fc.boolean(),
});

/** A case that went wrong, by what is needed to do it again. */
export interface Fault {
  readonly seed: number;
  readonly number: number;
  readonly line: string;
  readonly file: string;
  readonly problems: readonly string[];
  readonly status: number | null;
  readonly stderr: string;
}

export const MOST_SECONDS = 10;
export const MOST_BYTES = 2 ** 30;

/** Runs a reader's cases of every seed, and returns those with faults. @param each sees every case as soon as it is done */
export async function campaign(
  reader: Reader,
  runs: number,
  workspace: Workspace,
  runner: Runner,
  each: (ended: Ended, fault: Fault | null) => void,
): Promise<Fault[]> {
  const faults: Fault[] = [];
  for (const seed of soakSeeds) {
    for (const [number, one] of fc.sample(cases, { seed, numRuns: runs }).entries()) {
      const file = reader.files[one.file % reader.files.length] as string;
      const line = lineOf(reader.commands(file), one.command).replaceAll("FILE", file);
      const content = reader.edit(workspace.read(file), one.drawn, file);
      const command = commandOf(line, content, { ...one, terminal: one.terminal && runner.terminals });
      const ended = await workspace.withFiles({ [file]: content }, () => runner.run(command));
      const written = (number + 1) % LOOKS === 0 || number + 1 === runs ? workspace.changes() : [];
      const problems = [
        ...problemsOf(ended, command, reader.codes),
        ...written.map((name) => `one of the last ${LOOKS} wrote ${name}`),
      ];
      const { status, stderr } = ended;
      const fault =
        problems.length === 0 ? null : { seed, number, line, file, problems, status, stderr: stderr.slice(0, 1_500) };
      if (fault) faults.push(fault);
      each(ended, fault);
    }
  }
  return faults;
}

const RARELY = "RARELY ";
/** After so many cases the workspace is looked over. */
const LOOKS = 50;
/** One of so many cases is of those that are drawn less often. */
const RARE = 25;

function lineOf(commands: readonly string[], nth: number): string {
  const [slow, quick] = [true, false].map((rare) => commands.filter((line) => line.startsWith(RARELY) === rare)) as [
    string[],
    string[],
  ];
  const from = slow.length > 0 && (quick.length === 0 || nth % RARE === 0) ? slow : quick;
  return (from[Math.floor(nth / RARE) % from.length] as string).replace(RARELY, "");
}

function commandOf(line: string, content: Uint8Array, { terminal, quiet }: Case): CommandLine {
  const args = line.split(" ").map((word) => (word === "the-film" ? "the film was good" : word));
  const taken = args.filter((word) => word !== "STDIN");
  const more = quiet ? ["--quiet"] : [];
  return { args: [...taken, ...more], terminal, ...(args.length > taken.length ? { stdin: content } : {}) };
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for
const OBEYED = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
const LONGEST_LINE = 5_000;

/** What the outcome of a command line has that none may have. */
export function problemsOf(ended: Ended, { args, terminal }: CommandLine, codes: readonly number[]): string[] {
  const { status, stdout, stderr, seconds, peakBytes } = ended;
  const problems: string[] = [];
  if (status === null) return [stderr.split("\n")[0] as string];
  if (!codes.includes(status)) problems.push(`exit code ${status}`);
  if (seconds > MOST_SECONDS) problems.push(`${seconds} s`);
  if (peakBytes > MOST_BYTES) problems.push(`${peakBytes} bytes of memory`);
  if (/^\s+at .*:\d+:\d+\)?$/m.test(stderr) || stderr.includes("a defect of flexbert")) problems.push("a stack");
  if (OBEYED.test(stderr)) problems.push("a control character on stderr");
  if (terminal && OBEYED.test(stdout)) problems.push("a control character on the terminal");
  const lines = stderr.split("\n").slice(0, -1);
  if (linesOf(lines, args).some((line) => line.length > LONGEST_LINE)) problems.push("an endless line");
  problems.push(...problemsOfLines(lines, status, args));
  if (status === 0 && args.includes("--json") && !isJson(stdout)) problems.push("stdout is no JSON");
  return problems;
}

/** As they are read: of an error in JSON those of its message. */
const linesOf = (lines: readonly string[], args: readonly string[]): readonly string[] =>
  args.includes("--json")
    ? lines.flatMap((line) =>
        line.startsWith('{"error"') && isJson(line) ? JSON.parse(line).error.message.split("\n") : [line],
      )
    : lines;

/** Warnings, then the error: one line, or a head with a line for each of several problems. */
function problemsOfLines(lines: readonly string[], status: number, args: readonly string[]): string[] {
  const asJson = args.includes("--json");
  const isError = (line: string) =>
    asJson ? /^\{"error":\{"message":.*\}\}$/.test(line) : line.startsWith("flexbert: ");
  const at = lines.findIndex(isError);
  if (status === 0) return at < 0 ? unexpected(lines, args) : ["an error, and exit code 0"];
  if (at < 0) return ["no error on stderr"];
  const [more, before] = [lines.slice(at + 1), lines.slice(0, at)];
  const listed = (line: string) => /^( {2}and \d+ more$| {2}line \d+: |--[\w-]+ |[\w./-]+\.yaml: )/.test(line);
  return more.every(listed)
    ? unexpected(before, args)
    : [`more than a line: ${JSON.stringify(more.find((line) => !listed(line))?.slice(0, 80))}`];
}

/** With --quiet nothing but warnings comes before the error. */
const unexpected = (lines: readonly string[], args: readonly string[]): string[] =>
  args.includes("--quiet") && !lines.every((line) => line.startsWith("warning: "))
    ? [
        `a line that is no warning: ${JSON.stringify(lines.find((line) => !line.startsWith("warning: "))?.slice(0, 80))}`,
      ]
    : [];

function isJson(text: string): boolean {
  const parses = (part: string) => {
    try {
      JSON.parse(part);
      return true;
    } catch {
      return false;
    }
  };
  return parses(text) || text.trimEnd().split("\n").every(parses);
}
