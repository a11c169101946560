// What a kind of task is: how its rows are read, how many outputs its head has and what they say, how that is scored and
// told. Tasks hold their kind as a value and files name it. Nothing outside these files asks which kind it is.

import type { EncoderConfig } from "../../model/config";
import type { HeadParameter } from "../../model/head-parameters";
import type { Head } from "../../model/heads";
import type { HostTensor } from "../../model/tensors";
import type { ClassReport, Metric, Numbers } from "../metrics";
import type { Scheme } from "../tags";
import type { Threshold } from "../thresholds";
import type { WordedText, WordRule } from "../words";

/** A row's label as it was read: a class id, a value, the ids of all labels that hold, ascending, or one id a word. */
export type Label = number | readonly number[];

/** What a kind must know of its task. */
export interface Labelled {
  /** Label names by id; empty where labels are numbers. */
  readonly labels: readonly string[];
  /** Lowest and highest value. */
  readonly range?: readonly [number, number] | null;
  /** Probability from which a label holds, where each is decided alone; a list has one for each label. */
  readonly threshold?: Threshold;
  /** Where words have labels. */
  readonly tags?: TagRules;
}

export const labelPieces = ["first", "all"] as const;

/** How words are found in a text that says nothing of its words, and what of a word the loss reads. */
export interface TagRules {
  /** Where the tasks file says it: what it makes of types of spans. */
  readonly scheme?: Scheme;
  readonly words: WordRule;
  /** The first piece of a word, or all of them. What is decided is decided on the first. */
  readonly pieces: (typeof labelPieces)[number];
}

/** How a file writes labels: part of its source. */
export interface Written {
  /** How labels are written in the file -> label names. Absent: they are written as their names. */
  readonly spellings?: Readonly<Record<string, string>>;
  /** Where a row may have several labels: what stands between them in a cell. In JSON lines they are an array. */
  readonly labelSeparator?: string;
}

/** The most likely label, its probability, and that of every label. */
export interface ClassPrediction {
  readonly label: string;
  readonly score: number;
  readonly scores: Readonly<Record<string, number>>;
}

export interface ValuePrediction {
  readonly value: number;
}

/** The labels that hold, and the probability of every label. */
export interface LabelsPrediction {
  readonly labels: readonly string[];
  readonly scores: Readonly<Record<string, number>>;
}

/** A part of a text: what it is called, where it stands in the text as it was given, and how sure the model is. */
export interface Span {
  readonly label: string;
  /** UTF-16 units [start, end) in the library; files and HTTP count code points. */
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** Mean probability of its words' tags. */
  readonly score: number;
}

/** In the order of the text, none over another. */
export interface SpansPrediction {
  readonly spans: readonly Span[];
}

/** What one task says of one row, for people and programs: `predict --format jsonl` writes it. */
export type Prediction = ClassPrediction | ValuePrediction | LabelsPrediction | SpansPrediction;

/** What explains a score. */
export interface Explained {
  readonly classes: readonly ClassReport[];
  /** Rows by (label, prediction); null where a row has several labels. */
  readonly confusion: readonly (readonly number[])[] | null;
}

/** A way to say how much doubt there is. */
export interface Criterion {
  /**
   * Of one row: 0 for none. Infinity where these ramps cannot tell.
   * @param outputs logits of the ramps that it has passed, the last of them the latest
   */
  doubt(outputs: readonly Float32Array[], task: Labelled): number;
  /** As much doubt as there can be, or as any threshold should allow. @param targets of train rows, as the kind makes numbers of labels */
  most(task: Labelled, targets: ArrayLike<number>): number;
}

/**
 * When a row may leave below the top of its way: how much doubt the outputs of the ramps so far leave, and what a row loses that takes
 * a ramp's outputs for the model's.
 */
export interface Leaving {
  /** By name; the first where nobody says. */
  readonly criteria: Readonly<Record<string, Criterion>>;
  /** In words, what {@link losses} count: what a promise keeps of. */
  readonly kept: string;
  /**
   * What rows lose, from 0 (nothing) to 1; null for a row that the promise does not speak of.
   * @param targets of train rows: what a scale is taken from, that dev rows have no part in
   */
  losses(task: Labelled, targets: ArrayLike<number>): RowLoss;
}

