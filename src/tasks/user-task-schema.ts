// The shape of a tasks file (tasks.yaml), for validation and as JSON Schema for editors.
// What a schema cannot say (labels or a range, metrics that fit the kind) is in user-task-problems.ts.
// Loads zod, which takes 0.1 s: import it only where a tasks file is read.

import { z } from "zod";
import { type Format, formatByName, formats } from "./format";
import { type Kind, type Kinds, labelPieces } from "./kinds/kind";
import { offsetUnits } from "./offset-unit";
import { schemes } from "./tags";
import { TUNED } from "./thresholds";
import { wordRules } from "./words";

const column = z
  .union([z.string().min(1), z.int().min(0)], { error: "must be a column's name, or its position from 0" })
  .describe("Name in the header (key, in JSONL), or position from 0 where header is false");

const spelling = z
  .union([z.string(), z.number(), z.boolean()], { error: "must be text or a number" })
  .transform(String)
  .describe("Compared as text: write it as it stands in the files");

const label = z.union(
  [spelling, z.strictObject({ name: spelling, written: spelling.describe("How the files write this label") })],
  { error: 'must be a label, or {name: negative, written: "0"} where the files write it differently' },
);

/** `labels:` of a task whose train file says what labels there are. */
export const FROM_DATA = "from-data";

const labels = z.union([z.array(label).min(1), z.literal(FROM_DATA)], {
  error: `must be a list of labels, or ${FROM_DATA}`,
});

const filesEntry = z
  .strictObject({ train: z.string().min(1), dev: z.string().min(1), test: z.string().min(1) })
  .partial()
  .describe("Paths relative to the tasks file");

const columnsEntry = z.strictObject({
  text: column,
  pair: column.optional().describe("The second text, for a task on pairs"),
  label: column.describe("Label or value; a test file may lack it"),
  index: column.optional().describe("Row ids to repeat in predictions"),
});

/** Of all kinds, each once. */
const metricNames = (kinds: Kinds) => [...new Set(Object.values(kinds).flatMap(({ metrics }) => Object.keys(metrics)))];

export const firstMetric = ({ metrics }: Kind) => Object.keys(metrics)[0] as string;

const listed = (kinds: Kinds, describe: (kind: Kind) => string) => Object.values(kinds).map(describe).join(", ");

const namesOf = (kinds: Kinds, fits: (kind: Kind) => boolean): string[] =>
  Object.values(kinds)
    .filter(fits)
    .map(({ name }) => name);

