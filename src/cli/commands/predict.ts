// flexbert predict: texts or files in, labels with scores out, several tasks in one pass.

import { type OpenModel, openModel } from "../../api/open-model";
import { modelOptions } from "../../api/served-model";
import type { TextColumns } from "../../data/reading/reading";
import { dataError, usageError } from "../../errors/errors";
import { writeFileAtomic } from "../../files/atomic";
import { formatSeconds } from "../../messages/quantities";
import { counted } from "../../messages/words";
import { option, optional, toggle } from "../../options/option";
import { choice, text } from "../../options/readers";
import { settingsOf } from "../../options/settings";
import type { RowFile } from "../../predict/row-file";
import type { InputRow, PredictedRow } from "../../predict/rows";
import { taskOptions } from "../../settings/tasks";
import type { OffsetUnit } from "../../tasks/offset-unit";
import { defineCommand } from "../command";
import { offsetUnit } from "../offset-unit";
import { printedRows } from "../predicted-rows";
import type { Terminal } from "../terminal";

/** text=NAME,pair=NAME,id=NAME: a name may have commas of its own. */
function textColumns(given: unknown): TextColumns {
  const parts = text(given).split(/,(?=(?:text|pair|id)=)/);
  const columns = Object.fromEntries(
    parts.map((part) => [part.slice(0, part.indexOf("=")), part.slice(part.indexOf("=") + 1)]),
  );
  const { text: first, pair, id } = columns;
  const known = Object.keys(columns).every((key) => ["text", "pair", "id"].includes(key));
  if (!known || !first || pair === "" || id === "" || parts.length > Object.keys(columns).length) {
    throw new Error("columns by name, as text=NAME or text=NAME,pair=NAME,id=NAME");
  }
  return { text: first, ...(pair === undefined ? {} : { pair }), ...(id === undefined ? {} : { index: id }) };
}

export const predictCommand = defineCommand({
  description:
    "Each frozen layer runs once for all tasks asked for. Texts are arguments, --text, the rows of --file (TSV, CSV, JSON " +
    "lines, a JSON array or Parquet), or the lines of stdin, of which a tab divides a pair. A file of a task's is read as " +
    "the task says, and so is one that has its columns; else columns named text and, for pairs, pair are read, and id or " +
    "index is kept as id. Every row is predicted, in order, or none: a broken one is an error. Without --task, every task " +
    "that fits the input: single texts go to single-text tasks, pairs to pair tasks.\nThe columns of --format tsv are id " +
    "where the file has it, text, pair where the rows are pairs, those of --keep-columns, and each task's label and score; " +
    "a tab or line end inside a value becomes a space.",
  arguments: [{ name: "[texts...]", help: "single texts" }],
  options: {
    ...modelOptions,
    glueData: taskOptions.glueData,
    text: optional(text, { flag: "--text", value: "<text>", help: "one text" }),
    pair: optional(text, { flag: "--pair", value: "<text>", help: "the second text of a pair" }),
    file: optional(text, { flag: "--file", value: "<file>", help: "rows to predict; - for stdin" }),
    columns: optional(textColumns, {
      flag: "--columns",
      value: "<columns>",
      help: "the file's columns to read: text=NAME, and pair=NAME, id=NAME",
    }),
    quotes: optional(choice(["ordinary", "csv"]), {
      flag: "--quotes",
      value: "<quotes>",
      help: "whether a double quote is a character or CSV's (default csv in CSV, else as the task says)",
    }),
    keepColumns: toggle({ flag: "--keep-columns", help: "hand the file's other columns on to the output" }),
    format: option(choice(["table", "tsv", "jsonl"]), {
      flag: "--format",
      value: "<format>",
      help: "table, tsv or jsonl",
      fallback: "table",
    }),
    output: optional(text, { flag: "--output", value: "<file>", help: "write there instead of stdout" }),
    ...offsetUnit,
  },
  examples: [
    'predict --model merged/ --text "a moving film"',
    'predict --model merged/ --task rte,mrpc --text "A man plays." --pair "Someone plays."',
    "predict --model merged/ --file rows.tsv --format jsonl --output predictions.jsonl",
    "predict --model merged/ --file own.csv --columns text=message --keep-columns --format tsv",
    "predict --model merged/ --task intent --format tsv < texts.txt",
    "predict --model merged/ --task slots --format jsonl --offset-unit utf16 < texts.txt",
  ],
  async run(values, terminal, args) {
    const given = givenRows(values, args);
    const model = await openModel(settingsOf(modelOptions, values), terminal, given?.first);
    try {
      await predictRows(model, given ?? (await fileRows(model, values)), values, terminal);
    } finally {
      model.close();
    }
  },
});

