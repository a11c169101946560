// Tokens that are read whole wherever a text has them, found as Hugging Face's tokenizers does (added_vocabulary.rs): the
// leftmost first and of those the longest, never two over each other.

import type { AddedToken } from "./added-tokens";

/** A stretch of a text: a token with its id, or what lies between tokens (null). */
export interface Stretch {
  readonly id: number | null;
  readonly start: number;
  readonly end: number;
}

export type WantedToken = Pick<AddedToken, "content" | "id" | "singleWord"> & Partial<Pick<AddedToken, "strips">>;

/** What Rust's \w matches. */
const WORD = "[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}]";
const wordAtEnd = new RegExp(`${WORD}$`, "u");
const wordAtStart = new RegExp(`^${WORD}`, "u");
const space = /\p{White_Space}/u;

/** Cuts texts into stretches that cover them. A text without tokens is one stretch, the empty one is none. */
export function createFinder(tokens: readonly WantedToken[]): (text: string) => readonly Stretch[] {
  const whole = (text: string): Stretch[] => (text === "" ? [] : [{ id: null, start: 0, end: text.length }]);
  const wanted = tokens.filter(({ content }) => content !== "");
  if (wanted.length === 0) return whole;
  const byContent = new Map(wanted.map((token) => [token.content, token]));
  const contents = [...byContent.keys()].sort((a, b) => b.length - a.length).map(literal);
  const pattern = new RegExp(contents.join("|"), "g");
  // Most texts hold no token: one look for their first characters is quicker than the whole pattern.
  const firsts = new RegExp([...new Set(wanted.map(({ content }) => literal(content.slice(0, 1))))].join("|"));

  return (text) => {
    if (!firsts.test(text)) return whole(text);
    const stretches: Stretch[] = [];
    let at = 0;
    for (const match of text.matchAll(pattern)) {
      const token = byContent.get(match[0]) as WantedToken;
      let [start, end] = [match.index, match.index + match[0].length];
      if (token.singleWord && (wordBefore(text, start) || wordAtStart.test(text.slice(end, end + 2)))) continue;
      if (token.strips?.left) while (start > at && space.test(text[start - 1] as string)) start--;
      if (token.strips?.right) while (end < text.length && space.test(text[end] as string)) end++;
      if (at < start) stretches.push({ id: null, start: at, end: start });
      stretches.push({ id: token.id, start, end });
      at = end;
    }
    if (at < text.length) stretches.push({ id: null, start: at, end: text.length });
    return stretches;
  };
}

const literal = (text: string) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");

const wordBefore = (text: string, at: number) => wordAtEnd.test(text.slice(Math.max(0, at - 2), at));
