// What a task is: names, labels, metric, and where its splits lie. The nine GLUE tasks, AX and the user's own tasks are
// all objects of this one type; readers, heads, metrics and commands loop over them and know no task by name.

import type { EncoderConfig } from "../model/config";
import type { Head } from "../model/heads";
import type { Format } from "./format";
import type { Kind, Labelled, Written } from "./kinds/kind";
import type { Scoring } from "./metrics";
import type { OffsetUnit } from "./offset-unit";

export const splitNames = ["train", "dev", "dev_mismatched", "test", "test_mismatched"] as const;

/** The mismatched splits are MNLI's second dev and test sets, from genres that its train set lacks. */
export type SplitName = (typeof splitNames)[number];

/** A column by its name in the header (a key, in JSONL), or by its position from 0 in a file without a header. */
export type Column = string | number;

export interface Columns {
  readonly text: Column;
  /** The second text of a pair. */
  readonly pair?: Column;
  /** Absent where the file has no labels. */
  readonly label?: Column;
  /** The file's own row ids, which a submission must repeat; absent means rows are numbered from 0. */
  readonly index?: Column;
}

/** One split's file and how to read it. */
export interface SplitSource extends Written {
  /** Relative to the task's folder, or absolute. */
  readonly file: string;
  /** Other places where the file is found, relative to the task's folder. */
  readonly alternatives?: readonly string[];
  readonly format: Format;
  /** Ignored where rows carry their keys. */
  readonly header: boolean;
  /** "ordinary": a double quote is a character like any other, as in all GLUE files. "csv": RFC 4180 quoting. */
  readonly quotes: "ordinary" | "csv";
  readonly columns: Columns;
  /** The file holds both train and dev rows; a hash of their texts says which are which (data/part.ts). */
  readonly part?: { readonly of: "train" | "dev"; readonly devShare: number };
  /**
   * The same rows as `datasets` writes them, told by the names of their columns: label ids for labels, a header where the
   * published file has none. Not all of these files have an index.
   */
  readonly exported?: Pick<SplitSource, "columns" | "spellings">;
  /** Where words have labels: what the offsets of spans count in this file. */
  readonly offsetUnit?: OffsetUnit;
  /** Rows without a label are fine (a test set that may be unlabelled). */
  readonly labelOptional?: boolean;
  /** Rows that the published file has; `data check` compares. */
  readonly rows?: number;
}

export interface Task extends Labelled, Scoring {
  /** In flags, manifests and folder names: rte. */
  readonly name: string;
  /** For tables: RTE. */
  readonly title: string;
  /** In glue-data; empty for a user's task, whose files are absolute. */
  readonly folder: string;
  readonly kind: Kind;
  readonly inputs: "single" | "pair";
  /** By class id. Of a task whose data has them, none until they are read (data/labels.ts). */
  readonly labels: readonly string[];
  /** What its tasks file leaves to its train file: the labels, as it says, or as it may say by naming neither those nor a range. */
  readonly labelsFrom?: "data" | "few words";
  readonly splits: Readonly<Partial<Record<SplitName, SplitSource>>>;
  /** The user's file that describes it, absolute; absent for GLUE's. */
  readonly definedIn?: string;
  /** False for tasks that stay out of averages: WNLI, AX. */
  readonly inAverage: boolean;
  /** The task whose branch predicts this one, which has no train data: mnli for ax. */
  readonly predictedWith?: string;
  /** What GLUE's site takes of this task; absent for the user's own. Labels are written as the train file writes them. */
  readonly submission?: {
    /** Files without their .tsv, and the splits that they predict. */
    readonly files: readonly { readonly file: string; readonly split: SplitName }[];
    /** What stands in every row where no model predicts the task. */
    readonly constant: { readonly label: string } | { readonly value: number };
  };
}

/** What decides beside logits and labels, for records that have it where the task does. */
export const decidedBy = ({ threshold, tags }: Labelled) => ({
  ...(threshold === undefined ? {} : { threshold }),
  ...(tags === undefined ? {} : { tags }),
});

/** The task with the labels of a model of it, where its tasks file does not list them. */
export const labelledAs = (task: Task, { labels }: Pick<Task, "labels">): Task =>
  task.labelsFrom ? { ...task, labels } : task;

/** What the width of a head rests on. */
export type OfKind = Labelled & { readonly kind: Kind };

/** Width of the head. */
export const outputSize = (task: OfKind): number => task.kind.outputs(task).length;

/** What is wrong with logits [rows, outputs] of a task, in words; null where their width is the task's. */
export function widthProblem(task: OfKind & { readonly name: string }, shape: readonly number[]): string | null {
  const wanted = outputSize(task);
  return shape[1] === wanted ? null : `${task.name} gives ${shape[1]} values a row, its task has ${wanted}`;
}

/** The tasks with what computes their heads. */
export const withHeads = <T extends { readonly kind: Kind }>(
  tasks: readonly T[],
  config: EncoderConfig,
): Promise<(T & { head: Head })[]> =>
  Promise.all(tasks.map(async (task) => ({ ...task, head: await task.kind.head(config) })));

/** The tensors of the task's head on a base of this config. */
export const headOf = (task: OfKind, config: EncoderConfig) =>
  task.kind.parameters(config.hiddenSize, outputSize(task), config);
