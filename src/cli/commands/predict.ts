// flexbert predict: texts or files in, labels with scores out, several tasks in one pass.

import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { modelOptions, openServedModel } from "../../api/open-model";
import { dataError, usageError } from "../../errors/errors";
import { writeFileAtomic } from "../../files/atomic";
import { formatSeconds } from "../../messages/quantities";
import { option, optional } from "../../options/option";
import { choice, text } from "../../options/readers";
import type { ServedTask } from "../../predict/model";
import { computeLogits, type Prediction, type Row, toPrediction } from "../../predict/predict";
import { defineCommand } from "../command";
import { type Terminal, table } from "../terminal";

/** Rows that are held at a time: a long file needs no more memory than a short one. */
const CHUNK = 4096;

export const predictCommand = defineCommand({
  summary: "labels and scores for texts, for several tasks in one pass",
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
    const names = values.task?.split(",").map((name) => name.trim());
    const asked = names?.map((name) => (name === "ax" ? "mnli" : name));
    const { model, context } = await openServedModel(values, asked, terminal);
    const tasks = fittingTasks(model.tasks, rows, names !== undefined, terminal);
    const started = performance.now();
    let tokens = 0;
    const onRows = (count: number, read: number) => {
      tokens += read;
      bar.advance(count);
    };
    const bar = terminal.reporter.progress("predict", rows.length);
    const print = printer(
      tasks,
      rows,
      values.format === "table" && terminal.json ? "jsonl" : values.format,
      terminal,
      values.output,
    );
    try {
      for (let at = 0; at < rows.length; at += CHUNK) {
        const chunk = rows.slice(at, at + CHUNK);
        const logits = await computeLogits(model, chunk, tasks, {
          signal: terminal.signal,
          onRows,
        });
        for (const [i, row] of chunk.entries()) {
          const predictions = tasks.map((task) => {
            const width = Math.max(1, task.labels.length);
            return toPrediction(task, (logits[task.name] as Float32Array).subarray(i * width, (i + 1) * width));
          });
          print.row(row, predictions);
        }
      }
    } finally {
      bar.end();
      model.dispose();
    }
    await print.end();
    const seconds = (performance.now() - started) / 1000;
    terminal.reporter.log(
      `${counted(rows.length, "row")}, ${counted(tasks.length, "task")}, ${formatSeconds(seconds)}, ${formatRate(rows.length / seconds)} rows and ` +
        `${formatRate(tokens / seconds)} tokens a second, ` +
        `engine ${context.engine.summary}${values.output === undefined ? "" : `; written to ${values.output}`}`,
    );
  },
});

const counted = (count: number, what: string) => `${count} ${what}${count === 1 ? "" : "s"}`;

/** Three digits, whole numbers from 100 on. */
const formatRate = (rate: number) => String(rate < 100 ? Number(rate.toPrecision(3)) : Math.round(rate));

/** A row with the id that its file gives it: written back, and no part of what is computed. */
interface InputRow extends Row {
  readonly id?: string | number;
}

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
  if (file !== undefined && file !== "-") return readFileRows(file);
  if (file === undefined && process.stdin.isTTY)
    throw usageError('nothing to predict: give a text, such as flexbert predict "a moving film"');
  const rows: Row[] = [];
  for await (const line of createInterface({ input: process.stdin })) rows.push(splitLine(line));
  return rows;
}

/** A line of stdin: a tab divides a pair. */
function splitLine(line: string): Row {
  const tab = line.indexOf("\t");
  return tab < 0 ? { text: line, pair: null } : { text: line.slice(0, tab), pair: line.slice(tab + 1) };
}

/** Columns of a header line that hold the texts, by the names that people give them. */
const textColumns = ["text", "sentence", "sentence1", "question", "question1", "premise", "text1"];
const pairColumns = ["pair", "sentence2", "question2", "hypothesis", "text2"];
const idColumns = ["id", "index", "idx"];

