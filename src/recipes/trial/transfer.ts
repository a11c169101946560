// Texts without labels that a teacher labels for its students: which they are, with the hash that goes into a student's id,
// and their tokens. They are read once to know them and once more to encode them, so that any number takes little memory.

import path from "node:path";
import { sampleOf } from "../../batches/mixed";
import { encodeWords, type WordWindow } from "../../batches/windows";
import { pieceLabels } from "../../batches/word-labels";
import type { BaseOutline } from "../../checkpoints/bases/base";
import { eachText, type TextRules, type TextSource, textsOfFile, textsOfTask } from "../../data/texts";
import { dataError, usageError } from "../../errors/errors";
import { didYouMean } from "../../messages/nearest";
import { BROKEN_SHARE, type DataOptions } from "../../settings/tasks";
import { OUTSIDE } from "../../tasks/tags";
import type { Task } from "../../tasks/task";
import { type WordedText, wordsOf } from "../../tasks/words";
import { createTokenizer, type Tokenizer } from "../../tokenizer/tokenizer";
import { openTokenStore, type TokenStore, type TokenWriter } from "../../training/trunk/token-store";

/** What --transfer asks for. */
export interface TransferRequest {
  /** Files, "task:NAME" and "all", in the order given. */
  readonly from: readonly string[];
  /** At most so many of the texts; absent: all. */
  readonly rows?: number;
  /** Of every batch. */
  readonly share: number;
}

/** Where the sources of a request are found. */
export interface TransferPlaces {
  /** The tasks that "task:NAME" may name. */
  readonly tasks: readonly Task[];
  /** Those that "all" means, as far as they have train data. */
  readonly all: readonly Task[];
  /** What relative names of files begin at. */
  readonly folder: string;
}

/** The texts of a request for one task. */
export interface TransferTexts {
  /** Of all texts, and how many of them are taken: what a student's id has of them. */
  readonly sha256: string;
  readonly rows: number;
  /** The sources by names that --transfer takes anywhere: absolute files, and tasks one by one. */
  readonly from: readonly string[];
  /** Of every batch of a student. */
  readonly share: number;
  /** For the log. */
  readonly notes: readonly string[];
  /** Throws dataError (3) where the files have changed since they were first read. @param folder for the tokens */
  encode(base: BaseOutline, maxLength: number, folder: string): Promise<TokenStore>;
}

/**
 * Finds and reads what a request means for a task.
 * @throws UserError (2) for a name that is no task, for a task of another shape, and where all others are of another; (3) as
 *   {@link eachText} and {@link textsOfFile}
 */
export async function readTransfer(
  request: TransferRequest,
  task: Task,
  places: TransferPlaces,
  data: Pick<DataOptions, "glueData" | "skipBrokenRows" | "maxBrokenRows">,
): Promise<TransferTexts> {
  const found = await sourcesOf(request, task, places, data.glueData);
  const sources = found.map(({ source }) => source);
  const worded = task.kind.perWord === true;
  const rules: TextRules = { worded, skipBroken: data.skipBrokenRows, maxBroken: data.maxBrokenRows ?? BROKEN_SHARE };
  const { sha256, rows, notes } = await eachText(sources, rules);
  const taken = Math.min(rows, request.rows ?? rows);
  return {
    ...{ sha256, rows: taken, from: found.map(({ name }) => name), share: request.share, notes },
    async encode(base, maxLength, folder) {
      const tokenizer = createTokenizer(base.tokenizer, base.config.vocabSize);
      const writer = await openTokenStore(folder, taken, maxLength);
      const among = sampleOf(rows, taken);
      let row = 0;
      try {
        const again = await eachText(sources, rules, (text, pair, words) => {
          if (among[row++] !== 1) return;
          if (worded)
            addWords(writer, tokenizer, { text, words: words ?? wordsOf(text, wordRule(task)) }, maxLength, task);
          else writer.add(tokenizer.encode(text, pair, maxLength));
        });
        if (again.sha256 !== sha256) throw changed(task);
        return writer.finish(tokenizer.padId);
      } catch (error) {
        writer.abandon();
        throw error;
      }
    },
  };
}

const wordRule = ({ tags }: Task) => tags?.words ?? "punctuation";

/** The text's first window: what stands behind it teaches nothing, as of texts that other tasks cut. */
function addWords(writer: TokenWriter, tokenizer: Tokenizer, text: WordedText, maxLength: number, task: Task): void {
  const [window] = encodeWords(tokenizer, text, maxLength) as [WordWindow];
  const outside = text.words.map(() => task.labels.indexOf(OUTSIDE));
  const read = pieceLabels(window, outside, task);
  writer.add(window, (token) => read[token] !== -1);
}

const changed = (task: Task) =>
  dataError(`${task.name}: the files of --transfer have changed since the command began. Run it again`);

interface NamedSource {
  readonly name: string;
  readonly source: TextSource;
}

/** Each once, in the order of the request. */
async function sourcesOf(
  { from }: TransferRequest,
  task: Task,
  { tasks, all, folder }: TransferPlaces,
  glueData: string,
): Promise<NamedSource[]> {
  const found = new Map<string, TextSource>();
  for (const given of from) {
    if (given === "all") {
      for (const { name, source } of othersOf(task, all, glueData)) found.set(name, source);
    } else if (given.startsWith(TASK)) found.set(given, taskSource(given.slice(TASK.length), task, tasks, glueData));
    else {
      const file = path.resolve(folder, given);
      found.set(file, await textsOfFile(file, task, glueData));
    }
  }
  return [...found].map(([name, source]) => ({ name, source }));
}

const TASK = "task:";
const shapes = { single: "single texts", pair: "pairs" } as const;

function othersOf(task: Task, tasks: readonly Task[], glueData: string): NamedSource[] {
  const others = tasks.filter(({ name, inputs }) => name !== task.name && inputs === task.inputs);
  const found = others.flatMap((other) => {
    const source = textsOfTask(other, glueData);
    return source ? [{ name: TASK + other.name, source }] : [];
  });
  if (found.length > 0) return found;
  throw usageError(
    `--transfer all: no other task of ${shapes[task.inputs]} than ${task.name} has train data here. Give files or task:NAME`,
  );
}

function taskSource(name: string, task: Task, tasks: readonly Task[], glueData: string): TextSource {
  const other = tasks.find((one) => one.name === name);
  if (!other) {
    const names = tasks.map((one) => one.name);
    throw usageError(
      `--transfer ${TASK}${name}: no such task${didYouMean(name, names)}; there are ${names.join(", ")}`,
    );
  }
  if (other.name === task.name) {
    throw usageError(`--transfer ${TASK}${name}: students of ${name} learn from its rows already. Give another task`);
  }
  if (other.inputs !== task.inputs) {
    throw usageError(
      `--transfer ${TASK}${name}: ${name} has ${shapes[other.inputs]}, ${task.name} ${shapes[task.inputs]}. Give a task of its shape`,
    );
  }
  const source = textsOfTask(other, glueData);
  if (source) return source;
  throw dataError(
    `--transfer ${TASK}${name}: ${name} has no train file in ${glueData}. Put it there, or give another task`,
  );
}

/** Rows of each batch of so many that are the transfer set's. Throws usageError (2) where a batch has no room for both. */
export function transferRows(share: number, batchSize: number): number {
  if (share === 1) return batchSize;
  if (batchSize < 2)
    throw usageError(`--batch-size ${batchSize} has no room for rows of --transfer. Give more, or --transfer-share 1`);
  return Math.min(batchSize - 1, Math.max(1, Math.round(share * batchSize)));
}
