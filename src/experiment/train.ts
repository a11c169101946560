// Trains what is left of an experiment's trials, together with any other process that does the same in the same
// folder. A process prefers a task that nobody works on, so that each trunk is computed once; when there is none left
// it helps where others are, and it waits where all that is left is in others' hands. A killed process's trials are
// taken over from its last saved state.

import { setTimeout as sleep } from "node:timers/promises";
import { methodFolder } from "../checkpoints/runs/run-folder";
import type { Engine } from "../engines/engine";
import { modelError, UserError } from "../errors/errors";
import { lockHolder, tryLeaseFolder } from "../files/lock";
import { Interrupted } from "../messages/reporter";
import { mayTeach } from "../recipes/recipe";
import { inOrder } from "../recipes/sweep";
import type { SweepTrial } from "../recipes/trial/trial";
import type { Task } from "../tasks/task";
import type { RunContext } from "../training/tracking/tracker";
import { openGroup } from "./group";
import { describeSpec, groupTrials, type TrialGroup, type TrialSpec } from "./plan";
import type { Presence } from "./presence";
import type { Resolver } from "./resolve";

/** Milliseconds between two looks at what other processes have finished. */
const POLL = 1000;

/** A trial that fails by itself (a diverged loss) must not stop the others; this many in a row are no accident. */
const FAILURES_IN_A_ROW = 3;

/** What one call of trainTrials has learned. */
interface Progress {
  readonly failures: Map<number, UserError>;
  failedInARow: number;
  /** Others' claims on what this process would do: logged, once each, when there is nothing else to do. */
  readonly held: Set<string>;
  readonly told: Set<string>;
  /** Tells the others whether this process has teachers to make, and it whether they have. */
  readonly presence: Presence;
}

/**
 * Trains the trials of `mine` that are not finished, and returns when all of them are, whoever did it. Withdraws its
 * presence when it has made what it can of teachers.
 * @throws Interrupted with the state saved; UserError for failed trials when the others are done, and for students
 *   whose teacher nobody makes
 */
export async function trainTrials(
  resolver: Resolver,
  mine: readonly TrialSpec[],
  presence: Presence,
  context: RunContext<Engine>,
): Promise<void> {
  const progress: Progress = { failures: new Map(), failedInARow: 0, held: new Set(), told: new Set(), presence };
  // Another process may finish between two looks: only what is stuck twice is stuck.
  let stuck = 0;
  for (;;) {
    if (context.signal.aborted) throw new Interrupted(null);
    const open = await unfinished(resolver, mine, progress);
    if (open.every(({ recipe }) => recipe.makes !== "teachers")) await presence.withdraw();
    if (open.length === 0) break;
    if (await workOnSome(resolver, open, progress, context)) {
      stuck = 0;
      progress.held.clear();
      continue;
    }
    const others = await othersWork(resolver, open, presence);
    stuck = others === null ? stuck + 1 : 0;
    if (stuck === 2) {
      if (progress.failures.size > 0) break;
      throw await noTeacher(resolver, open[0] as TrialSpec, mine);
    }
    if (others !== null) await holdForTeachers(resolver, open, others, progress);
    tellWaiting(progress, context);
    await pause(context.signal);
  }
  if (progress.failures.size > 0) throw failed(progress.failures, mine);
}

async function unfinished(resolver: Resolver, mine: readonly TrialSpec[], { failures }: Progress) {
  const open: TrialSpec[] = [];
  for (const spec of mine) {
    if (!failures.has(spec.index) && (await resolver.outcome(spec)) === null) open.push(spec);
  }
  return open;
}

/** Works on one group of ready trials; false where there is none, or others have all of them. */
async function workOnSome(
  resolver: Resolver,
  open: readonly TrialSpec[],
  progress: Progress,
  context: RunContext<Engine>,
): Promise<boolean> {
  const ready: TrialSpec[] = [];
  for (const spec of open) if ((await resolver.resolve(spec)).kind === "trial") ready.push(spec);
  const groups: TrialGroup[] = [];
  for (const group of groupTrials(ready)) groups.push(await inOrderOfWork(resolver, group));
  for (const alone of [true, false]) {
    for (const group of groups) {
      const claim = alone
        ? await tryLeaseFolder(groupFolder(resolver, group), `${group.recipe.method} ${group.task.name}`)
        : null;
      if (claim && "heldBy" in claim) continue;
      try {
        if (await workOn(resolver, group, progress, context)) return true;
      } finally {
        await claim?.unlock();
      }
    }
  }
  return false;
}

/** The plan does not know the teacher's fork, beside which students stand: its order would run frozen layers twice. */
async function inOrderOfWork(resolver: Resolver, group: TrialGroup): Promise<TrialGroup> {
  const found: (SweepTrial & { readonly spec: TrialSpec })[] = [];
  for (const spec of group.trials) {
    const resolved = await resolver.resolve(spec);
    if (resolved.kind === "trial") found.push({ ...resolved, spec });
  }
  return { ...group, trials: inOrder(found).map(({ spec }) => spec) };
}

