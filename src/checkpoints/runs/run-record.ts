// Whether a run.json says what its readers rest on. People edit these files, and disks lose parts of them: that is
// worth a line that names the field, not a crash in a table. By hand, because zod takes as long to load as a status.

import { shown } from "../../errors/printable";
import { recordedProblem } from "../../options/settings";
import { maxLength, trainingSettings } from "../../settings/training";

/** The method of a branch that was not trained here. */
export const IMPORTED = "import";

type Check = (value: unknown, record: Readonly<Record<string, unknown>>) => boolean;

const isText: Check = (value) => typeof value === "string";
const isCount: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
const isScore: Check = (value) => value === null || Number.isFinite(value);
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isOneOf =
  (...allowed: readonly string[]): Check =>
  (value) =>
    allowed.includes(value as string);
const holds =
  (fields: Readonly<Record<string, Check>>): Check =>
  (value) =>
    isObject(value) && Object.entries(fields).every(([name, check]) => check(value[name], value));

const rows = holds({ sha256: isText, rows: isCount });

const fields: Readonly<Record<string, Check>> = {
  flexbert: (value) => value === undefined || isText(value, {}),
  id: isText,
  state: isOneOf("running", "stopped", "finished"),
  method: isText,
  task: isText,
  base: holds({ name: isText, sha256: isText, layers: isCount }),
  layers: isCount,
  fork: (value) => value === null || isCount(value, {}),
  full: (value) => typeof value === "boolean",
  seed: isCount,
  teacher: (value) => value === undefined || holds({ sha256: isText })(value, {}),
  taughtBy: (value) =>
    value === undefined || (Array.isArray(value) && value.every((one) => holds({ sha256: isText })(one, {}))),
  transfer: (value) => value === undefined || rows(value, {}),
  trainData: rows,
  devData: rows,
  score: isScore,
  // The metric that is the score: 0.1.0 did not name it, and it comes first among the metrics.
  metric: (value, { metrics, state }) =>
    value === undefined ? state !== "finished" || Object.keys(Object(metrics)).length > 0 : isText(value, {}),
  metrics: (value) => isObject(value) && Object.values(value).every((score) => isScore(score, {})),
  options: isObject,
  sha256: (value, { state }) => state !== "finished" || isText(value, {}),
};

/** The first field that is missing or wrong, in words; null where there is none. */
export function recordProblem(record: unknown): string | null {
  if (!isObject(record)) return "it holds no object";
  const wrong = Object.keys(fields).find((name) => !(fields[name] as Check)(record[name], record));
  if (wrong === undefined) return optionsProblem(record);
  return record[wrong] === undefined ? `it has no ${wrong}` : `its ${wrong} is ${shown(record[wrong])}`;
}

/** A branch that was imported was not trained here: of the options it has the length of its rows alone. */
function optionsProblem({ method, options }: Readonly<Record<string, unknown>>): string | null {
  const settings = method === IMPORTED ? maxLength : trainingSettings;
  return recordedProblem(settings, options as Readonly<Record<string, unknown>>);
}
