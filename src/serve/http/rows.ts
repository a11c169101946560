// What a body of POST /v1/predict asks for, and of which tasks.

import type { DecidedExits } from "../../exits/exits";
import { type OffsetUnit, offsetUnits } from "../../tasks/offset-unit";
import type { AskedRow } from "../ask";
import type { Served, VersionTask } from "../model/served";
import { ApiError, given } from "./errors";

export interface RowLimits {
  /** Rows of a request. */
  readonly maxRows: number;
  /** UTF-16 units of a text, a pair counted alone. */
  readonly maxText: number;
}

/** A row with the id that its owner gave it. */
export interface RequestRow extends AskedRow {
  readonly id?: string | number;
}

export interface PredictRequest {
  readonly rows: readonly RequestRow[];
  /** Whether the body has one row of its own, and not a list. */
  readonly single: boolean;
  /** Scores of as many labels, best first; null for all. */
  readonly topK: number | null;
  /** What offsets of spans count. */
  readonly offsetUnit: OffsetUnit;
  readonly stream: boolean;
}

const known = ["text", "pair", "tasks", "top_k", "offset_unit", "exit", "stream", "rows"];
const knownOfRow = ["text", "pair", "tasks", "id"];

/** Throws ApiError (422) for what it cannot take, (404) for a task that the version has not, (413) for too much of it. */
export function readPredictRequest(body: unknown, served: Served, limits: RowLimits): PredictRequest {
  const fields = objectOf(body, "the body", known);
  const { text, pair, rows, tasks, exit, stream = false } = fields;
  const { top_k: topK = null, offset_unit: offsetUnit = "codepoint" } = fields;
  if (topK !== null && !(Number.isSafeInteger(topK) && (topK as number) >= 1)) {
    throw invalid(`top_k is ${given(topK)}, not a whole number of at least 1`);
  }
  if (!offsetUnits.includes(offsetUnit as OffsetUnit)) {
    throw invalid(`offset_unit is ${given(offsetUnit)}, not ${offsetUnits.join(" or ")}`);
  }
  if (typeof stream !== "boolean") throw invalid(`stream is ${given(stream)}, not true or false`);
  const named = tasks === undefined ? undefined : namedTasks(tasks, served, "tasks");
  const shared = { topK: topK as number | null, offsetUnit: offsetUnit as OffsetUnit, stream };
  if (rows === undefined) {
    if (text === undefined) throw invalid('the body has neither "text" nor "rows"');
    return { rows: withExit([readRow({ text, pair }, "", served, named, limits)], exit), single: true, ...shared };
  }
  if (text !== undefined || pair !== undefined) throw invalid('the body has "rows" and a text of its own: give one');
  if (!Array.isArray(rows)) throw invalid(`rows is ${given(rows)}, not a list`);
  if (rows.length === 0) throw invalid("rows is empty");
  if (rows.length > limits.maxRows) {
    throw new ApiError(
      "too_large",
      `${rows.length} rows, and a request may have ${limits.maxRows}. Send them in parts`,
    );
  }
  const read = rows.map((row, i) => {
    const place = `rows[${i}]`;
    const own = objectOf(row, place, knownOfRow);
    const { id, tasks: ownTasks } = own;
    if (id !== undefined && typeof id !== "string" && typeof id !== "number") {
      throw invalid(`${place}.id is ${given(id)}, not a string or a number`);
    }
    // As it was read it has other digits than it was written with.
    if (typeof id === "number" && !(Math.abs(id) <= Number.MAX_SAFE_INTEGER)) {
      throw invalid(
        `${place}.id is a number of more than ${Number.MAX_SAFE_INTEGER}, which would not come back as it is. Give a string`,
      );
    }
    const wanted = ownTasks === undefined ? named : namedTasks(ownTasks, served, `${place}.tasks`);
    const asked = readRow(own, `${place}.`, served, wanted, limits);
    return id === undefined ? asked : { ...asked, id };
  });
  return { rows: withExit(read, exit), single: false, ...shared };
}

