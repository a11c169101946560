// The stages of an experiment, each of which waits for the one before: a recipe's trials, packed into jobs, and then the steps
// after training. Teachers are chosen in no job of their own: every student's job reads them from the run folders, and all
// come to the same (experiment/resolve.ts). A stage of trials begins when the one before has ended, however: one trial that
// diverged takes its own task's students with it and no others. What comes after training needs all of it.

/** What stages read of a trial: a plan may have a hundred thousand. */
export interface LeftTrial {
  readonly index: number;
  /** The recipe's method. */
  readonly method: string;
  readonly task: string;
  readonly flops: number;
}

export interface Stage {
  /** A recipe's method, or select, merge, report. */
  readonly name: string;
  /** Trials of each job, "0-3,7"; null for a step after training. */
  readonly packs: readonly string[] | null;
  /** When it begins: when the one before has ended, or when all before have succeeded. */
  readonly after: "ended" | "succeeded";
}

/** Jobs that are handed over in one piece: a stage, or what of it fits into an array. */
export interface JobArray {
  /** "finetune", or "finetune-1" of several. */
  readonly name: string;
  readonly stage: Stage;
  /** The trials of each job as --trial takes them; of a step after training one job without any. */
  readonly packs: readonly string[];
}

/** Seconds: a shorter trial is packed with others of its task, up to jobs of five minutes. */
const SHORT = 60;
const PACKED = 300;

/**
 * @param trials those that are left, in the plan's order
 * @param last the steps after training
 * @param secondsOf what a trial is thought to take
 */
export function listStages(
  trials: readonly LeftTrial[],
  last: readonly string[],
  pack: "auto" | number,
  secondsOf: (trial: LeftTrial) => number,
): Stage[] {
  const methods = [...new Set(trials.map(({ method }) => method))];
  const training = methods.map((name): Stage => {
    const own = trials.filter(({ method }) => method === name);
    return { name, packs: packsOf(own, pack, secondsOf), after: "ended" };
  });
  return [...training, ...last.map((name): Stage => ({ name, packs: null, after: "succeeded" }))];
}

/** Trials of one task alone share a job: they share its trunk. */
function packsOf(
  trials: readonly LeftTrial[],
  pack: "auto" | number,
  secondsOf: (trial: LeftTrial) => number,
): string[] {
  const packs: { task: string; seconds: number; indices: number[] }[] = [];
  for (const trial of trials) {
    const seconds = secondsOf(trial);
    const open = packs.at(-1);
    const fits =
      open !== undefined &&
      open.task === trial.task &&
      (pack === "auto"
        ? seconds < SHORT && open.seconds / open.indices.length < SHORT && open.seconds + seconds <= PACKED
        : open.indices.length < pack);
    if (fits) {
      open.seconds += seconds;
      open.indices.push(trial.index);
    } else packs.push({ task: trial.task, seconds, indices: [trial.index] });
  }
  return packs.map(({ indices }) => asRanges(indices));
}

/** [0, 1, 2, 7] as "0-2,7". */
export function asRanges(indices: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const index of indices) {
    const open = ranges.at(-1);
    if (open && index === open[1] + 1) open[1] = index;
    else ranges.push([index, index]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
}

/** "0-2,7" as [0, 1, 2, 7]; nothing where it is "". */
export function fromRanges(ranges: string): number[] {
  return ranges.split(",").flatMap((range) => {
    if (range === "") return [];
    const [first = 0, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** Stages in pieces that the job system takes. */
export function arraysOf(stages: readonly Stage[], largest: number): JobArray[] {
  return stages.flatMap((stage) => {
    if (stage.packs === null) return [{ name: stage.name, stage, packs: [] }];
    const count = Math.ceil(stage.packs.length / largest);
    return Array.from({ length: count }, (_, i) => ({
      name: count === 1 ? stage.name : `${stage.name}-${i}`,
      stage,
      packs: (stage.packs as readonly string[]).slice(i * largest, (i + 1) * largest),
    }));
  });
}

/** Those arrays that a stage waits for: of stages before it. @param order the stages of the file */
export const waitsFor = <T extends { readonly stage: string }>(
  stage: Stage,
  arrays: readonly T[],
  order: readonly string[],
): readonly T[] => arrays.filter((one) => order.indexOf(one.stage) < order.indexOf(stage.name));
