// Forks of students: `same` (their teacher's), `2-5`, `3`, `same,2-5`; and which of them have room for how many layers.

import { usageError } from "../errors/errors";
import type { K, LayerRange } from "./layers";
import { type Range, rangeReader } from "./ranges";

/** A value of --student-forks: so many frozen layers, or as many as the teacher has. */
export type Fork = number | "same";

/** What --student-forks asked for: "same" first, then from the shallowest. */
export type ForkRange = Range<"same">;

const read = rangeReader(["same"], 0, "forks such as same, 2-5, 3 or same,2,4");

/** Reader of a fork range. */
export function forkRange(given: unknown): ForkRange {
  const { values, ...range } = read(given);
  const depth = (fork: Fork) => (fork === "same" ? -1 : fork);
  return { ...range, values: values.toSorted((a, b) => depth(a) - depth(b)) };
}

/** Layers above a fork. */
export interface ForkedLayers {
  readonly fork: Fork;
  readonly layers: number;
}

/** The two options by their flags or keys, as messages name them. */
export interface ForkNames {
  readonly forks: string;
  readonly layers: string;
}

/**
 * Every number of layers above every fork that a base of `total` layers has room for, from the shallowest fork to the
 * deepest, above each from the most layers to the fewest; with the log line where ranges were cut. Above the teacher's
 * fork all have room: a student that is no smaller than its teacher is not made.
 * Throws usageError (2) for a fork or a number of layers that was named alone and has no place.
 */
export function fitForks(
  names: ForkNames,
  forks: ForkRange,
  counts: { readonly range: LayerRange; readonly values: readonly K[] },
  total: number,
): { places: ForkedLayers[]; note: string | null } {
  const layers = (counts.values as number[]).toSorted((a, b) => b - a);
  const hasRoom = (fork: Fork, own: number) => fork === "same" || fork + own <= total;
  const places = forks.values.flatMap((fork) =>
    layers.filter((own) => hasRoom(fork, own)).map((own) => ({ fork, layers: own })),
  );
  requireRoom(names, forks, counts.range, places, total);
  if (places.length === forks.values.length * layers.length) return { places, note: null };
  const running = layers.toReversed().flatMap((own) => {
    const on = places.filter((place) => place.layers === own).map(({ fork }) => fork);
    return on.length > 0 ? [`${own} on ${describe(on)}`] : [];
  });
  const note = `${names.forks} ${forks.text}: the base has ${total} layers, running students of ${running.join("; ")}`;
  return { places, note };
}

function requireRoom(
  names: ForkNames,
  forks: ForkRange,
  counts: LayerRange,
  places: readonly ForkedLayers[],
  total: number,
): void {
  const least = Math.min(...(counts.values as number[]));
  const base = `the base has ${total} layers`;
  const isLost = (fork: number) => !places.some((place) => place.fork === fork);
  const asked = forks.values.filter((fork) => fork !== "same");
  const lost = forks.singles.find(isLost) ?? (asked.every(isLost) ? asked[0] : undefined);
  if (lost !== undefined) {
    throw usageError(
      `--${names.forks} ${forks.text}: ${base}, and above fork ${lost} there is no room for ${least}. ` +
        `Give forks of at most ${total - least}`,
    );
  }
  const homeless = counts.singles.find((own) => !places.some((place) => place.layers === own));
  if (homeless === undefined) return;
  const shallowest = forks.values[0] as number;
  throw usageError(
    `--${names.layers} ${counts.text}: ${base}, and above fork ${shallowest} there is no room for ${homeless}. ` +
      `Give at most ${total - shallowest}, or a shallower --${names.forks}`,
  );
}

/** same,2-5 */
function describe(forks: readonly Fork[]): string {
  const numbers = forks.filter((fork) => fork !== "same");
  const runs: [number, number][] = [];
  for (const fork of numbers) {
    const last = runs.at(-1);
    if (last && last[1] === fork - 1) last[1] = fork;
    else runs.push([fork, fork]);
  }
  const written = runs.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`));
  return [...(forks.includes("same") ? ["same"] : []), ...written].join(",");
}
