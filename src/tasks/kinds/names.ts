// Labels by name: reading one from a file.

import { unseenDifference } from "../../messages/look-alikes";
import { nearest } from "../../messages/nearest";
import type { Labelled, Written } from "./kind";

/** Labels that a problem lists. */
const shownLabels = 8;

/** The id of the label that is written so, or why it is none. */
export function readName(cell: string, { labels }: Labelled, { spellings }: Written): number | string {
  const name = spellings ? (Object.hasOwn(spellings, cell) ? spellings[cell] : undefined) : cell;
  const id = name === undefined ? -1 : labels.indexOf(name);
  if (id >= 0) return id;
  const allowed = spellings ? Object.keys(spellings) : labels;
  const listed = allowed.slice(0, shownLabels).join(", ") + (allowed.length > shownLabels ? ", ..." : "");
  for (const label of allowed) {
    const difference = unseenDifference(cell, label);
    if (difference) return `unknown label "${cell}", which differs from "${label}" ${difference}`;
  }
  const candidate = nearest(cell, allowed);
  return `unknown label "${cell}", ${candidate ? `nearest "${candidate}" of` : "not one of"} ${listed}`;
}
