// The pre-tokenizers of a tokenizer.json beside BERT's, by type: how each cuts a normalised text into words. One that is not
// here is refused by name.

import { modelError } from "../errors/errors";
import { asText, shown } from "../errors/printable";
import { prepended, relabelled, slice, type Traced } from "./traced";

export interface Splitter {
  /** Whether its words are read as bytes, a character for each ({@link inBytes}). */
  readonly bytes: boolean;
  /** Whether words depend on where in the text they stand: then `plain` does not know them. */
  readonly byPlace: boolean;
  plain(text: string): readonly string[];
  traced(from: Traced): readonly Traced[];
}

interface Step {
  readonly bytes?: true;
  readonly byPlace?: boolean;
  plain(text: string): readonly string[];
  traced(from: Traced): readonly Traced[];
}

type Json = Readonly<Record<string, unknown>>;

/** Letters and digits of Unicode 17, which Hugging Face's tokenizers (Unicode 16) takes for other characters. */
const LATER_LETTERS =
  "\\u088f\\u0c5c\\u0cdc\\ua7ce\\ua7cf\\ua7d2\\ua7d4\\ua7f1\\u{10940}-\\u{10959}\\u{10ec5}-\\u{10ec7}\\u{11db0}-\\u{11ddb}" +
  "\\u{16ea0}-\\u{16eb8}\\u{16ebb}-\\u{16ed3}\\u{16ff2}\\u{16ff3}\\u{187f8}-\\u{187ff}\\u{18d09}-\\u{18d1e}" +
  "\\u{18d80}-\\u{18df2}\\u{1e6c0}-\\u{1e6de}\\u{1e6e0}-\\u{1e6e2}\\u{1e6e4}\\u{1e6e5}\\u{1e6e7}-\\u{1e6ed}" +
  "\\u{1e6f0}-\\u{1e6f4}\\u{1e6fe}\\u{1e6ff}\\u{2b73a}-\\u{2b73f}\\u{2cea2}-\\u{2cead}\\u{323b0}-\\u{33479}";
const LATER_DIGITS = "\\u{11de0}-\\u{11de9}\\u{16ff4}-\\u{16ff6}";

const [LETTER, DIGIT] = [`[\\p{L}--[${LATER_LETTERS}]]`, `[\\p{N}--[${LATER_DIGITS}]]`];

/** GPT-2's words (Radford et al. 2019). \s is not JavaScript's: it has U+0085 and lacks U+FEFF. */
const gpt2Words = new RegExp(
  `'s|'t|'re|'ve|'m|'ll|'d| ?${LETTER}+| ?${DIGIT}+| ?[^\\p{White_Space}${LETTER}${DIGIT}]+` +
    `|\\p{White_Space}+(?!\\P{White_Space})|\\p{White_Space}+`,
  "gv",
);

const kinds: Readonly<Record<string, (json: Json) => Step>> = {
  ByteLevel: byteLevel,
  Metaspace: metaspace,
  WhitespaceSplit: () => matching(/\P{White_Space}+/gu),
};

/** Throws modelError (4) for a pre-tokenizer that flexbert does not know. */
export function readSplitter(json: unknown): Splitter {
  const steps = stepsOf(json);
  if (steps.slice(0, -1).some(({ bytes }) => bytes)) {
    throw modelError("tokenizer.json has a pre-tokenizer behind ByteLevel; flexbert reads ByteLevel as the last only");
  }
  return {
    bytes: steps.at(-1)?.bytes ?? false,
    byPlace: steps.some(({ byPlace }) => byPlace),
    plain: (text) =>
      steps.reduce<readonly string[]>((words, step) => words.flatMap((word) => step.plain(word)), [text]),
    traced: (from) =>
      steps.reduce<readonly Traced[]>((words, step) => words.flatMap((word) => step.traced(word)), [from]),
  };
}

