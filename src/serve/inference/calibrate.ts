// How many inference processes, of how many threads: tried out on the version that will be served, because it depends on the
// processor, the model's width and its weights. More processes give more texts a second and hold the weights once more each;
// fewer with more threads answer a single batch sooner.

import type { OpenedVersion } from "./calls";
import type { BatchRow, Inference } from "./inference";

export interface Layout {
  readonly processes: number;
  /** Of each process. */
  readonly threads: number;
}

/** What a layout gave. */
export interface Trial extends Layout {
  readonly textsPerSecond: number;
  /** Resident bytes of one process with the version open. */
  readonly bytesEach: number;
}

/** More processes are taken where they give this much more: they cost memory, and each batch takes longer. */
const WORTH = 1.1;
/** Milliseconds of each measurement, after one batch in each process. */
const MEASURED_MS = 700;
/** A batch like those of a busy server: short texts. */
const ROWS = 16;
const TOKENS = 32;

/** From one process of all cores to a process a core, by doubling. */
export function layoutsOf(cores: number): Layout[] {
  const layouts: Layout[] = [];
  for (let processes = 1; processes < cores; processes *= 2) {
    layouts.push({ processes, threads: Math.floor(cores / processes) });
  }
  return [...layouts, { processes: cores, threads: 1 }];
}

/** Texts a second over all processes, all tasks asked. */
export async function measureRate(inference: Inference, version: string, opened: OpenedVersion): Promise<number> {
  const rows = sampleRows(opened);
  await Promise.all(Array.from({ length: inference.slots }, () => inference.run(version, rows, () => undefined)));
  const began = performance.now();
  const until = began + MEASURED_MS;
  let texts = 0;
  const keepOn = async () => {
    while (performance.now() < until) {
      await inference.run(version, rows, () => undefined);
      texts += rows.length;
    }
  };
  await Promise.all(Array.from({ length: inference.slots }, keepOn));
  return (1000 * texts) / (performance.now() - began);
}

/** Rows that ask for every task. Their ids are any: what a token is changes no time. */
export function sampleRows({ tasks, vocabSize, maxLength }: OpenedVersion, rows = ROWS): BatchRow[] {
  const length = Math.min(TOKENS, maxLength);
  return Array.from({ length: rows }, (_, row) => ({
    ids: Int32Array.from({ length }, (_, i) => (31 * row + 7 * i + 1) % vocabSize),
    typeIds: new Int32Array(length),
    tasks,
  }));
}

/**
 * The layout that is worth its processes; trying ends where more of them give less, or would not fit.
 * @param tryOut null where it did not start
 * @param memory bytes that processes may have in all
 */
export async function chooseLayout<T extends Trial>(
  layouts: readonly Layout[],
  memory: number,
  tryOut: (layout: Layout) => Promise<T | null>,
  giveUp: (trial: T) => Promise<void>,
): Promise<{ readonly chosen: T | null; readonly trials: readonly T[] }> {
  const trials: T[] = [];
  let chosen: T | null = null;
  for (const layout of layouts) {
    if (chosen && layout.processes * chosen.bytesEach > memory) break;
    const trial = await tryOut(layout);
    if (!trial) break;
    trials.push(trial);
    const better: boolean = !chosen || trial.textsPerSecond > WORTH * chosen.textsPerSecond;
    const left: T | null = better ? chosen : trial;
    if (better) chosen = trial;
    if (left) await giveUp(left);
    if (!better && trial.textsPerSecond < (chosen as T).textsPerSecond) break;
  }
  return { chosen, trials };
}