async function readFileRows(file: string): Promise<InputRow[]> {
  let content: string;
  try {
    content = await readFile(file, "utf8");
  } catch (error) {
    throw dataError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`, error);
  }
  if (/\.jsonl?$/.test(file)) return readJsonLines(file, content);
  const { default: Papa } = await import("papaparse"); // CommonJS: Node finds no names in it
  const tsv = !file.endsWith(".csv");
  const parsed = Papa.parse<string[]>(content.replace(/^\uFEFF/, ""), {
    delimiter: tsv ? "\t" : ",",
    skipEmptyLines: true,
    ...(tsv ? { quoteChar: "\u0000" } : {}),
  });
  const [head = [], ...lines] = parsed.data;
  const column = (wanted: readonly string[]) => head.findIndex((name) => wanted.includes(name.trim().toLowerCase()));
  const first = column(textColumns);
  const second = column(pairColumns);
  const id = column(idColumns);
  if (first < 0) {
    throw dataError(
      `${file} has no column of texts among ${head.join(", ")}. Name one of them text, and for pairs another one pair`,
    );
  }
  return lines.map((cells) => ({
    ...(id < 0 ? {} : { id: cells[id] ?? "" }),
    text: cells[first] ?? "",
    pair: second < 0 ? null : (cells[second] ?? ""),
  }));
}

function readJsonLines(file: string, content: string): InputRow[] {
  const lines = content.split("\n").map((line, i) => ({ line, number: i + 1 }));
  return lines
    .filter(({ line }) => line.trim() !== "")
    .map(({ line, number }) => {
      try {
        const row: Record<string, unknown> = JSON.parse(line);
        const text = textColumns.map((name) => row[name]).find((value) => typeof value === "string");
        const pair = pairColumns.map((name) => row[name]).find((value) => typeof value === "string");
        const id = idColumns.map((name) => row[name]).find((value) => ["string", "number"].includes(typeof value));
        if (typeof text !== "string") throw new Error("it has no text");
        return {
          ...(id === undefined ? {} : { id: id as string | number }),
          text,
          pair: typeof pair === "string" ? pair : null,
        };
      } catch (error) {
        throw dataError(`${file}, line ${number}: ${(error as Error).message}`, error);
      }
    });
}

/** The tasks whose inputs the rows have. Throws usageError (2) where a named task does not fit. */
function fittingTasks(
  tasks: readonly ServedTask[],
  rows: readonly Row[],
  named: boolean,
  terminal: Terminal,
): ServedTask[] {
  if (rows.length === 0) throw dataError("there are no rows to predict");
  const pairs = rows.filter(({ pair }) => pair !== null).length;
  if (pairs > 0 && pairs < rows.length)
    throw dataError(`${pairs} of ${rows.length} rows are pairs: predict pairs and single texts apart`);
  const inputs = pairs > 0 ? "pair" : "single";
  const other = inputs === "pair" ? "single texts" : "pairs";
  const fitting = tasks.filter((task) => task.inputs === inputs);
  const left = tasks.filter((task) => task.inputs !== inputs).map(({ name }) => name);
  if (fitting.length === 0 || (named && left.length > 0)) {
    const how = inputs === "single" ? " (--text A --pair B, or a file with a column pair)" : "";
    throw usageError(
      `${left.join(", ")} takes ${other}${how}, and the rows are ${inputs === "pair" ? "pairs" : "single texts"}`,
    );
  }
  if (left.length > 0) terminal.reporter.log(`left out, because they take ${other}: ${left.join(", ")}`);
  return fitting;
}

interface Printer {
  row(row: InputRow, predictions: readonly Prediction[]): void;
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
  const show = (prediction: Prediction) =>
    "value" in prediction ? [prediction.value.toFixed(3)] : [prediction.label, prediction.score.toFixed(4)];
  const emit = (line: string) => {
    if (output === undefined) terminal.print(line);
    else lines.push(line);
  };
  const emitCells = (cells: readonly string[]) => emit(cells.map(oneCell).join("\t"));
  const outputs = tasks.flatMap((task) =>
    task.kind === "regression" ? [task.name] : [task.name, `${task.name} score`],
  );
  const ids = input.some(({ id }) => id !== undefined);
  const pairs = input.some(({ pair }) => pair !== null);
  if (format === "tsv") emitCells([...(ids ? ["id"] : []), "text", ...(pairs ? ["pair"] : []), ...outputs]);
  return {
    row(row, predictions) {
      const cells = predictions.flatMap(show);
      if (format === "jsonl") {
        emit(
          JSON.stringify({
            ...row,
            predictions: Object.fromEntries(tasks.map((task, i) => [task.name, predictions[i]])),
          }),
        );
      } else if (format === "tsv") {
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
