// The one runner of trials: it opens a task's trunk when the first branch needs it, lets the recipe prepare once, and
// hands each trial that is not finished to the loop. Commands and quickstart run whole sweeps; an experiment trains
// those trials of one that it could claim.

import { type Base, type BaseDescription, withWeights } from "../checkpoints/bases/base";
import type { StoredRun } from "../checkpoints/runs/run-folder";
import type { Engine } from "../engines/engine";
import { canonicalJson } from "../files/hash";
import { sharedTensors } from "../model/parameters";
import type { Place } from "../model/place";
import type { ChooseBy } from "../settings/selection";
import type { ExecutionOptions, TrainingOptions } from "../settings/training";
import { headOf, type Task } from "../tasks/task";
import type { RunContext } from "../training/tracking/tracker";
import { searchByHalving } from "./halving/halving";
import { describeSettings, type Recipe, type Variant } from "./recipe";
import { readTaskData } from "./trial/task-data";
import { checkTeacher } from "./trial/teacher";
import type { TransferPlaces } from "./trial/transfer";
import { finishedRun, runLockedTrial, runTrial, type SweepTrial, type TrialTraining } from "./trial/trial";
import { openTrunks } from "./trial/trunks";
import { isNeeded, readTransfers, type SweepSettings, sweepTrial, whyNot } from "./trial/variants";

/** One task's trials of one recipe: every variant with every seed. */
export interface Sweep {
  readonly recipe: Recipe;
  readonly task: Task;
  /** Its weights are read where the first trial needs them, unless they are here. */
  readonly base: BaseDescription | Base;
  /** Of what makes students: a finished run of this task on this base, not full. */
  readonly teacher?: StoredRun;
  /** Its other seeds, for variants with several teachers. */
  readonly seedsOfTeacher?: readonly StoredRun[];
  /** Where the sources of variants' transfer sets are found. */
  readonly transferPlaces?: TransferPlaces;
  /** As the recipe's settings give them. */
  readonly variants: readonly Variant[];
  readonly seeds: readonly number[];
  readonly training: TrainingOptions;
  readonly run: ExecutionOptions;
  /** Stops those that lag behind, comparing them over their seeds by this. */
  readonly halving?: ChooseBy | undefined;
}

/**
 * Trains every trial of a sweep; with halving, those that it does not stop. Finished trials are returned as they are; an
 * unfinished one goes on where it stopped. Throws Interrupted when the context's signal is aborted, with the state saved.
 * @param read the sweep's data, where the caller has it already
 * @returns one run a trial, in the order of variants; students that are no smaller than their teacher are left out, and
 *   the log says so; those that halving stopped are marked so
 */
export async function runSweep(
  sweep: Sweep,
  context: RunContext<Engine>,
  read: SweepSettings | null = null,
): Promise<StoredRun[]> {
  const needed = neededVariants(sweep, context);
  if (needed.length === 0) return [];
  const { run, halving } = sweep;
  const settings = read ?? (await readSweep(sweep));
  const trials = trialsOf(sweep, settings, needed);
  const opened = openSweep(settings, run, context, revisitedForks(trials, settings.teacher, halving !== undefined));
  const train = (planned: SweepTrial, force: boolean, until?: number) =>
    opened.train(planned, { label: labelOf(planned), force, until });
  try {
    if (halving) return await searchByHalving(trials, train, sweep, halving, context);
    const runs: StoredRun[] = [];
    for (const planned of trials) {
      runs.push((await finishedRun(planned.trial, run.force)) ?? (await train(planned, run.force)));
    }
    return runs;
  } finally {
    await opened.dispose();
  }
}

/** The trials of a sweep as they would be run. Reads and encodes the data; trains nothing. */
export async function plannedTrials(
  sweep: Sweep,
): Promise<{ readonly settings: SweepSettings; readonly trials: readonly SweepTrial[] }> {
  const settings = await readSweep(sweep);
  const needed = sweep.variants.filter((variant) => isNeeded(variant, settings.teacher));
  return { settings, trials: trialsOf(sweep, settings, needed) };
}

const noPlaces: TransferPlaces = { tasks: [], all: [], folder: "." };

/** What the trials of a sweep have in common, its data read and encoded. */
export async function readSweep(sweep: Sweep): Promise<SweepSettings> {
  const { recipe, task, base, teacher, seedsOfTeacher, transferPlaces, variants, training, run } = sweep;
  if (teacher) checkTeacher(teacher, task, base);
  return {
    recipe,
    task,
    base,
    teacher: teacher ?? null,
    ...(seedsOfTeacher ? { seedsOfTeacher } : {}),
    training,
    data: await readTaskData(task, base, training.maxLength, run),
    transfers: await readTransfers(variants, task, transferPlaces ?? noPlaces, run),
  };
}

/** Each once: a fork that was asked for may be the teacher's, which was asked for too. */
function trialsOf({ seeds, run }: Sweep, settings: SweepSettings, variants: readonly Variant[]): SweepTrial[] {
  const trials = variants.flatMap((variant) =>
    seeds.map((seed) => sweepTrial(settings, variant, seed, run.checkpoints)),
  );
  return inOrder([...new Map(trials.map((planned) => [planned.trial.folder, planned])).values()]);
}

