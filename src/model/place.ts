// Where a branch stands on the base: the frozen layers under it, and its own above them. Whatever is trained, merged or
// served carries its place; `k` is how people write that of a branch that reaches the base's top.

import type { Fork } from "../options/forks";
import type { K } from "../options/layers";

export interface Place {
  /**
   * Frozen layers under it, which it shares; null where it has embeddings of its own: a full branch, which trains every layer
   * of the base, and a whole student, which has fewer.
   */
  readonly fork: number | null;
  /** Encoder layers of its own. */
  readonly layers: number;
}

/** A place that a sweep asks for: "teacher" is the fork of the task's teacher, which may not be chosen yet. */
export interface PlaceRequest {
  readonly fork: Place["fork"] | "teacher";
  readonly layers: number;
}

/** A place as --student-forks and --student-layers say it. */
export const placeRequest = ({ fork, layers }: { readonly fork: Fork; readonly layers: number }): PlaceRequest => ({
  fork: fork === "same" ? "teacher" : fork,
  layers,
});

/** The branch of a base of `total` layers that trains its top k. */
export const placeOf = (total: number, k: K): Place =>
  k === "full" ? { fork: null, layers: total } : { fork: total - k, layers: k };

/** Of each k once, deepest first: a full branch, then k from the largest to the smallest. */
export const placesOf = (total: number, ks: readonly K[]): Place[] =>
  [...new Set(ks)].map((k) => placeOf(total, k)).sort((a, b) => byK(b, a));

/** What --k calls it; of a student, which need not reach the top or have all of the base's layers, its layers. */
export const kOf = ({ fork, layers }: PlaceRequest, makes: "teachers" | "students" = "teachers"): K =>
  fork === null && makes === "teachers" ? "full" : layers;

/** How names of folders have it, so that they sort by layers: "k05", "kfull". */
export const kName = (place: PlaceRequest): string => `k${String(kOf(place)).padStart(2, "0")}`;

/** From the fewest layers to the most; full branches last. */
export const byK = (a: Place, b: Place): number =>
  Number(a.fork === null) - Number(b.fork === null) || a.layers - b.layers;

/**
 * Whether a student there can cost less than its teacher, alone or beside others: it has fewer layers of its own, or ends
 * lower. A full teacher shares nothing, so that every student that shares does; a whole student has fewer layers than its
 * teacher with those under it.
 */
export const isSmaller = (student: Place, teacher: Place): boolean => {
  if (student.fork === null) return student.layers < ownLayers(teacher)[1];
  return teacher.fork === null || student.layers < teacher.layers || ownLayers(student)[1] < ownLayers(teacher)[1];
};

/** The lowest of its encoder layers and the one past its topmost, counted from 0 at the bottom of the base. */
export function ownLayers({ fork, layers }: Place): readonly [from: number, to: number] {
  const from = fork ?? 0;
  return [from, from + layers];
}
