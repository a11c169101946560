// Where the words of a text stand. A file of words says it; of any other text a rule does: what lies between spaces, or the
// same with each punctuation mark and each Chinese character apart, where tokenizers of BERT's kind part words too.

/** UTF-16 units [start, end) of a text. */
export type TextRange = readonly [start: number, end: number];

export const wordRules = ["spaces", "punctuation"] as const;
export type WordRule = (typeof wordRules)[number];

/** A text with its words, which stand in it in order and apart. */
export interface WordedText {
  readonly text: string;
  readonly words: readonly TextRange[];
}

// Of symbols ASCII's alone: the basic tokenizer leaves the others, emoji among them, in their words. Marks stay with what
// they mark.
const APART = "\\p{P}$+<=>^`|~\\p{Script=Han}";
const patterns: Readonly<Record<WordRule, RegExp>> = {
  spaces: /\S+/gu,
  punctuation: new RegExp(`[^\\s${APART}]+|[${APART}]\\p{M}*`, "gu"),
};

export function wordsOf(text: string, rule: WordRule): TextRange[] {
  return Array.from(text.matchAll(patterns[rule]), ({ index, 0: word }): TextRange => [index, index + word.length]);
}

/** A list of words, as JSON lines have it; null for what is none. A word has something to see in it. */
export const wordList = (value: unknown): readonly string[] | null =>
  Array.isArray(value) && value.length > 0 && value.every((word) => typeof word === "string" && word.trim() !== "")
    ? value
    : null;

/** A text made of words, one space between two, and where they stand in it. */
export function joinWords(words: readonly string[]): WordedText {
  let at = 0;
  const ranges = words.map((word): TextRange => {
    const range = [at, at + word.length] as const;
    at = range[1] + 1;
    return range;
  });
  return { text: words.join(" "), words: ranges };
}
