// IOB1 (Ramshaw and Marcus 1995), which CoNLL 2003's own files have: I-X begins a span too, and B-X stands only between two
// spans of one type that touch. It has the tags of BIO and means the same spans, so it is read and turned into BIO.

import { schemeOf, type Tag, tagsOf } from "./tags";

/** What sequences show of how spans begin in their file. */
export interface Beginnings {
  /** Some I-X begins a span, as BIO never has it. */
  readonly inside: boolean;
  /** Some B-X stands where IOB1 has I-X. */
  readonly apart: boolean;
}

export const NO_BEGINNINGS: Beginnings = { inside: false, apart: false };

/** Whether the tag before is of the same span or of one that touches it. */
const goesOn = (before: Tag | undefined, { type }: Tag): boolean =>
  before !== undefined && before.prefix !== "O" && before.type === type;

/** With what a further row shows. */
export function withRow({ inside, apart }: Beginnings, row: readonly Tag[]): Beginnings {
  const begins = (prefix: Tag["prefix"]) => row.some((tag, i) => tag.prefix === prefix && !goesOn(row[i - 1], tag));
  return { inside: inside || begins("I"), apart: apart || begins("B") };
}

export const isIob1 = ({ inside, apart }: Beginnings): boolean => inside && !apart;

/** The B-X of every type that files of IOB1 may have with I-X alone. */
export function withBeginnings(labels: readonly string[]): readonly string[] {
  if (schemeOf(labels) !== "BIO") return labels;
  const wanted = tagsOf(labels).flatMap(({ prefix, type }) => (prefix === "I" ? [`B-${type}`] : []));
  return [...labels, ...wanted.filter((label) => !labels.includes(label))];
}

/** A row in BIO: I-X that begins a span as B-X; the label that lacks for it, where one does. */
export function asBio(ids: readonly number[], labels: readonly string[]): readonly number[] | string {
  const tags = tagsOf(labels);
  const of = (id: number | undefined) => (id === undefined ? undefined : tags[id]);
  let lacking: string | null = null;
  const turned = ids.map((id, i) => {
    const tag = of(id) as Tag;
    if (tag.prefix !== "I" || goesOn(of(ids[i - 1]), tag)) return id;
    const begun = labels.indexOf(`B-${tag.type}`);
    if (begun < 0) lacking ??= `B-${tag.type}`;
    return begun;
  });
  return lacking ?? turned;
}
