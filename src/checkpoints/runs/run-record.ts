// Whether a run.json says what its readers rest on: every field that any of them reads, here and nowhere else. People edit
// these files, and disks lose parts of them: that is worth a line that names the field, not a crash in a table. By hand,
// because zod takes as long to load as a status.

import { printable, shown } from "../../errors/printable";
import { isCount } from "../../files/json";
import { MOST_LAYERS } from "../../model/config";
import { familyNames } from "../../model/families/families";
import { recordedProblem } from "../../options/settings";
import { maxLength, trainingSettings } from "../../settings/training";
import { isTuned } from "./tuned";

/** The method of a branch that was not trained here. */
export const IMPORTED = "import";

/** The method of a model that several tasks trained together, and of their heads, which lie among the runs of fine-tuning. */
export const JOINT = "joint";

type Fields = Readonly<Record<string, unknown>>;

/** The part of a value that is wrong: where it lies in it (".trainTokens.own", "[2]", "" for all of it), and what it is. */
interface Wrong {
  readonly at: string;
  readonly value: unknown;
}

type Check = (value: unknown) => Wrong | null;

const check =
  (holds: (value: unknown) => boolean): Check =>
  (value) =>
    holds(value) ? null : { at: "", value };

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Metrics are fractions; a correlation may be an ulp above 1. */
const HIGHEST_SCORE = 1 + 1e-9;

const text = check((value) => typeof value === "string");
const name = check((value) => typeof value === "string" && value !== "");
const hash = check((value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value));
const bool = check((value) => typeof value === "boolean");
const count = check(isCount);
const positive = check((value) => isCount(value) && value !== 0);
const depth = check((value) => isCount(value) && value <= MOST_LAYERS);
const layers = check((value) => isCount(value) && value !== 0 && value <= MOST_LAYERS);
const amount = check((value) => Number.isFinite(value) && (value as number) >= 0);
const fraction = check((value) => Number.isFinite(value) && Math.abs(value as number) <= HIGHEST_SCORE);
/** "" until it has begun. */
const time = check((value) => typeof value === "string" && /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z)?$/.test(value));
const distinct = check((value) => Array.isArray(value) && new Set(value).size === value.length);

const oneOf = (...allowed: readonly string[]) => check((value) => allowed.includes(value as string));

const optional =
  (inner: Check): Check =>
  (value) =>
    value === undefined ? null : inner(value);

const orNull =
  (inner: Check): Check =>
  (value) =>
    value === null ? null : inner(value);

const both =
  (first: Check, second: Check): Check =>
  (value) =>
    first(value) ?? second(value);

/** An object with these keys, and whatever others. */
const object =
  (fields: Readonly<Record<string, Check>>): Check =>
  (value) => {
    if (!isObject(value)) return { at: "", value };
    for (const [key, inner] of Object.entries(fields)) {
      const wrong = inner(value[key]);
      if (wrong) return { at: `.${key}${wrong.at}`, value: wrong.value };
    }
    return null;
  };

/** An object of any keys whose values are alike. */
const values =
  (inner: Check): Check =>
  (value) =>
    isObject(value)
      ? object(Object.fromEntries(Object.keys(value).map((key) => [key, inner])))(value)
      : { at: "", value };

const list =
  (inner: Check): Check =>
  (value) => {
    if (!Array.isArray(value)) return { at: "", value };
    for (const [i, one] of value.entries()) {
      const wrong = inner(one);
      if (wrong) return { at: `[${i}]${wrong.at}`, value: wrong.value };
    }
    return null;
  };

const score = orNull(fraction);
const rows = object({ sha256: name, rows: count, skipped: count, limit: optional(positive) });
const teacher = object({ id: name, folder: text, sha256: hash, score });

/** What a recipe of one's own recorded; those of flexbert are read by their definitions. */
const plain = orNull(check((value) => ["string", "boolean"].includes(typeof value) || Number.isFinite(value)));
const setting: Check = (value) => (Array.isArray(value) ? list(plain)(value) : plain(value));

const cost = object({
  trainTokens: object({ own: count, bucketed: count, longest: count, maxLength: count }),
  devTokens: count,
  buckets: list(positive),
  trunk: orNull(object({ layerTokens: count, seconds: amount })),
  joules: orNull(amount),
});

