// NFC, NFD, NFKC and NFKD as Hugging Face's tokenizers has them: with the tables of Unicode 9, and with the range of the text
// that each character came from.

import { type Change, type Traced, transformed } from "./traced";

export type Form = "NFC" | "NFD" | "NFKC" | "NFKD";

/**
 * What decomposes, combines or reorders since Unicode 9, and the first halves of such compositions: plain characters there,
 * which nothing combines with. Found by test/tokenizer's comparison of all code points; none of them decomposes to ASCII.
 */
const later = new RegExp(
  `[${[
    "\\u07fd\\u0897-\\u089f\\u08ca-\\u08d3\\u09fe\\u0c3c\\u0d3b\\u0d3c\\u0eba\\u1715\\u1abf-\\u1add\\u1ae0-\\u1aeb",
    "\\u1df6-\\u1dfa\\u32ff\\ua7f1-\\ua7f4\\ua82c\\uab69\\u{105c9}\\u{105d2}\\u{105da}\\u{105e4}\\u{10781}-\\u{10785}",
    "\\u{10787}-\\u{107b0}\\u{107b2}-\\u{107ba}\\u{10d24}-\\u{10d27}\\u{10d69}-\\u{10d6d}\\u{10eab}\\u{10eac}",
    "\\u{10efa}\\u{10efb}\\u{10efd}-\\u{10eff}\\u{10f46}-\\u{10f50}\\u{10f82}-\\u{10f85}\\u{11070}\\u{1133b}",
    "\\u{11382}-\\u{11385}\\u{1138b}\\u{1138e}\\u{11390}\\u{11391}\\u{113b8}\\u{113bb}\\u{113c2}\\u{113c5}",
    "\\u{113c7}-\\u{113c9}\\u{113ce}-\\u{113d0}\\u{1145e}\\u{11839}\\u{1183a}\\u{11930}\\u{11935}\\u{11938}\\u{1193d}",
    "\\u{1193e}\\u{11943}\\u{119e0}\\u{11a34}\\u{11a47}\\u{11a99}\\u{11d42}\\u{11d44}\\u{11d45}\\u{11d97}\\u{11f41}",
    "\\u{11f42}\\u{1611e}-\\u{16129}\\u{1612f}\\u{16d63}\\u{16d67}-\\u{16d6a}\\u{16ff0}\\u{16ff1}\\u{1ccd6}-\\u{1ccf9}",
    "\\u{1e030}-\\u{1e06d}\\u{1e08f}\\u{1e130}-\\u{1e136}\\u{1e2ae}\\u{1e2ec}-\\u{1e2ef}\\u{1e4ec}-\\u{1e4ef}\\u{1e5ee}",
    "\\u{1e5ef}\\u{1e6e3}\\u{1e6e6}\\u{1e6ee}\\u{1e6ef}\\u{1e6f5}\\u{1f16c}\\u{1fbf0}-\\u{1fbf9}",
  ].join("")}]`,
  "u",
);
const atLater = new RegExp(`(${later.source})`, "u");
const ascii = /^[\0-\x7f]*$/;

/** Only where a character that Unicode 9 has not is in it. */
const parts = (text: string): readonly string[] => (later.test(text) ? text.split(atLater) : [text]);

export const normalized = (text: string, form: Form): string =>
  ascii.test(text)
    ? text
    : parts(text)
        .map((part, i) => (i % 2 === 1 ? part : part.normalize(form)))
        .join("");

/** The same with its places. */
export function normalizedTrace(from: Traced, form: Form): Traced {
  if (normalized(from.text, form) === from.text) return from;
  const changes: Change[] = [];
  for (const [i, part] of parts(from.text).entries()) {
    if (i % 2 === 1) changes.push([part, 0]);
    else for (const change of changesOf(part, form)) changes.push(change);
  }
  return transformed(from, changes);
}

function changesOf(text: string, form: Form): Change[] {
  const decomposed: Change[] = [];
  let marks: Change[] = [];
  const flush = () => {
    decomposed.push(...marks.sort(([a], [b]) => order(a, b)));
    marks = [];
  };
  for (const character of text) {
    const whole = character.normalize(form === "NFC" || form === "NFD" ? "NFD" : "NFKD");
    for (const [i, one] of [...whole].entries()) {
      if (isMark(one)) marks.push([one, i === 0 ? 0 : 1]);
      else {
        flush();
        decomposed.push([one, i === 0 ? 0 : 1]);
      }
    }
  }
  flush();
  return form === "NFD" || form === "NFKD" ? decomposed : composed(decomposed);
}

/** Characters that combine with the last starter that nothing blocks them from: Unicode's canonical composition. */
function composed(characters: readonly Change[]): Change[] {
  const out: Change[] = [];
  let starter = -1;
  /** The last mark behind the starter that stays. */
  let blocking: string | null = null;
  for (const [character, change] of characters) {
    const isBlocked = starter < 0 || (blocking !== null && !(isMark(character) && order(blocking, character) < 0));
    const [base, size] = isBlocked ? ["", 0] : (out[starter] as Change);
    const both = isBlocked ? null : pair(base, character);
    if (both !== null) {
      out[starter] = [both, size + change - 1];
      continue;
    }
    if (isMark(character)) blocking = starter < 0 ? null : character;
    else {
      starter = out.length;
      blocking = null;
    }
    out.push([character, change]);
  }
  return out;
}

/** What two characters are together, where they are one. */
function pair(first: string, second: string): string | null {
  const both = (first + second).normalize("NFC");
  return [...both].length === 1 ? both : null;
}

/** Before (-1), behind (1) or as it stands (0): marks by their combining class, which JavaScript shows in what it reorders. */
function order(a: string, b: string): number {
  if (a === b) return 0;
  if ((a + b).normalize("NFD") === b + a) return 1;
  return (b + a).normalize("NFD") === a + b ? -1 : 0;
}

const marks = new Map<string, boolean>();

/** Whether its combining class is other than 0: it changes places with one of class 1, or of class 240. */
function isMark(character: string): boolean {
  if (character < "\u0300") return false;
  let known = marks.get(character);
  if (known === undefined) {
    const isMoved = (text: string) => text.normalize("NFD") !== text;
    const single = character.normalize("NFD");
    known = single === character && (isMoved(`${character}\u0334`) || isMoved(`\u0345${character}`));
    if (marks.size < 65_536) marks.set(character, known);
  }
  return known;
}
