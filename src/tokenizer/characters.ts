// The classes of characters that BERT's basic tokenizer tells apart, as Hugging Face's tokenizers library has them: it
// asks tables of Unicode 8, Node asks those of its own, newer version. The differences are written down here, so that
// every Node version gives the ids that transformers gives. test/tokenizer holds all code points against the library.

/** Characters are strings of one code point; a lone surrogate counts as control. */
const control = /^[\p{Cc}\p{Cf}\p{Co}\p{Cs}\ufffd]$/u;
const whitespace = /^\p{White_Space}$/u;
/** U+1734 and U+1171E have become spacing marks since. */
const nonspacingMark = /^[\p{Mn}\u1734\u{1171e}]$/u;
/** U+166D has become a symbol since, U+111C9 a mark. */
const punctuation = /^[\p{P}\u166d\u{111c9}]$/u;

/**
 * What became a mark, punctuation, a format character or decomposable after Unicode 8, with neighbours that are letters
 * or unassigned. transformers reads all of these as plain letters.
 */
const laterCharacter = new RegExp(
  `^[${[
    "\\u061d\\u07fd\\u0890-\\u08e2\\u09fd-\\u09fe\\u0a76\\u0afa-\\u0aff\\u0b55\\u0c04-\\u0c3c\\u0c77\\u0c84\\u0d00",
    "\\u0d3b-\\u0d3c\\u0d81\\u0eba\\u0ece\\u180f-\\u1886\\u1abf-\\u1aeb\\u1b4e-\\u1b4f\\u1b7d-\\u1b7f\\u1df6-\\u1dfb",
    "\\u2e43-\\u2e5d\\ua82c\\ua8c5\\ua8ff\\ua9bd\\u{105c9}-\\u{105e4}\\u{10d24}-\\u{10d27}\\u{10d69}-\\u{10f89}",
    "\\u{11070}-\\u{11074}\\u{110c2}-\\u{110cd}\\u{111cf}\\u{1123e}-\\u{11241}\\u{1133b}\\u{11383}-\\u{1145e}",
    "\\u{11660}-\\u{1166c}\\u{116b9}\\u{1182f}-\\u{1183b}\\u{11938}-\\u{11fff}\\u{12ff1}-\\u{1612f}\\u{16d68}-\\u{16d6f}",
    "\\u{16e97}-\\u{16e9a}\\u{16f4f}\\u{16fe2}-\\u{16fe4}\\u{1cf00}-\\u{1cf46}\\u{1e000}-\\u{1e6f5}\\u{1e944}-\\u{1e95f}",
  ].join("")}]$`,
  "u",
);

/** Dropped: control, format and private-use characters and U+FFFD, but not tab and line ends, which are white space. */
export const isControl = (character: string) => control.test(character) && !/^[\t\n\r]$/.test(character);

export const isWhitespace = (character: string) => whitespace.test(character);

export const isNonspacingMark = (character: string) => nonspacingMark.test(character) && character !== "\u{111c9}";

/** All ASCII symbols count, `$` and `^` too, unlike Unicode's P. */
export const isPunctuation = (character: string) => /^[!-/:-@[-`{-~]$/.test(character) || punctuation.test(character);

export const isLaterCharacter = (character: string) => laterCharacter.test(character);

/** The blocks of BERT's own code: Hangul, Hiragana and Katakana are not among them, nor ideographs after Unicode 8. */
const chinese: readonly (readonly [number, number])[] = [
  [0x4e00, 0x9fff],
  [0x3400, 0x4dbf],
  [0x20000, 0x2a6df],
  [0x2a700, 0x2b73f],
  [0x2b740, 0x2b81f],
  [0x2b920, 0x2ceaf],
  [0xf900, 0xfaff],
  [0x2f800, 0x2fa1f],
];

export const isChinese = (code: number) => chinese.some(([first, last]) => code >= first && code <= last);
