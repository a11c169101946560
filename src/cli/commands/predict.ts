// flexbert predict: texts or files in, labels with scores out, several tasks in one pass.

import { createInterface } from "node:readline";
import { openModel } from "../../api/open-model";
import { modelOptions } from "../../api/served-model";
import { usageError } from "../../errors/errors";
import { writeFileAtomic } from "../../files/atomic";
import { formatSeconds } from "../../messages/quantities";
import { counted } from "../../messages/words";
import { option, optional } from "../../options/option";
import { choice, text } from "../../options/readers";
import { settingsOf } from "../../options/settings";
import type { ServedTask } from "../../predict/model";
import type { InputRow, PredictedRow } from "../../predict/rows";
import type { Prediction } from "../../tasks/kinds/kind";
import { defineCommand } from "../command";
import { type Terminal, table } from "../terminal";

export const predictCommand = defineCommand({
  description:
    "Each frozen layer runs once for all tasks asked for. Texts are arguments, --text, the rows of --file (TSV, CSV or " +
    "JSONL with text and, for pairs, pair; a column id or index is kept as id), or the lines of stdin. Without --task, " +
    "every task that fits the input: single texts go to single-text tasks, pairs to pair tasks.\nThe columns of " +
    "--format tsv are id where the file has it, text, pair where the rows are pairs, and each task's label and score; " +
    "a tab or line end inside a value becomes a space.",
  arguments: [{ name: "[texts...]", help: "single texts" }],
  options: {
    ...modelOptions,
    text: optional(text, { flag: "--text", value: "<text>", help: "one text" }),
    pair: optional(text, { flag: "--pair", value: "<text>", help: "the second text of a pair" }),
    file: optional(text, { flag: "--file", value: "<file>", help: "rows to predict; - for stdin" }),
    format: option(choice(["table", "tsv", "jsonl"]), {
      flag: "--format",
      value: "<format>",
      help: "table, tsv or jsonl",
      fallback: "table",
    }),
    output: optional(text, { flag: "--output", value: "<file>", help: "write there instead of stdout" }),
  },
  examples: [
    'predict --model merged/ --text "a moving film"',
    'predict --model merged/ --task rte,mrpc --text "A man plays." --pair "Someone plays."',
    "predict --model merged/ --file rows.tsv --format jsonl --output predictions.jsonl",
    "predict --model merged/ --task intent --format tsv < texts.txt",
  ],
  async run(values, terminal, args) {
    const rows = await readRows(values, args);
    const model = await openModel(settingsOf(modelOptions, values), terminal);
    try {
      const tasks = model.tasksFor(rows);
      const started = performance.now();
      let tokens = 0;
      const onRows = (_: number, read: number) => {
        tokens += read;
      };
      const format = values.format === "table" && terminal.json ? "jsonl" : values.format;
      const print = printer(tasks, rows, format, terminal, values.output);
      for await (const row of model.predictEach(rows, { task: tasks.map(({ name }) => name), onRows })) print.row(row);
      await print.end();
      const seconds = (performance.now() - started) / 1000;
      terminal.reporter.log(
        `${counted(rows.length, "row")}, ${counted(tasks.length, "task")}, ${formatSeconds(seconds)}, ` +
          `${formatRate(rows.length / seconds)} rows and ${formatRate(tokens / seconds)} tokens a second, ` +
          `engine ${model.engine}${values.output === undefined ? "" : `; written to ${values.output}`}`,
      );
    } finally {
      model.close();
    }
  },
});

/** Three digits, whole numbers from 100 on. */
const formatRate = (rate: number) => String(rate < 100 ? Number(rate.toPrecision(3)) : Math.round(rate));

interface InputValues {
  readonly text: string | undefined;
  readonly pair: string | undefined;
  readonly file: string | undefined;
}

async function readRows({ text, pair, file }: InputValues, args: readonly string[]): Promise<InputRow[]> {
  if (pair !== undefined && text === undefined) throw usageError("--pair is the second text of --text: give both");
  const given = [text !== undefined, file !== undefined, args.length > 0].filter(Boolean).length;
  if (given > 1) throw usageError("give texts in one way: as arguments, with --text, or with --file");
  if (text !== undefined) return [{ text, pair: pair ?? null }];
  if (args.length > 0) return args.map((line) => ({ text: line, pair: null }));
  if (file !== undefined && file !== "-") return (await import("../../predict/row-file.js")).readRowFile(file);
  if (file === undefined && process.stdin.isTTY)
    throw usageError('nothing to predict: give a text, such as flexbert predict "a moving film"');
  const rows: InputRow[] = [];
  for await (const line of createInterface({ input: process.stdin })) rows.push(splitLine(line));
  return rows;
}

/** A line of stdin: a tab divides a pair. */
function splitLine(line: string): InputRow {
  const tab = line.indexOf("\t");
  return tab < 0 ? { text: line, pair: null } : { text: line.slice(0, tab), pair: line.slice(tab + 1) };
}

interface Printer {
  row(row: PredictedRow): void;
  end(): Promise<void>;
}

/** A value as one cell of one line. */
const oneCell = (value: string) => value.replace(/\r\n|[\t\r\n]/g, " ");

function printer(
  tasks: readonly ServedTask[],
  input: readonly InputRow[],
  format: "table" | "tsv" | "jsonl",
  terminal: Terminal,
  output?: string,
): Printer {
  const lines: string[] = [];
  const rows: string[][] = [];
  const emit = (line: string) => {
    if (output === undefined) terminal.print(line);
    else lines.push(line);
  };
  const emitCells = (cells: readonly string[]) => emit(cells.map(oneCell).join("\t"));
  const outputs = tasks.flatMap(({ kind, name }) => kind.columns(name));
  const ids = input.some(({ id }) => id !== undefined);
  const pairs = input.some(({ pair }) => pair !== null);
  if (format === "tsv") emitCells([...(ids ? ["id"] : []), "text", ...(pairs ? ["pair"] : []), ...outputs]);
  return {
    row(row) {
      const cells = tasks.flatMap(({ kind, name }) => kind.cells(row.predictions[name] as Prediction));
      if (format === "jsonl") emit(JSON.stringify(row));
      else if (format === "tsv") {
        emitCells([...(ids ? [String(row.id ?? "")] : []), row.text, ...(pairs ? [row.pair ?? ""] : []), ...cells]);
      } else {
        const written = oneCell(row.pair === null ? row.text : `${row.text} | ${row.pair}`);
        rows.push([written.length > 60 ? `${written.slice(0, 59)}…` : written, ...cells]);
      }
    },
    async end() {
      if (format === "table") emit(table(["text", ...outputs], rows));
      if (output !== undefined) await writeFileAtomic(output, `${lines.join("\n")}\n`);
    },
  };
}
