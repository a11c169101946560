// A text that was changed, with the place in the original that each of its UTF-16 units came from. The rules of who comes
// from where are those of Hugging Face's NormalizedString (tokenizers 0.23, tokenizer/normalizer.rs), whose offsets are
// thereby ours: a character that replaces another has its range, an inserted one that of the character before it.

export interface Traced {
  readonly text: string;
  /** Of each unit, the range [start, end) of the original text. */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

/** A character of the new text: 0 replaces one of the old, -N does and drops the N behind it too, 1 is inserted. */
export type Change = readonly [character: string, change: number];

/** An original text, or a part of one that begins at `offset`. */
export function trace(text: string, offset = 0): Traced {
  const [starts, ends] = [[] as number[], [] as number[]];
  let at = offset;
  for (const character of text) {
    for (let i = 0; i < character.length; i++) {
      starts.push(at);
      ends.push(at + character.length);
    }
    at += character.length;
  }
  return { text, starts, ends };
}

export const slice = ({ text, starts, ends }: Traced, from: number, to: number): Traced =>
  from === 0 && to === text.length
    ? { text, starts, ends }
    : { text: text.slice(from, to), starts: starts.slice(from, to), ends: ends.slice(from, to) };

/** The same places under another text, whose units are as many. */
export const relabelled = (from: Traced, text: string): Traced => ({ text, starts: from.starts, ends: from.ends });

/**
 * The text that changes make of another. Where they say wrongly how many characters they replace, ranges shift and the last
 * one repeats; the library's precompiled maps do that where they drop a text's first character.
 */
export function transformed(from: Traced, changes: readonly Change[]): Traced {
  const [starts, ends] = [[] as number[], [] as number[]];
  const last = from.text.length - 1;
  let text = "";
  let at = 0;
  const pass = (count: number) => {
    for (let i = 0; i < count && at <= last; i++) at += (from.text.codePointAt(at) as number) > 0xffff ? 2 : 1;
  };
  for (const [character, change] of changes) {
    const source = change > 0 ? at - 1 : Math.min(at, last);
    for (let i = 0; i < character.length; i++) {
      // The library gives what stands before the first character the empty range at the text's start.
      starts.push(source < 0 ? (from.starts[0] ?? 0) : (from.starts[source] as number));
      ends.push(source < 0 ? (from.starts[0] ?? 0) : (from.ends[source] as number));
    }
    text += character;
    if (change <= 0) pass(1 - change);
  }
  return { text, starts, ends };
}

/** Each match of a global pattern replaced; the new text has the range of the match's last character. */
export function replaced(from: Traced, pattern: RegExp, content: string): Traced {
  const [starts, ends] = [[] as number[], [] as number[]];
  let text = "";
  let at = 0;
  const keep = (to: number) => {
    text += from.text.slice(at, to);
    for (; at < to; at++) {
      starts.push(from.starts[at] as number);
      ends.push(from.ends[at] as number);
    }
  };
  for (const match of from.text.matchAll(pattern)) {
    keep(match.index);
    at += match[0].length;
    text += content;
    for (let i = 0; i < content.length; i++) {
      starts.push(from.starts[at - 1] as number);
      ends.push(from.ends[at - 1] as number);
    }
  }
  keep(from.text.length);
  return { text, starts, ends };
}

/** One character put before a text that is not empty; both have the range of its first. */
export function prepended(from: Traced, character: string): Traced {
  if (from.text === "") return from;
  const [start, end] = [from.starts[0] as number, from.ends[0] as number];
  return { text: character + from.text, starts: [start, ...from.starts], ends: [end, ...from.ends] };
}