/** Rows that leave as a request says. Throws ApiError (422) for what no rule of the rows' tasks allows. */
export function withExit<Row extends AskedRow>(rows: readonly Row[], exit: unknown): readonly Row[] {
  if (exit === undefined) return rows;
  if (exit === "off") return rows.map((row) => ({ ...row, exit: -1 }));
  if (exit !== "on" && !(typeof exit === "number" && exit >= 0)) {
    throw invalid(`exit is ${given(exit)}, not "on", "off" or a number of at least 0`);
  }
  const tasks = [...new Set(rows.flatMap((row) => row.tasks))];
  const able = tasks.filter(({ exitRule }) => exitRule);
  if (able.length === 0) {
    throw invalid(
      `exit is ${given(exit)}, and this model has no early exits for ${tasks.map(({ name }) => name).join(", ")}`,
    );
  }
  if (exit === "on") return rows;
  const careful = able.find(({ exitRule }) => exit > (exitRule as DecidedExits).threshold);
  if (careful) {
    throw invalid(`exit is ${exit}, and ${careful.name} allows at most ${careful.exitRule?.threshold}`);
  }
  return rows.map((row) => ({ ...row, exit }));
}

export const invalid = (message: string) => new ApiError("invalid", message);

/** Fields of an object that a client gave, whatever its prototype is called. */
function objectOf(value: unknown, place: string, names: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalid(`${place} is ${given(value)}, not an object with ${names.map((name) => `"${name}"`).join(", ")}`);
  }
  const other = Object.keys(value).find((name) => !names.includes(name));
  if (other !== undefined) throw invalid(`${place} has ${given(other)}, and takes ${names.join(", ")}`);
  return value as Readonly<Record<string, unknown>>;
}

/** null is no pair, as absent. */
function readRow(
  { text, pair = null }: { readonly text?: unknown; readonly pair?: unknown },
  place: string,
  served: Served,
  named: readonly VersionTask[] | undefined,
  { maxText }: RowLimits,
): AskedRow {
  const read = (value: unknown, name: string): string => {
    if (typeof value !== "string") throw invalid(`${place}${name} is ${given(value)}, not a string`);
    if (value.length <= maxText) return value;
    throw new ApiError("too_large", `${place}${name} has ${value.length} characters, and a text may have ${maxText}`);
  };
  const row = { text: read(text, "text"), pair: pair === null ? null : read(pair, "pair") };
  return { ...row, tasks: fitting(row.pair !== null, served, named, place) };
}

/** The tasks that were named, all of which must take such a row; else every one that does. */
function fitting(
  isPair: boolean,
  served: Served,
  named: readonly VersionTask[] | undefined,
  place: string,
): readonly VersionTask[] {
  const inputs = isPair ? "pair" : "single";
  const fits = (task: VersionTask) => task.inputs === inputs;
  const [is, takes] = isPair ? ["a pair", "single texts"] : ["a single text", 'pairs: give "pair" too'];
  const where = place === "" ? "the input" : place.slice(0, -1);
  const tasks = named ?? served.tasks.filter(fits);
  const other = tasks.find((task) => !fits(task));
  if (other) throw new ApiError("task_does_not_fit", `${other.name} takes ${takes}, and ${where} is ${is}`);
  if (served.tasks.length === 0) throw new ApiError("task_does_not_fit", "this model has no tasks");
  if (tasks.length === 0) {
    throw new ApiError("task_does_not_fit", `${where} is ${is}, and every task of this model takes ${takes}`);
  }
  return tasks;
}

function namedTasks(value: unknown, served: Served, place: string): readonly VersionTask[] {
  if (!Array.isArray(value) || value.length === 0) throw invalid(`${place} is ${given(value)}, not a list of names`);
  const names = new Set(value);
  return [...names].map((name) => requireTask(served, name));
}

/** Throws ApiError (404) naming the tasks that there are. */
export function requireTask(served: Served, name: unknown): VersionTask {
  const task = typeof name === "string" ? served.task(name) : undefined;
  if (task) return task;
  const there = served.tasks.map((one) => one.name).join(", ") || "none";
  throw new ApiError("unknown_task", `this model has no task ${given(name)}. It has ${there}`);
}
