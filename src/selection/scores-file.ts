// A table of scores from elsewhere (--scores FILE.csv): columns task, base_layers, fork, layers, score; one row a
// candidate, in the order that breaks ties. Other columns are left alone. Scores are points or fractions throughout.

import Papa from "papaparse";
import { dataError } from "../errors/errors";
import { readWhole } from "../files/read-whole";
import { decodeText } from "../files/written-text";
import { didYouMean } from "../messages/nearest";
import type { Place } from "../model/place";
import { isNumber } from "../tasks/kinds/regression";
import { compareScores } from "../tasks/metrics";
import type { Candidate, TaskCandidates } from "./candidate";

const scoreUnits = ["points", "fractions"] as const;
export type ScoreUnit = (typeof scoreUnits)[number];

export interface ScoreTable {
  readonly tasks: readonly TaskCandidates[];
  readonly baseLayers: number;
  /** What the file's scores are in; candidates hold fractions. */
  readonly unit: ScoreUnit;
}

interface Row extends Place {
  readonly line: number;
  readonly task: string;
  readonly baseLayers: number;
  /** As written; null for nan. */
  readonly score: number | null;
}

interface Problem {
  readonly line: number;
  readonly reason: string;
}

const columns = ["task", "base_layers", "fork", "layers", "score"] as const;

/** A hundred tasks of a hundred candidates. */
const MOST_ROWS = 10_000;

/** Problems that an error names. */
const shownProblems = 4;

/** Throws dataError (3) naming the file, the lines and what is wrong with them. */
export async function readScores(file: string, unit: ScoreUnit | "auto"): Promise<ScoreTable> {
  const rows = toRows(await readText(file), file);
  const [first] = rows as [Row];
  const other = rows.find(({ baseLayers }) => baseLayers !== first.baseLayers);
  if (other) {
    throw dataError(
      `${file}: line ${other.line} has base_layers ${other.baseLayers}, line ${first.line} ${first.baseLayers}; ` +
        "one selection is of one base: split the file",
    );
  }
  const found = unit === "auto" ? unitOf(rows, file) : unit;
  checkRange(rows, found, file);
  const scale = found === "points" ? 100 : 1;
  const tasks = [...byTask(rows, file)].map(([task, own]) => ({ task, candidates: toCandidates(own, scale) }));
  return { tasks, baseLayers: first.baseLayers, unit: found };
}

function byTask(rows: readonly Row[], file: string): Map<string, Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const group = groups.get(row.task);
    if (group) group.push(row);
    else groups.set(row.task, [row]);
  }
  const spellings = new Map<string, string>();
  for (const task of groups.keys()) {
    const other = spellings.get(task.toLowerCase());
    if (other !== undefined) throw dataError(`${file} writes one task as ${other} and ${task}; use one spelling`);
    spellings.set(task.toLowerCase(), task);
  }
  return groups;
}

async function readText(file: string): Promise<string> {
  const bytes = await readWhole(file).catch((error: NodeJS.ErrnoException) => {
    throw dataError(`--scores ${file} cannot be read (${error.code}). Give a CSV file`, error);
  });
  const text = decodeText(bytes);
  if (text === null) throw dataError(`${file} is not UTF-8; save it as CSV in UTF-8`);
  return text;
}

function toRows(text: string, file: string): Row[] {
  const parsed = Papa.parse<string[]>(text, { delimiter: ",", skipEmptyLines: false });
  const [head, ...lines] = parsed.data.map((cells) => cells.map((cell) => cell.trim()));
  const header = head ?? [];
  const twice = columns.find((name) => header.indexOf(name) !== header.lastIndexOf(name));
  const missing = columns.find((name) => !header.includes(name));
  if (twice ?? missing) {
    const hint = missing === undefined ? "" : didYouMean(missing, header);
    const what = twice === undefined ? `has no column ${missing}${hint}` : `has two columns ${twice}`;
    throw dataError(`${file} ${what}. Its first line must be: ${columns.join(",")}`);
  }
  if (lines.length > MOST_ROWS) {
    throw dataError(`${file} has more than ${MOST_ROWS} rows: a row is a candidate, not a prediction`);
  }
  const rows: Row[] = [];
  const problems: Problem[] = [];
  for (const [i, cells] of lines.entries()) {
    if (cells.every((cell) => cell === "")) continue;
    const line = i + 2;
    const broken = parsed.errors.find(({ row }) => row === i + 1);
    const row = broken ? broken.message : toRow(cells, header, line);
    if (typeof row === "string") problems.push({ line, reason: row });
    else rows.push(row);
  }
  if (problems.length > 0) throw badLines(file, problems);
  if (rows.length === 0) throw dataError(`${file} has no row under its header; write one row a candidate`);
  return rows;
}