function stepsOf(json: unknown): Step[] {
  const type = Object(json).type;
  if (type === "Sequence") return [Object(json).pretokenizers ?? []].flat().flatMap(stepsOf);
  const read = typeof type === "string" && Object.hasOwn(kinds, type) ? kinds[type] : undefined;
  if (read) return [read(json as Json)];
  throw modelError(
    `tokenizer.json has ${json === null || json === undefined ? "no pre-tokenizer" : `the pre-tokenizer ${asText(type)}`}; ` +
      `flexbert reads ${Object.keys(kinds).join(", ")}, Sequence and, with WordPiece, BertPreTokenizer`,
  );
}

const matching = (pattern: RegExp): Step => ({
  plain: (text) => text.match(pattern) ?? [],
  traced: (from) =>
    Array.from(from.text.matchAll(pattern), ({ 0: word, index }) => slice(from, index, index + word.length)),
});

function byteLevel(json: Json): Step {
  const words = json["use_regex"] === false ? null : matching(gpt2Words);
  const prefix = json["add_prefix_space"] !== false;
  const lacks = (text: string) => prefix && text !== "" && !text.startsWith(" ");
  return {
    bytes: true,
    plain(text) {
      const spaced = lacks(text) ? ` ${text}` : text;
      return words ? words.plain(spaced) : [spaced];
    },
    traced(from) {
      const spaced = lacks(from.text) ? prepended(from, " ") : from;
      return words ? words.traced(spaced) : [spaced];
    },
  };
}

function metaspace(json: Json): Step {
  const mark = json["replacement"] ?? "▁";
  // Files before 2024 say add_prefix_space.
  const scheme = json["prepend_scheme"] ?? (json["add_prefix_space"] === false ? "never" : "always");
  if (typeof mark !== "string" || mark.length !== 1 || !["always", "first", "never"].includes(asText(scheme))) {
    throw modelError(
      `tokenizer.json: Metaspace has the replacement ${shown(mark)} and the prepend_scheme ${shown(scheme)}; flexbert reads one character, and always, first or never`,
    );
  }
  const words =
    json["split"] === false
      ? null
      : matching(new RegExp(`\\u{${mark.charCodeAt(0).toString(16)}}[^${mark}]*|[^${mark}]+`, "gu"));
  const lacks = (text: string, start: number) =>
    text !== "" && !text.startsWith(mark) && (scheme === "always" || (scheme === "first" && start === 0));
  return {
    byPlace: scheme === "first",
    plain(text) {
      const marked = text.replaceAll(" ", mark);
      const whole = lacks(marked, 0) ? mark + marked : marked;
      return words ? words.plain(whole) : [whole];
    },
    traced(from) {
      const marked = relabelled(from, from.text.replaceAll(" ", mark));
      const whole = lacks(marked.text, marked.starts[0] ?? 0) ? prepended(marked, mark) : marked;
      return words ? words.traced(whole) : [whole];
    },
  };
}

/** GPT-2's 256 characters: printable bytes stand for themselves, the others for U+0100 and on, in order. */
const byteCharacters = (() => {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte !== 0xad);
    return String.fromCharCode(isPrintable ? byte : next++);
  });
})();

export const BYTE_CHARACTERS: readonly string[] = byteCharacters;

/** GPT-2's space. */
export const BYTE_SPACE = byteCharacters[0x20] as string;

const encoder = new TextEncoder();

/** A word in one character a byte of its UTF-8. */
export function inBytes(word: string): string {
  let written = "";
  for (const byte of encoder.encode(word)) written += byteCharacters[byte];
  return written;
}

/** The same; all bytes of a character have its range. */
export function tracedBytes({ text, starts, ends }: Traced): Traced {
  const [from, to] = [[] as number[], [] as number[]];
  let at = 0;
  for (const character of text) {
    const bytes = encoder.encode(character).length;
    for (let i = 0; i < bytes; i++) {
      from.push(starts[at] as number);
      to.push(ends[at] as number);
    }
    at += character.length;
  }
  return { text: inBytes(text), starts: from, ends: to };
}
