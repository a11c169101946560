// What the loss reads of words, as labels of tokens; and words' logits, taken from those of the tokens that decide them.

import { OUTSIDE, tagsOf } from "../tasks/tags";
import type { Task } from "../tasks/task";
import type { WordWindow } from "./windows";

/** Tokens that decide words, and the words' places among all whose logits are kept. */
export interface WordPlaces {
  readonly positions: Int32Array;
  readonly places: Int32Array;
}

/** A tag id for each token; -1 where the loss reads none. Pieces behind the first go on with the span that it begins. */
export function pieceLabels(
  { wordOf, positions, words }: WordWindow,
  label: readonly number[] | null,
  { tags: rules, labels }: Pick<Task, "tags" | "labels">,
): Int32Array {
  const ids = new Int32Array(wordOf.length).fill(-1);
  if (!label) return ids;
  if (rules?.pieces === "all") {
    for (const [token, word] of wordOf.entries()) if (word >= 0) ids[token] = goingOn(label[word] as number, labels);
  }
  for (const [i, position] of positions.entries()) ids[position] = label[words[i] as number] as number;
  return ids;
}

/** I-X behind a piece of B-X, where there is such a tag. */
function goingOn(id: number, labels: readonly string[]): number {
  const tags = tagsOf(labels);
  const { prefix, type } = tags[id] as (typeof tags)[number];
  if (prefix !== "B") return id;
  const inside = tags.findIndex((tag) => tag.prefix === "I" && tag.type === type);
  return inside < 0 ? id : inside;
}

/** How much more than others the tag outside of spans is given, where a word has no token. */
const SURELY = 20;

/** Room for logits [words, labels]: until a token decides a word, it is outside of every span. */
export function emptyWordLogits(words: number, labels: readonly string[]): Float32Array {
  const logits = new Float32Array(words * labels.length);
  const outside = labels.indexOf(OUTSIDE);
  for (let word = 0; word < words && outside >= 0; word++) logits[word * labels.length + outside] = SURELY;
  return logits;
}

/** Puts logits [tokens, labels] of a row where its words' are. */
export function placeLogits(
  into: Float32Array,
  logits: Float32Array,
  { positions, places }: WordPlaces,
  width: number,
): void {
  for (const [i, position] of positions.entries()) {
    into.set(logits.subarray(position * width, (position + 1) * width), (places[i] as number) * width);
  }
}
