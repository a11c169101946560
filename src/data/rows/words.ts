// Words in columns, as CoNLL's tasks have them: a word a line, its columns between tabs, or between spaces where a line has no
// tab, and an empty line behind each sentence. A sentence is a row, and its cells are lists.

import { counted } from "../../messages/words";
import { splitLines, type TextBlock } from "./text-blocks";

export interface WordRecord {
  /** Of its first word; of what is wrong, where something is. */
  readonly line: number;
  /** By column: as many values as there are words. */
  readonly cells: readonly (readonly string[])[];
  readonly problem?: string;
}

/** Stands alone between documents (CoNLL 2003). */
const DOCUMENT = "-DOCSTART-";

/** CoNLL-U's comments: "# sent_id = 1". A word may be # too. */
const COMMENT = /^# ?\S+ = /;

/** Sentences in the order of the file, as many at a time as are whole. */
export async function* wordRecords(blocks: AsyncIterable<TextBlock>): AsyncGenerator<WordRecord[], void, undefined> {
  let sentence: Sentence | null = null;
  for await (const { text, line } of blocks) {
    const records: WordRecord[] = [];
    for (const [i, written] of splitLines(text).entries()) {
      if (written.trim() === "") {
        if (sentence) records.push(recordOf(sentence));
        sentence = null;
        continue;
      }
      if (COMMENT.test(written)) continue;
      const cells = columnsOf(written);
      if (cells[0] === DOCUMENT) continue;
      sentence ??= { line: line + i, words: [] };
      sentence.words.push({ line: line + i, cells });
    }
    yield records;
  }
  if (sentence) yield [recordOf(sentence)];
}

interface Sentence {
  readonly line: number;
  readonly words: { readonly line: number; readonly cells: readonly string[] }[];
}

function columnsOf(written: string): string[] {
  if (!written.includes("\t")) return written.trim().split(/ +/);
  return written.split("\t").map((cell) => cell.trim());
}

/** Each word with as many columns as the sentence's first. */
function recordOf({ line, words }: Sentence): WordRecord {
  const width = words[0]?.cells.length as number;
  const other = words.find(({ cells }) => cells.length !== width);
  if (other) {
    const problem = `${counted(other.cells.length, "column")}, the words before it have ${width}`;
    return { line: other.line, cells: [], problem };
  }
  const cells = Array.from({ length: width }, (_, column) => words.map((word) => word.cells[column] as string));
  return { line, cells };
}

/** A sentence of another width is broken: its columns may have moved. */
export function checkedWords(record: WordRecord, width: number): WordRecord {
  const { cells, problem } = record;
  if (problem !== undefined || cells.length === width) return record;
  return { ...record, problem: `${counted(cells.length, "column")}, most sentences have ${width}` };
}