/** An entry of a tasks file whose task is of one of these kinds. */
export const taskEntry = (kinds: Kinds) => {
  const labelled = namesOf(kinds, ({ definedBy }) => definedBy === "labels");
  const ranged = namesOf(kinds, ({ definedBy }) => definedBy === "range");
  const decided = namesOf(kinds, ({ threshold }) => threshold !== undefined);
  const lists = namesOf(kinds, ({ separator, perWord }) => separator !== undefined && !perWord);
  const worded = namesOf(kinds, ({ perWord }) => perWord === true).join(", ");
  return z.strictObject({
    name: z
      .string()
      .regex(/^[a-z0-9][a-z0-9._-]*$/, "must be lower-case letters, digits, dots, dashes and underscores")
      .describe("What --task takes; also names folders and files"),
    title: z.string().min(1).optional().describe("For tables; default: the name"),
    files: filesEntry,
    format: z.enum(formats).optional().describe("Default: by the files' extension"),
    header: z.boolean().default(true).describe("Whether TSV and CSV files begin with column names"),
    "dev-share": z
      .number()
      .gt(0)
      .lt(1)
      .optional()
      .describe(
        "Where there is no dev file: the share of the train file's rows that are dev rows, by a hash of their texts",
      ),
    quotes: z
      .enum(["ordinary", "csv"])
      .optional()
      .describe('"ordinary" (default of tsv): a double quote is a character like any other; "csv": RFC 4180 quoting'),
    columns: columnsEntry,
    kind: z
      .enum(Object.keys(kinds))
      .optional()
      .describe(`Default: ${labelled[0]} with labels, ${ranged[0]} with a range`),
    labels: labels
      .optional()
      .describe(
        `Names in id order, or ${FROM_DATA}: those of the train file, sorted, which is also meant without labels and range; for ${labelled.join(", ")}`,
      ),
    range: z
      .tuple([z.number(), z.number()])
      .optional()
      .describe(`Lowest and highest value; for ${ranged.join(", ")}`),
    threshold: z
      .union([z.number().gt(0).lt(1), z.literal(TUNED)], { error: `must be a number between 0 and 1, or ${TUNED}` })
      .optional()
      .describe(
        `Probability from which a label holds, or ${TUNED}: each label has its own, the best on dev rows; for ${decided.join(", ")}`,
      ),
    "label-separator": z
      .string()
      .min(1)
      .optional()
      .describe(`Between a row's labels in a cell; in JSONL they are an array. For ${lists.join(", ")}`),
    scheme: z
      .enum(schemes)
      .optional()
      .describe(`What the tags are; default: as the labels say it, and BIO for types of spans. For ${worded}`),
    words: z
      .enum(wordRules)
      .optional()
      .describe(
        `Where words of a text stand that no file has cut into words: between spaces, or with each punctuation mark apart. For ${worded}`,
      ),
    "label-pieces": z
      .enum(labelPieces)
      .optional()
      .describe(`Which pieces of a word the loss reads; default: first. For ${worded}`),
    "offset-unit": z
      .enum(offsetUnits)
      .optional()
      .describe(`What offsets of spans in the files count; default: codepoint. For ${worded}`),
    metric: z
      .enum(metricNames(kinds))
      .optional()
      .describe(`The score; default: ${listed(kinds, (kind) => `${firstMetric(kind)} for ${kind.name}`)}`),
    "also-report": z
      .array(z.enum(metricNames(kinds)))
      .default([])
      .describe("Metrics shown beside the score"),
  });
};

export const tasksFile = (kinds: Kinds) =>
  z.strictObject({
    tasks: z.array(taskEntry(kinds)).min(1).describe("The user's own tasks"),
  });

export type TaskEntry = z.output<ReturnType<typeof taskEntry>>;
export type LabelEntry = z.output<typeof label>;
export type Issue = z.core.$ZodIssue;

/** The kind that an entry names, or the first that is defined as the entry is. */
export function kindOf(entry: Pick<TaskEntry, "kind" | "range">, kinds: Kinds): Kind {
  const key = entry.range ? "range" : "labels";
  const named = (kind: string) => (Object.hasOwn(kinds, kind) ? kinds[kind] : undefined);
  const found = entry.kind ? named(entry.kind) : Object.values(kinds).find(({ definedBy }) => definedBy === key);
  if (!found) throw new Error(`there is no kind ${entry.kind ?? `that is defined by ${key}`}`);
  return found;
}

/** The labels that an entry lists; none where its data has them. */
export const listedLabels = ({ labels }: Pick<TaskEntry, "labels">): readonly LabelEntry[] | undefined =>
  labels === FROM_DATA ? undefined : labels;

/** The keys that the object at a path of a tasks file may have. */
export function keysAt(kinds: Kinds, at: readonly PropertyKey[]): string[] {
  if (at[0] !== "tasks") return Object.keys(tasksFile(kinds).shape);
  if (at[2] === "files") return Object.keys(filesEntry.shape);
  if (at[2] === "columns") return Object.keys(columnsEntry.shape);
  return Object.keys(taskEntry(kinds).shape);
}

export const labelName = (entry: LabelEntry): string => (typeof entry === "string" ? entry : entry.name);

export const labelSpelling = (entry: LabelEntry): string => (typeof entry === "string" ? entry : entry.written);

/** The format of one of the entry's files; undefined where neither the entry nor the extension says. */
export function formatOf(entry: Pick<TaskEntry, "format">, file: string): Format | undefined {
  return entry.format ?? formatByName(file);
}
