// The train and dev rows of a task, encoded, with the hashes that go into a run's id.

import { type EncodedRows, encodeExamples } from "../../batches/rows";
import type { BaseOutline } from "../../checkpoints/bases/base";
import type { RunRecord } from "../../checkpoints/runs/run-folder";
import { countBroken, readSplit, type Split, splitNotes } from "../../data/read-split";
import { modelError, usageError } from "../../errors/errors";
import { listed } from "../../messages/words";
import { familyOf, mostTokens } from "../../model/families/families";
import { BROKEN_SHARE, type DataOptions } from "../../settings/tasks";
import type { Task } from "../../tasks/task";
import { FEWEST_TO_TUNE, TUNED } from "../../tasks/thresholds";
import { createTokenizer } from "../../tokenizer/tokenizer";

export interface TaskData {
  readonly train: EncodedRows;
  readonly dev: EncodedRows;
  readonly trainData: RunRecord["trainData"];
  readonly devData: RunRecord["devData"];
  /** Tokens that rows were cut to. */
  readonly maxLength: number;
  /** What its reader should be told of the files: rows left out, and what looks wrong. */
  readonly notes: readonly string[];
}

/** Reads and encodes both splits. Throws usageError (2) for a maximum length that the
 * base has no positions for, modelError (4) for pairs where it tells no second text. */
export async function readTaskData(
  task: Task,
  base: BaseOutline,
  maxLength: number,
  rows: DataOptions,
): Promise<TaskData> {
  const positions = mostTokens(base.config);
  if (maxLength > positions) {
    throw usageError(`--max-length ${maxLength}: ${base.name} has ${positions} positions. Give at most ${positions}`);
  }
  const { types } = familyOf(base.config).inputs;
  if (task.inputs === "pair" && types && base.config.typeVocabSize < 2) {
    throw modelError(
      `${base.name} tells one text alone (its type_vocab_size is 1), and ${task.name} has pairs. Give another --base`,
    );
  }
  const read = (split: "train" | "dev", maxRows?: number) =>
    readSplit(task, split, {
      glueData: rows.glueData,
      skipBroken: rows.skipBrokenRows,
      maxBroken: rows.maxBrokenRows ?? BROKEN_SHARE,
      ...(maxRows === undefined ? {} : { maxRows }),
    });
  const train = await read("train", rows.maxTrainSamples);
  const dev = await read("dev", rows.maxEvalSamples);
  const tokenizer = createTokenizer(base.tokenizer, base.config.vocabSize);
  return {
    train: encodeExamples(task, train.examples, tokenizer, maxLength),
    dev: encodeExamples(task, dev.examples, tokenizer, maxLength),
    trainData: describe(train),
    devData: { ...describe(dev), ...limitOf(dev, rows.maxEvalSamples) },
    maxLength,
    notes: [...[train, dev].flatMap(splitNotes), ...untunable(task, dev)],
  };
}

/** Labels of which the dev rows say too little: their thresholds stay what they are without tuning. */
function untunable({ kind, labels, threshold }: Task, { path, examples }: Split): string[] {
  if (threshold !== TUNED) return [];
  const rows = labels.map(() => 0);
  for (const { label } of examples) {
    for (const id of label === null ? [] : kind.idsOf(label)) rows[id] = (rows[id] as number) + 1;
  }
  const rare = labels.flatMap((label, id) => ((rows[id] as number) < FEWEST_TO_TUNE ? [`${label} (${rows[id]})`] : []));
  if (rare.length === 0) return [];
  const stay = rare.length > 1 ? "their thresholds stay" : "its threshold stays";
  return [
    `${path}: fewer than ${FEWEST_TO_TUNE} rows have ${listed(rare)}, too few to tune on: ${stay} ${kind.threshold}`,
  ];
}

function describe({ sha256, examples, broken }: Split): RunRecord["trainData"] {
  return { sha256, rows: examples.length, skipped: countBroken(broken) };
}

/** The limit, where it left rows out or may have. */
function limitOf({ examples, broken }: Split, limit: number | undefined): { readonly limit?: number } {
  return limit !== undefined && examples.length + countBroken(broken) >= limit ? { limit } : {};
}