/** @param left logits of the ramp; full of the model; target the row's label as numbers */
export type RowLoss = (left: Float32Array, full: Float32Array, target: ArrayLike<number>) => number | null;

/** Functions that take a label or a prediction take one of their own kind. */
export interface Kind {
  /** In manifests, tasks files and ids. */
  readonly name: string;
  /** The name: what JSON has of a kind. */
  toJSON(): string;
  /** What transformers' config.json calls it (`problem_type`); absent: it has no such kind. */
  readonly problemType?: string;
  /** The key of a tasks file that a task of this kind needs: it goes with no other. */
  readonly definedBy: "labels" | "range";
  /** What stands between the labels of a row where a tasks file does not say; absent: a row has one label. */
  readonly separator?: string;
  /** The threshold of a task that does not say its own; absent: there is none. */
  readonly threshold?: number;
  /**
   * The thresholds that are best for the task's metric on these rows, by label: of a task whose threshold is `tuned`. Absent: there is
   * none to tune.
   * @param logits [rows, outputs]
   */
  tune?(logits: Numbers, targets: Numbers, task: Labelled & { readonly metric: string }): readonly number[];
  /**
   * Every word of a text has a label of its own: a row's label is a list of ids, its logits are [words, outputs] and what
   * metrics read is one number a word, with ROW_END (span-metrics.ts) between rows. Absent: a row has one label.
   */
  readonly perWord?: true;

  /** The label that a cell stands for, or why the row is broken. Of a kind with a separator, an empty cell is a list of none. */
  readLabel(cell: string, task: Labelled, written: Written): Label | string;
  /** A label by name, as hashes have it: ids are an order's affair. */
  named(label: Label, task: Labelled): string | number | readonly string[];
  /** The ids of the label names that a row has; none where labels are numbers. */
  idsOf(label: Label): readonly number[];
  /** A label as the numbers that loss and metrics read: a row of the step's input `labels`, [rows, ...shape]. */
  targets(label: Label, task: Labelled): readonly number[];
  readonly target: { readonly dtype: HostTensor["dtype"]; shape(task: Labelled): readonly number[] };

  /** What the head is made of and how it begins, for a hidden size and a number of outputs over a base of this config. */
  parameters(hidden: number, outputs: number, config: EncoderConfig): readonly HeadParameter[];
  /** What computes it, over such a base. Loads tfjs, which takes longer than most commands that read tasks. */
  head(config: EncoderConfig): Promise<Head>;
  /** A name for every output of the head, in their order: equal outputs of two models have equal names. */
  outputs(task: Labelled): readonly string[];
  /** The label that a row's logits [outputs] stand for, or [words, outputs]. */
  decide(logits: Float32Array, task: Labelled): Label;
  /** @param of what the logits of words are of */
  predict(logits: Float32Array, task: Labelled, of?: WordedText): Prediction;
  /** The probability of what is decided, of the least certain label where each is decided alone; absent where there is none. */
  confidence?(logits: Float32Array, task: Labelled): number;
  /** When its rows may leave below the top of their way; absent: they cannot. */
  readonly leaving?: Leaving;
  /** Whether a row is of one class, whose id is decided: such rows can be balanced. Absent: it is not. */
  readonly exclusive?: boolean;
  /** A prediction as cells of a table, and what stands above them. */
  cells(prediction: Prediction): readonly string[];
  columns(task: string): readonly string[];

  /** By name; the first is the score where a task does not say. */
  readonly metrics: Readonly<Record<string, Metric>>;
  /** What explains the score; null where the score is all there is. */
  explain(predicted: Numbers, targets: Numbers, task: Labelled): Explained | null;
  /** Why labels that a tasks file lists, or its data has, are none of this kind; absent, or null, where they are. */
  labelsProblem?(labels: readonly string[]): string | null;

  /** What a model card says of an output of this kind, and the Python that shows `logits`. */
  readonly card: { readonly output: string; python(task: Labelled): readonly string[] };
}

export const defineKind = (kind: Omit<Kind, "toJSON">): Kind => ({
  ...kind,
  toJSON() {
    return this.name;
  },
});

export type Kinds = Readonly<Record<string, Kind>>;