/** As 0.1.0 wrote them; what came later is optional. */
const fields: Readonly<Record<string, Check>> = {
  flexbert: optional(text),
  id: name,
  state: oneOf("running", "stopped", "finished"),
  method: name,
  task: name,
  base: object({ name, sha256: hash, layers, family: optional(oneOf(...familyNames)), lowerCase: optional(bool) }),
  layers: depth,
  fork: orNull(depth),
  full: bool,
  seed: count,
  teacher: optional(teacher),
  taughtBy: optional(list(teacher)),
  init: optional(oneOf("teacher", "pretrained")),
  initLayers: optional(oneOf("bottom", "top", "spread")),
  transfer: optional(object({ sha256: hash, rows: count, from: list(text) })),
  trainData: rows,
  devData: rows,
  labels: both(list(text), distinct),
  metric: optional(name),
  stopped: optional(object({ search: oneOf("halving", "auto"), epoch: count, score })),
  score,
  metrics: values(score),
  tuned: optional(check(isTuned)),
  bestEpoch: orNull(count),
  steps: count,
  trained: optional(positive),
  options: values(setting),
  sha256: optional(hash),
  engine: text,
  threads: count,
  seconds: amount,
  compiled: optional(object({ times: positive, seconds: amount })),
  tokensPerSecond: orNull(amount),
  cost: optional(cost),
  startedAt: time,
  finishedAt: optional(time),
};

/** The first thing in it that is missing, wrong or contradicts another, in words; null where there is none. */
export function recordProblem(record: unknown): string | null {
  if (!isObject(record)) return "it holds no object";
  for (const [field, inner] of Object.entries(fields)) {
    const wrong = inner(record[field]);
    if (!wrong) continue;
    const where = printable(field + wrong.at);
    return wrong.value === undefined ? `it has no ${where}` : `its ${where} is ${shown(wrong.value)}`;
  }
  const checked = record as unknown as CheckedFields;
  return (
    optionsProblem(checked) ?? placeProblem(checked) ?? (record["state"] === "finished" ? scoreProblem(checked) : null)
  );
}

/** What the fields are that the relations between them rest on. */
interface CheckedFields {
  readonly method: string;
  readonly base: { readonly layers: number };
  readonly fork: number | null;
  readonly full: boolean;
  readonly layers: number;
  readonly teacher?: object;
  readonly options: Fields;
  readonly metric?: string;
  readonly metrics: Readonly<Record<string, number | null>>;
  readonly score: number | null;
  readonly labels: readonly string[];
  readonly tuned?: { readonly thresholds: readonly number[] };
  readonly sha256?: string;
}

/** A branch that was imported was not trained here: of the options it has the length of its rows alone. */
function optionsProblem({ method, options }: CheckedFields): string | null {
  return recordedProblem(method === IMPORTED ? maxLength : trainingSettings, options);
}

/** A student that has embeddings of its own may have fewer layers than the base. */
function placeProblem({ base, fork, full, layers, teacher }: CheckedFields): string | null {
  if (full !== (fork === null)) return `its full is ${full}, its fork ${fork}`;
  const whole = teacher ? layers > 0 && layers <= base.layers : layers === base.layers;
  const wanted = fork === null ? whole : fork + layers <= base.layers;
  return wanted ? null : `its layers are ${layers} and its fork ${fork}, of a base of ${base.layers} layers`;
}

/** Of a finished run. 0.1.0 did not name the metric that is the score: it comes first among the metrics. */
function scoreProblem({ sha256, metric: named, metrics, score: own, labels, tuned }: CheckedFields): string | null {
  if (sha256 === undefined) return "it has no sha256";
  if (tuned && tuned.thresholds.length !== labels.length) {
    return `it has ${labels.length} labels and ${tuned.thresholds.length} tuned.thresholds`;
  }
  const metric = named ?? Object.keys(metrics)[0];
  if (metric === undefined) return "it has no metric";
  if (!Object.hasOwn(metrics, metric)) return `it has no metrics.${printable(metric)}`;
  const value = metrics[metric];
  return value === own ? null : `its score is ${own}, its metrics.${printable(metric)} ${value}`;
}
