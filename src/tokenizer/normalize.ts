// BERT's basic tokenizer: cleaning, CJK spacing, accents, lower case, and the split at spaces and punctuation, equal to
// Hugging Face's BertNormalizer and BertPreTokenizer. Nothing in it looks at a character's neighbours (a final sigma is
// a sigma), so a text is read code point by code point. Left out on purpose: NFD's reordering of marks. Nearly all of
// them go with the accents; the few that stay side by side are in no vocabulary.

import { isChinese, isControl, isLaterCharacter, isNonspacingMark, isPunctuation, isWhitespace } from "./characters";
import type { Traced } from "./traced";

export interface NormalizerSettings {
  readonly lowerCase: boolean;
  readonly stripAccents: boolean;
  readonly tokenizeChineseChars: boolean;
}

export interface Normalizer {
  /** The words of a text; each punctuation mark is a word of its own. */
  words(text: string): string[];
  /** The same words; `offset` is added to their positions. */
  wordsWithRanges(text: string, offset: number): Traced[];
}

/** Printable ASCII, most of English: the same words in half the time. */
const plainText = /^[\t\n\r -~]*$/;
const plainWord = /[0-9A-Za-z]+|[!-/:-@[-`{-~]/g;

/** Characters beyond ASCII whose reading is kept: a bound, because a hostile text could hold a million of them. */
const MEMORY = 16_384;

export function createNormalizer(settings: NormalizerSettings): Normalizer {
  const ascii = Array.from({ length: 128 }, (_, code) => readCharacter(code, settings));
  const others = new Map<number, string>();

  const read = (code: number): string => {
    if (code < 128) return ascii[code] as string;
    let spaced = others.get(code);
    if (spaced === undefined) {
      spaced = readCharacter(code, settings);
      if (others.size >= MEMORY) others.clear();
      others.set(code, spaced);
    }
    return spaced;
  };

  return {
    words(text) {
      if (plainText.test(text)) return (settings.lowerCase ? text.toLowerCase() : text).match(plainWord) ?? [];
      let spaced = "";
      for (let at = 0; at < text.length; at++) {
        const code = text.codePointAt(at) as number;
        if (code > 0xffff) at++;
        spaced += read(code);
      }
      return spaced.split(" ").filter((word) => word !== "");
    },
    wordsWithRanges: (text, offset) => wordsWithRanges(text, offset, read),
  };
}

/**
 * A whole text normalised and not yet split into words, each unit with the range that it came from. Its words are those of
 * the text: normalising twice changes nothing.
 */
export function createPlainNormalizer(settings: NormalizerSettings): (text: string, offset: number) => Traced {
  return (text, offset) => {
    let normal = "";
    const [starts, ends] = [[] as number[], [] as number[]];
    let start = offset;
    for (const character of text) {
      const end = start + character.length;
      const plain = readCharacter(character.codePointAt(0) as number, settings, false);
      normal += plain;
      for (let i = 0; i < plain.length; i++) {
        starts.push(start);
        ends.push(end);
      }
      start = end;
    }
    return { text: normal, starts, ends };
  };
}

function wordsWithRanges(text: string, offset: number, read: (code: number) => string): Traced[] {
  const words: Traced[] = [];
  let word = { text: "", starts: [] as number[], ends: [] as number[] };
  const finish = () => {
    if (word.text) words.push(word);
    word = { text: "", starts: [], ends: [] };
  };
  let start = offset;
  for (const character of text) {
    const end = start + character.length;
    const spaced = read(character.codePointAt(0) as number);
    for (let i = 0; i < spaced.length; i++) {
      if (spaced[i] === " ") finish();
      else {
        word.text += spaced[i];
        word.starts.push(start);
        word.ends.push(end);
      }
    }
    start = end;
  }
  finish();
  return words;
}

/** What a code point becomes: "" where it is dropped, and a space wherever a word ends (at punctuation only if `split`). */
function readCharacter(code: number, settings: NormalizerSettings, split = true): string {
  const character = String.fromCodePoint(code);
  if (isLaterCharacter(character)) return character;
  // U+000B, U+000C and U+0085 are control characters and white space: dropped, as in BERT's code.
  if (isControl(character)) return "";
  if (isWhitespace(character)) return " ";
  let spaced = "";
  for (const part of settings.stripAccents ? character.normalize("NFD") : character) {
    if (settings.stripAccents && isNonspacingMark(part)) continue;
    const cased = settings.lowerCase ? part.toLowerCase() : part;
    spaced += split && isPunctuation(cased) ? ` ${cased} ` : cased;
  }
  return settings.tokenizeChineseChars && isChinese(code) ? ` ${spaced} ` : spaced;
}