const groupFolder = ({ experiment: _, base, run }: Resolver, { task, recipe }: TrialGroup) =>
  methodFolder(run(task).checkpoints, base.name, task.name, recipe.method);

/** Trains the trials of a group that nobody has; whether there was one. */
async function workOn(
  resolver: Resolver,
  group: TrialGroup,
  progress: Progress,
  context: RunContext<Engine>,
): Promise<boolean> {
  const opened = openGroup(group, resolver, context);
  let worked = false;
  try {
    for (const spec of group.trials) {
      try {
        const result = await opened.train(spec);
        if (result !== "done") {
          progress.held.add(result.heldBy);
          continue;
        }
        progress.failedInARow = 0;
      } catch (error) {
        if (!(error instanceof UserError)) throw error;
        if (++progress.failedInARow >= FAILURES_IN_A_ROW) throw error;
        progress.failures.set(spec.index, error);
        const others = group.trials.length > 1 ? "; going on with the others" : "";
        context.reporter.warn(named(spec.index, error) + others);
      }
      worked = true;
      if (context.signal.aborted) throw new Interrupted(null);
    }
  } finally {
    await opened.dispose();
  }
  return worked;
}

/** Lines for the tasks whose students have no teacher yet, one each. */
async function holdForTeachers(
  resolver: Resolver,
  open: readonly TrialSpec[],
  others: string,
  { held, told }: Progress,
): Promise<void> {
  for (const { task } of groupTrials(open)) {
    if (told.has(task.name) || (await resolver.teacher(task)) !== null) continue;
    if (open.some((spec) => spec.task === task && mayTeach(spec))) continue;
    told.add(task.name);
    held.add(`${task.name} has no teacher yet: ${await unfinishedTeachers(resolver, task)}. ${others}`);
  }
}

function tellWaiting({ held, told }: Progress, { reporter }: RunContext<Engine>): void {
  for (const heldBy of held) if (!told.has(heldBy)) reporter.log(`waiting: ${heldBy}`);
  for (const heldBy of held) told.add(heldBy);
  held.clear();
}

/** Who works on an open trial, or on what an open trial's teacher waits for; null where nobody does. */
async function othersWork(resolver: Resolver, open: readonly TrialSpec[], presence: Presence): Promise<string | null> {
  const waiting = new Set<Task>();
  const watched: TrialSpec[] = [];
  for (const spec of open) {
    if ((await resolver.resolve(spec)).kind === "waiting") waiting.add(spec.task);
    else watched.push(spec);
  }
  for (const spec of resolver.trials) {
    if (mayTeach(spec) && waiting.has(spec.task) && (await resolver.outcome(spec)) === null) {
      watched.push(spec);
    }
  }
  for (const spec of watched) {
    const found = await resolver.resolve(spec);
    const holder = found.kind === "trial" ? await lockHolder(found.trial.folder) : null;
    if (holder !== null) return holder;
  }
  return waiting.size > 0 ? presence.others() : null;
}

async function noTeacher(resolver: Resolver, spec: TrialSpec, mine: readonly TrialSpec[]): Promise<UserError> {
  const { file } = resolver.experiment;
  const step = [...resolver.trials].find(mayTeach)?.recipe.method;
  const next = mine.some(mayTeach)
    ? "All that this share could train is trained. The others are of other shares: run those, then this command again"
    : `Run: flexbert run ${file} --only ${step}, with the same --out, then this command again`;
  return modelError(
    `trial ${spec.index} (${describeSpec(spec)}) waits for its teacher: ${await unfinishedTeachers(resolver, spec.task)}, ` +
      `and no process works on them. ${next}`,
  );
}

/** "2 of 4 fine-tuning trials of rte are not finished (1, 3)". */
async function unfinishedTeachers(resolver: Resolver, task: Task): Promise<string> {
  const own = [...resolver.trials].filter((spec) => mayTeach(spec) && spec.task === task);
  const missing: number[] = [];
  for (const trial of own) if ((await resolver.outcome(trial)) === null) missing.push(trial.index);
  const listed = missing.length > 8 ? `${missing.slice(0, 8).join(", ")}, ...` : missing.join(", ");
  return `${missing.length} of ${own.length} fine-tuning trials of ${task.name} are not finished (${listed})`;
}

function failed(failures: ReadonlyMap<number, UserError>, mine: readonly TrialSpec[]): UserError {
  const [first] = failures.values();
  if (failures.size === 1 && mine.length === 1) return first as UserError;
  const lines = [...failures].map(([index, error]) => named(index, error));
  return new UserError((first as UserError).exitCode, [`${failures.size} of ${mine.length} trials failed`, ...lines]);
}

/** A diverged loss names its trial by itself; a full disk does not. */
const named = (index: number, { lines }: UserError) =>
  lines[0]?.startsWith("trial ") ? lines.join("; ") : `trial ${index}: ${lines.join("; ")}`;

async function pause(signal: AbortSignal): Promise<void> {
  await sleep(POLL, undefined, { signal }).catch(() => undefined); // the loop looks at the signal
}
