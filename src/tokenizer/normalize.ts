// BERT's basic tokenizer: cleaning, CJK spacing, accents, lower case, and the split at spaces and punctuation.
// Works on code points, because JavaScript's strings are UTF-16 and half of a pair is no character.

/** A word after normalisation, and where each of its UTF-16 units came from. */
export interface Word {
  readonly text: string;
  /** Start and end in the original text of each unit of `text`; null where nobody asked for offsets. */
  readonly starts: readonly number[] | null;
  readonly ends: readonly number[] | null;
}

export interface NormalizerSettings {
  readonly lowerCase: boolean;
  readonly stripAccents: boolean;
  readonly tokenizeChineseChars: boolean;
}

const whitespace = /^\p{White_Space}$/u;
/** Control, format, private use: dropped. Unassigned code points stay, as in transformers. */
const other = /^[\p{Cc}\p{Cf}\p{Co}\p{Cs}]$/u;
const nonspacingMark = /\p{Mn}/gu;
const punctuation = /^\p{P}$/u;

export const isAscii = (text: string): boolean => {
  for (let i = 0; i < text.length; i++)
    if (text.charCodeAt(i) > 126 || isAsciiControl(text.charCodeAt(i))) return false;
  return true;
};

const isAsciiControl = (code: number) => code < 32 && code !== 9 && code !== 10 && code !== 13;

/** All four ranges of ASCII symbols count as punctuation, `$` and `^` too, unlike Unicode's P. */
export function isAsciiPunctuation(code: number): boolean {
  return (
    (code >= 33 && code <= 47) ||
    (code >= 58 && code <= 64) ||
    (code >= 91 && code <= 96) ||
    (code >= 123 && code <= 126)
  );
}

/** The ranges of BERT's own code: Hangul, Hiragana and Katakana are not among them. */
function isChinese(code: number): boolean {
  return (
    (code >= 0x4e00 && code <= 0x9fff) ||
    (code >= 0x3400 && code <= 0x4dbf) ||
    (code >= 0x20000 && code <= 0x2a6df) ||
    (code >= 0x2a700 && code <= 0x2b73f) ||
    (code >= 0x2b740 && code <= 0x2b81f) ||
    (code >= 0x2b920 && code <= 0x2ceaf) ||
    (code >= 0xf900 && code <= 0xfaff) ||
    (code >= 0x2f800 && code <= 0x2fa1f)
  );
}

function isPunctuation(character: string): boolean {
  const code = character.codePointAt(0) as number;
  return code < 128 ? isAsciiPunctuation(code) : punctuation.test(character);
}

/** Lower case of one code point: never of a whole word, where a final sigma would become another letter. */
function normalizeCharacter(character: string, { lowerCase, stripAccents }: NormalizerSettings): string {
  const stripped = stripAccents ? character.normalize("NFD").replace(nonspacingMark, "") : character;
  if (!lowerCase) return stripped;
  let lowered = "";
  for (const part of stripped) lowered += part.toLowerCase();
  return lowered;
}

/** The words of a text. `offset` is added to positions. */
export function splitWords(text: string, settings: NormalizerSettings, withOffsets: boolean, offset = 0): Word[] {
  const words: Word[] = [];
  let current = "";
  let starts: number[] = [];
  let ends: number[] = [];
  const flush = () => {
    if (current) words.push({ text: current, starts: withOffsets ? starts : null, ends: withOffsets ? ends : null });
    current = "";
    starts = [];
    ends = [];
  };
  const append = (part: string, at: number, end: number) => {
    current += part;
    if (!withOffsets) return;
    for (let i = 0; i < part.length; i++) {
      starts.push(at);
      ends.push(end);
    }
  };
  let at = offset;
  for (const character of text) {
    const end = at + character.length;
    const code = character.codePointAt(0) as number;
    if (code === 9 || code === 10 || code === 13 || whitespace.test(character)) flush();
    else if (code === 0xfffd || other.test(character)) {
      // Dropped without a break: the letters on both sides join.
    } else {
      const alone = settings.tokenizeChineseChars && isChinese(code);
      if (alone) flush();
      for (const part of normalizeCharacter(character, settings)) {
        const separate = isPunctuation(part);
        if (separate) flush();
        if (whitespace.test(part)) flush();
        else append(part, at, end);
        if (separate) flush();
      }
      if (alone) flush();
    }
    at = end;
  }
  flush();
  return words;
}