/** The row, or what is wrong with it. */
function toRow(cells: readonly string[], header: readonly string[], line: number): Row | string {
  if (cells.length !== header.length) return `${cells.length} cells under ${header.length} columns`;
  const cell = (name: (typeof columns)[number]) => cells[header.indexOf(name)] as string;
  const task = cell("task");
  if (task === "") return "task is empty";
  if (/\p{Cc}/u.test(task)) return `task ${JSON.stringify(task)} holds a control character`;
  const baseLayers = wholeNumber(cell("base_layers"));
  const layers = wholeNumber(cell("layers"));
  const fork = /^none$/i.test(cell("fork")) ? null : wholeNumber(cell("fork"));
  if (!baseLayers) return `base_layers "${cell("base_layers")}" is no number of layers from 1 to 1000`;
  if (fork === undefined) return `fork "${cell("fork")}" is neither a number of layers nor none`;
  // A head alone stands on all of the frozen layers; what shares none has some of its own.
  const least = fork === null ? 1 : 0;
  if (layers === undefined || layers < least)
    return `layers "${cell("layers")}" is no number of layers from ${least} to 1000`;
  if ((fork ?? 0) + layers > baseLayers)
    return `${layers} layers above fork ${fork ?? "none"} are more than the base's ${baseLayers}`;
  const score = toScore(cell("score"));
  if (score === undefined)
    return `score "${cell("score")}" is no number; write digits and a point, or nan where it is undefined`;
  return { line, task, baseLayers, fork, layers, score };
}

/** 7, or 7.0 as tables of numbers are often saved; undefined for anything else. */
function wholeNumber(cell: string): number | undefined {
  const value = /^\d+(\.0*)?$/.test(cell) ? Number(cell) : Number.NaN;
  return value <= 1000 ? value : undefined;
}

function toScore(cell: string): number | null | undefined {
  if (/^(nan|null)$/i.test(cell)) return null;
  const value = isNumber(cell) ? Number(cell) : Number.NaN;
  return Number.isFinite(value) ? value : undefined;
}

/**
 * Fractions where no score is beyond 1, points where every one is: 0 is the same in both. A file with scores of either
 * kind is refused: 0.8 may be 0.8 points or 80.
 */
function unitOf(rows: readonly Row[], file: string): ScoreUnit {
  const scored = rows.filter(({ score }) => score !== null && score !== 0);
  const points = scored.find(({ score }) => Math.abs(score as number) > 1);
  const fraction = scored.find(({ score }) => Math.abs(score as number) <= 1);
  if (points && fraction) {
    throw dataError(
      `${file}: line ${fraction.line} has the score ${fraction.score}, line ${points.line} ${points.score}: ` +
        "points or fractions? Use one of them throughout, or say --score-unit points",
    );
  }
  return points ? "points" : "fractions";
}

function checkRange(rows: readonly Row[], unit: ScoreUnit, file: string): void {
  const most = unit === "points" ? 100 : 1;
  const problems = rows
    .filter(({ score }) => Math.abs(score ?? 0) > most)
    .map(({ line, score }) => ({ line, reason: `score ${score} is beyond ${most}, the most in ${unit}` }));
  if (problems.length > 0) throw badLines(file, problems);
}

function badLines(file: string, problems: readonly Problem[]): Error {
  const shown = problems.slice(0, shownProblems).map(({ line, reason }) => `line ${line}: ${reason}`);
  if (problems.length > shownProblems) shown.push(`and ${problems.length - shownProblems} more`);
  return dataError(`${file}: ${shown.join("; ")}`);
}

/** The largest candidate stands for the teacher: a table does not say which it is. */
function toCandidates(rows: readonly Row[], scale: number): Candidate[] {
  let teacher: Row | undefined;
  for (const row of rows.filter(({ fork }) => fork !== null)) {
    const more = teacher ? row.layers - teacher.layers || compareScores(row.score, teacher.score) : 1;
    if (more > 0) teacher = row;
  }
  return rows.map((row) => ({
    role: row.fork === null ? "unshared" : row === teacher ? "teacher" : "student",
    fork: row.fork,
    layers: row.layers,
    score: row.score === null ? null : row.score / scale,
  }));
}