const lessonOf = ({ settings }: Planned): string =>
  canonicalJson({ lesson: settings.recipe.lesson?.(settings) ?? null });

type Planned = Pick<SweepTrial, "settings">;

/**
 * In the order in which most is computed once: trials of one lesson together, from the shallowest fork to the deepest; full
 * branches, which have none, first.
 */
export function inOrder<T extends Planned>(trials: readonly T[]): T[] {
  const lessons = [...new Set(trials.map(lessonOf))];
  const fork = ({ settings }: Planned) => settings.place.fork ?? -1;
  return lessons.flatMap((lesson) =>
    trials.filter((trial) => lessonOf(trial) === lesson).sort((a, b) => fork(a) - fork(b)),
  );
}

/**
 * Forks that the trunk comes back to: those under the teacher's, whose outputs are the first that is computed; with
 * halving, or lessons one after the other, all, and the teacher's.
 */
export function revisitedForks(trials: readonly Planned[], teacher: StoredRun | null, halving = false): number[] {
  const forks = new Set(trials.flatMap(({ settings }) => settings.place.fork ?? []));
  const first = teacher?.record.fork ?? 0;
  const rounds = new Set(trials.map(lessonOf)).size;
  if (teacher && rounds > 1 && forks.size > 1) return [...forks.add(first)];
  return [...forks].filter((fork) => halving || fork < first);
}

function neededVariants({ task, base, teacher, variants }: Sweep, { reporter }: RunContext<Engine>): Variant[] {
  if (!teacher) return [...variants];
  checkTeacher(teacher, task, base);
  for (const variant of variants) {
    const reason = whyNot(variant, teacher);
    if (reason !== null) reporter.log(`${task.name}: ${reason}`);
  }
  return variants.filter((variant) => isNeeded(variant, teacher));
}

/** "rte k=5 seed 1". */
const labelOf = ({ settings }: SweepTrial): string =>
  `${settings.task.name} ${describeSettings(settings).label} seed ${settings.seed}`;

export interface TrainHow {
  /** How logs name the trial. */
  readonly label: string;
  /** Begins anew, whatever is there. */
  readonly force: boolean;
  /** As in TrialTraining. */
  readonly until?: number | undefined;
  /** The caller holds the lock of its folder. */
  readonly locked?: boolean;
}

export interface OpenSweep {
  train(planned: SweepTrial, how: TrainHow): Promise<StoredRun>;
  dispose(): Promise<void>;
}

/**
 * Opens what the trials of a sweep share. Nothing is computed before the first of them is trained.
 * @param revisited as in openTrunks
 */
export function openSweep(
  { recipe, task, base, teacher, data }: Omit<SweepSettings, "training" | "seedsOfTeacher" | "transfers">,
  run: ExecutionOptions,
  context: RunContext<Engine>,
  revisited: readonly number[] = [],
): OpenSweep {
  for (const note of data.notes) context.reporter.warn(note);
  const { dispose, ...trunks } = openTrunks(task, base, data, run, context, revisited);
  let prepared: { readonly value: unknown } | null = null;
  return {
    async train({ trial, settings }, { label, force, until, locked = false }) {
      const weights = await withWeights(base);
      if (!prepared && settings.init !== "teacher") tellNewPooler(task, weights, context);
      prepared ??= { value: await recipe.prepare({ ...context, task, base: weights, teacher, data, ...trunks }) };
      const { extra, ...recipes } = await recipe.work({ ...settings, base: weights }, prepared.value);
      const work = withTrunk(recipes, settings.place, weights);
      const sources: TrialTraining["sources"] = await trunks.under(settings.place);
      const { transfer, place } = settings;
      const beside =
        extra && transfer ? { extra: { ...extra, source: await trunks.transferred(transfer, place) } } : {};
      const training = {
        trial,
        settings,
        run: { ...run, force },
        label,
        sources: { ...sources, ...beside },
        work,
        until,
      };
      return locked ? runLockedTrial(training, context) : runTrial(training, context);
    },
    async dispose() {
      if (prepared) await recipe.release?.(prepared.value);
      await dispose();
    },
  };
}

/** What the branch's layers read of the frozen trunk, beside what the recipe has. A full branch trains its own. */
function withTrunk(work: TrialTraining["work"], { fork }: Place, { tensors }: Base): TrialTraining["work"] {
  const shared = fork === null ? {} : sharedTensors(tensors);
  if (Object.keys(shared).length === 0) return work;
  return { ...work, beside: { ...work.beside, frozen: { ...work.beside?.frozen, ...shared } } };
}

/** Bases of token classifiers have none: what begins at random is not what others fine-tune. */
function tellNewPooler(task: Task, { name, config, tensors }: Base, { reporter }: RunContext<Engine>): void {
  const lacking = headOf(task, config).some((parameter) => parameter.ofBase && !(parameter.name in tensors));
  if (lacking) reporter.log(`${name} has no pooler, which the head of ${task.name} reads: a new one begins at random`);
}