interface InputValues {
  readonly text: string | undefined;
  readonly pair: string | undefined;
  readonly file: string | undefined;
  readonly columns: TextColumns | undefined;
  readonly quotes: "ordinary" | "csv" | undefined;
  readonly keepColumns: boolean;
  readonly glueData: string;
}

/** The rows of the command line itself; null where there are none. */
function givenRows(values: InputValues, args: readonly string[]): (RowFile & { first: InputRow[] }) | null {
  const { text, pair, file } = values;
  if (pair !== undefined && text === undefined) throw usageError("--pair is the second text of --text: give both");
  const given = [text !== undefined, file !== undefined, args.length > 0].filter(Boolean).length;
  if (given > 1) throw usageError("give texts in one way: as arguments, with --text, or with --file");
  const rows = text === undefined ? args.map((line) => ({ text: line, pair: null })) : [{ text, pair: pair ?? null }];
  if (rows.length === 0) {
    if (file === undefined && process.stdin.isTTY)
      throw usageError('nothing to predict: give a text, such as flexbert predict "a moving film"');
    return null;
  }
  const ofFiles = [values.columns && "--columns", values.quotes && "--quotes", values.keepColumns && "--keep-columns"];
  const idle = ofFiles.find((flag) => typeof flag === "string");
  if (idle !== undefined) throw usageError(`${idle} says how a file is read: give one with --file`);
  async function* each() {
    yield* rows;
  }
  return { rows: each(), first: rows.slice(0, 1), total: rows.length, ids: false, kept: [], notes: [] };
}

const fileRows = (model: OpenModel, { file, columns, quotes, keepColumns, glueData }: InputValues): Promise<RowFile> =>
  model.rowsOf(file === undefined || file === "-" ? process.stdin : file, { columns, quotes, keepColumns, glueData });

/** Columns of --keep-columns in a table, whose layout takes the square of their number. */
const MOST_SHOWN = 50;

interface OutputValues {
  readonly offsetUnit: OffsetUnit;
  readonly format: "table" | "tsv" | "jsonl";
  readonly output: string | undefined;
}

async function predictRows(
  model: OpenModel,
  file: RowFile,
  { format, output, offsetUnit: unit }: OutputValues,
  terminal: Terminal,
) {
  const { first, rows } = await firstOf(file.rows);
  // As tasksFor says it: there is nothing to predict.
  const tasks = model.tasksFor(first === null ? [] : [first]);
  const started = performance.now();
  let [count, tokens] = [0, 0];
  const onRows = (_: number, read: number) => {
    tokens += read;
  };
  async function* predicted(): AsyncGenerator<PredictedRow, void, undefined> {
    const names = tasks.map(({ name }) => name);
    for await (const row of model.predictEach(rows, { task: names, onRows, total: file.total ?? undefined })) {
      count++;
      yield row;
    }
    if (file.total !== null && count !== file.total) {
      throw dataError(`the file changed while it was read: it had ${file.total} rows, and ${count} were predicted`);
    }
  }
  if (format === "table" && !terminal.json && file.kept.length > MOST_SHOWN) {
    throw usageError(
      `--keep-columns keeps ${file.kept.length} columns, and a table for people has room for ${MOST_SHOWN}: give --format tsv or jsonl`,
    );
  }
  const shape = { tasks, ids: file.ids, pairs: first?.pair !== null, kept: file.kept, unit };
  const lines = printedRows(predicted(), shape, format === "table" && terminal.json ? "jsonl" : format);
  if (output === undefined) for await (const written of lines) terminal.print(written);
  else await writeFileAtomic(output, lines);
  const seconds = (performance.now() - started) / 1000;
  terminal.reporter.log(
    `${counted(count, "row")}, ${counted(tasks.length, "task")}, ${formatSeconds(seconds)}, ` +
      `${formatRate(count / seconds)} rows and ${formatRate(tokens / seconds)} tokens a second, ` +
      `engine ${model.engine}${output === undefined ? "" : `; written to ${output}`}`,
  );
}

/** Three digits, whole numbers from 100 on. */
const formatRate = (rate: number) => String(rate < 100 ? Number(rate.toPrecision(3)) : Math.round(rate));

/** The first row, and all of them again. */
async function firstOf(from: AsyncIterable<InputRow>) {
  const iterator = from[Symbol.asyncIterator]();
  const first = await iterator.next();
  async function* rows(): AsyncGenerator<InputRow, void, undefined> {
    if (!first.done) yield first.value;
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { first: first.done ? null : first.value, rows: rows() };
}
