// Where the trunk is cut into stretches that run alone. Apart from segment.ts, which loads tfjs.

/** Encoder layers `from` to `to`, without the last, over the embeddings where it is the bottom one. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly bottom: boolean;
}

/**
 * The stretches between cut points: where branches fork off, or an answer may be given early.
 * @param cuts layers, counted from 0 at the bottom; in any order, and more than once
 */
export function stretchesOf(cuts: readonly number[]): Stretch[] {
  const ordered = [...new Set(cuts)].sort((a, b) => a - b);
  return ordered.map((to, i) => ({ from: ordered[i - 1] ?? 0, to, bottom: i === 0 }));
}
