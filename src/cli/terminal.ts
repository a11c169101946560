// What a command sees of the terminal: results go to stdout, logs and progress to stderr. Bars with an ETA on a
// terminal, plain lines elsewhere, nothing with --quiet.

import { createColors } from "picocolors";
import { forTerminal, messageLine } from "../errors/printable";
import { formatSeconds } from "../messages/quantities";
import type { ProgressBar, Reporter } from "../messages/reporter";
import type { Recipes } from "../recipes/recipe";

export interface OutputStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
}

export interface Streams {
  readonly out: OutputStream;
  readonly err: OutputStream;
}

/** Work that stops by itself, with its state saved, asks for the signal; from then on Ctrl-C leaves it to do so. */
export interface Interruption {
  readonly signal: AbortSignal;
}

export interface Terminal {
  readonly reporter: Reporter;
  /** Aborted by Ctrl-C. Before anybody has read it, Ctrl-C ends the process at once. */
  readonly signal: AbortSignal;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  /** The training methods that there are. */
  readonly recipes: Recipes;
  /** A line or more on stdout. */
  print(text: string): void;
  /** One JSON document on stdout. */
  printJson(value: unknown): void;
}

/** Seconds between two lines of progress where there is no terminal. */
const LINE_EVERY = 10;

export function createTerminal(
  streams: Streams,
  interruption: Interruption,
  { json, quiet, verbose }: { json: boolean; quiet: boolean; verbose: boolean },
  recipes: Recipes,
): Terminal {
  const { err } = streams;
  const colours = coloursOf(err);
  let bars = 0;
  // A bar leaves the cursor at its end: a line takes its place, and the position that the bar goes back to moves down.
  const writeLine = (line: string) => void err.write(bars > 0 ? `\r\x1b[2K${line}\n\x1b7` : `${line}\n`);
  // Data for a file or a program goes out as it is; what a terminal shows does not.
  const shown = (text: string) => (streams.out.isTTY ? forTerminal(text) : text);
  const log = (line: string) => {
    if (!quiet) writeLine(messageLine(line));
  };
  const reporter: Reporter = {
    log,
    warn: (line) => writeLine(`${colours.yellow("warning:")} ${messageLine(line)}`),
    progress(label, total, done = 0) {
      if (quiet) return { advance: () => undefined, end: () => undefined };
      if (!showsBars(err)) return lineProgress(log, label, total, done);
      bars++;
      const bar = barProgress(err, label, total, done);
      return {
        advance: bar.advance,
        end() {
          bar.end();
          bars--;
        },
      };
    },
  };
  return {
    reporter,
    get signal() {
      return interruption.signal;
    },
    json,
    quiet,
    verbose,
    recipes,
    print: (text) => void streams.out.write(shown(text.endsWith("\n") ? text : `${text}\n`)),
    printJson: (value) => void streams.out.write(shown(`${JSON.stringify(value, null, 2)}\n`)),
  };
}

/** Colours where the stream is a terminal, unless NO_COLOR or TERM=dumb say no; FORCE_COLOR says yes anywhere. */
export function coloursOf(stream: OutputStream) {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env;
  const forced = FORCE_COLOR !== undefined && FORCE_COLOR !== "0";
  return createColors(!NO_COLOR && (forced || (stream.isTTY === true && TERM !== "dumb")));
}

function showsBars(stream: OutputStream): boolean {
  const { CI, TERM } = process.env;
  return stream.isTTY === true && (!CI || CI === "false") && TERM !== "dumb";
}

/** A line every few seconds; short work says nothing. */
function lineProgress(log: (line: string) => void, label: string, total: number, from: number): ProgressBar {
  const started = performance.now();
  let done = from;
  let lastLine = started;
  return {
    advance(amount, note) {
      done += amount;
      const now = performance.now();
      if (now - lastLine < LINE_EVERY * 1000 || done >= total) return;
      lastLine = now;
      const left = ((now - started) / 1000 / Math.max(1, done - from)) * (total - done);
      log(`${label}: ${done} of ${total}, ${formatSeconds(left)} left${note ? `, ${note}` : ""}`);
    },
    end: () => undefined,
  };
}

function barProgress(stream: OutputStream, label: string, total: number, from: number): ProgressBar {
  // Loaded late: a command that shows no bar does not need it.
  const { SingleBar, Presets } = require("cli-progress") as typeof import("cli-progress");
  const bar = new SingleBar(
    {
      format: `${label} [{bar}] {value}/{total} | {eta_formatted} left | {note}`,
      clearOnComplete: true,
      // Lines come between two drawings of an unchanged bar.
      forceRedraw: true,
      stream: stream as NodeJS.WriteStream,
      // The ETA follows the last steps: the first ones compile and warm up.
      etaBuffer: 20,
    },
    Presets.legacy,
  );
  bar.start(total, from, { note: "" });
  return {
    advance: (amount, note) => bar.increment(amount, { note: note ?? "" }),
    end: () => bar.stop(),
  };
}

/** Rows from which a table is laid out here: cli-table3 takes minutes for ten thousand. */
export const LONG = 1000;

/** A table for people: the first row is the head. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  if (rows.length >= LONG)
    return longTable(
      head,
      rows,
      head.map(() => 0),
    ).text;
  const Table = require("cli-table3") as typeof import("cli-table3");
  const built = new Table({
    head: [...head],
    // No frames: tables are read, copied and piped.
    chars: Object.fromEntries(
      [
        "top",
        "top-mid",
        "top-left",
        "top-right",
        "bottom",
        "bottom-mid",
        "bottom-left",
        "bottom-right",
        "left",
        "left-mid",
        "mid",
        "mid-mid",
        "right",
        "right-mid",
      ]
        .map((part) => [part, ""])
        .concat([["middle", "  "]]),
    ),
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
  });
  for (const row of rows) built.push(row.map((cell) => forTerminal(String(cell))));
  return built
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/**
 * The same layout, with every character as wide as any other.
 * @param head null where it was printed before
 * @param least widths of columns that stand above
 */
export function longTable(
  head: readonly string[] | null,
  rows: readonly (readonly (string | number)[])[],
  least: readonly number[],
): { readonly text: string; readonly widths: readonly number[] } {
  const cells = [...(head ? [head] : []), ...rows].map((row) => row.map((cell) => forTerminal(String(cell))));
  const widths = least.map((width, column) =>
    cells.reduce((most, row) => Math.max(most, row[column]?.length ?? 0), width),
  );
  const line = (row: readonly string[]) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ");
  return { text: cells.map((row) => line(row).trimEnd()).join("\n"), widths };
}
