// What most commands begin with: the user's tasks, the base and the engine, each with its line in the log.

import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import type { Base, BaseDescription, BaseOutline } from "../checkpoints/bases/base";
import type { Engine } from "../engines/engine";
import { usageError } from "../errors/errors";
import type { DeviceChoice, EngineChoice, Precision } from "../settings/engine";
import type { Task } from "../tasks/task";
import type { RunContext } from "../training/tracking/tracker";
import type { Call } from "./caller";

/** Read from the working folder without being named. */
export const DEFAULT_TASKS = "tasks.yaml";

/** --tasks FILE, or tasks.yaml in the working folder where it lies. */
export function tasksFileOf(values: { readonly tasks: string | undefined }): string | null {
  return values.tasks ?? (existsSync(DEFAULT_TASKS) ? DEFAULT_TASKS : null);
}

/** The tasks of that file. */
export async function userTasks(values: { readonly tasks: string | undefined }): Promise<Task[]> {
  const file = tasksFileOf(values);
  if (file === null) return [];
  return (await import("../tasks/user-tasks.js")).readUserTasks(file);
}

/**
 * The tasks that --task names, or without it those that are ready.
 * @param isReady decides which of all known tasks count where none was named
 */
export async function chosenTasks(
  values: { readonly task: string | undefined; readonly tasks: string | undefined },
  isReady: (task: Task) => boolean | Promise<boolean>,
): Promise<Task[]> {
  const { resolveTasks } = await import("../tasks/registry.js");
  const known = resolveTasks(values.task, await userTasks(values));
  if (values.task !== undefined && values.task !== "all") return known;
  const ready: Task[] = [];
  for (const task of known) if (await isReady(task)) ready.push(task);
  return ready;
}

/** These tasks with their labels, and what those are where the data says. Throws as `withLabels`. */
export async function labelledTasks(tasks: readonly Task[], call: Call, given?: readonly string[]): Promise<Task[]> {
  const { withLabels } = await import("../data/labels.js");
  if (given && tasks.length !== 1) throw usageError("--labels names those of one task. Give --task NAME");
  const labelled: Task[] = [];
  for (const task of tasks) labelled.push(await withLabels(task, given));
  tellLabels(labelled, call);
  return labelled;
}

/** Labels that a line of the log names. */
const shownLabels = 12;

/** What the data of these tasks says of their labels. */
export function tellLabels(tasks: readonly Task[], { reporter }: Call): void {
  for (const { name, labels, labelsFrom } of tasks) {
    if (!labelsFrom || labels.length === 0) continue;
    const more = labels.length > shownLabels ? `, ... ${labels.at(-1)}` : "";
    reporter.log(
      `${name}: ${labels.length} labels from its train file: ${labels.slice(0, shownLabels).join(", ")}${more}`,
    );
  }
}

interface BaseValues {
  readonly base: string;
  readonly lowerCase?: boolean | undefined;
}

export async function openBaseOf(values: BaseValues, call: Call): Promise<Base> {
  const { openBase } = await import("../checkpoints/bases/base.js");
  return noted(await openBase(values.base, { lowerCase: values.lowerCase }), call);
}

/** The base by its hash, for what reads no weights: half the time, and none of the memory. */
export async function describeBaseOf(values: BaseValues, call: Call): Promise<BaseDescription> {
  const { describeBase } = await import("../checkpoints/bases/base.js");
  return noted(await describeBase(values.base, { lowerCase: values.lowerCase }), call);
}

/** Its config and tokenizer alone. */
export async function outlineBaseOf(values: BaseValues, call: Call): Promise<BaseOutline> {
  const { outlineBase } = await import("../checkpoints/bases/base.js");
  return noted(await outlineBase(values.base, { lowerCase: values.lowerCase }), call);
}

function noted<B extends BaseOutline>(base: B, call: Call): B {
  for (const note of base.notes ?? []) call.reporter.log(note);
  return base;
}

export interface EngineValues {
  readonly engine: EngineChoice;
  /** Of the onnx engine. Absent: the CPU. */
  readonly device?: DeviceChoice;
  readonly threads: number | undefined;
  /** Absent: float32. */
  readonly precision?: Precision;
}

/** An open engine with what work on it takes. */
export interface Session extends RunContext<Engine> {
  /** Closes the engine, unless the caller opened it. */
  close(): void;
}

/** Opens the engine and says which one runs and why; the caller's own is taken as it is. */
export async function openSession(values: EngineValues, call: Call): Promise<Session> {
  if (call.engine) {
    return { engine: call.engine, reporter: call.reporter, signal: call.signal, close: () => undefined };
  }
  const { openEngine } = await import("../engines/open.js");
  const { engine, why } = await openEngine(values.engine, {
    verbose: call.verbose ?? false,
    precision: values.precision ?? "float32",
    device: values.device ?? "cpu",
    ...(values.threads === undefined ? {} : { threads: values.threads }),
  });
  call.reporter.log(`engine: ${engine.summary}; ${why}`);
  warnOfThreads(engine, call);
  return { engine, reporter: call.reporter, signal: call.signal, close: () => engine.dispose() };
}

/** Threads that wait for each other's core make a step ten times slower and more. */
export function warnOfThreads({ name, threads }: Pick<Engine, "name" | "threads">, { reporter }: Call): void {
  const cores = availableParallelism();
  if (threads <= cores) return;
  reporter.warn(
    `${name} runs on ${threads} threads, more than the ${cores} cores here: that is slower. Give --threads ${cores}`,
  );
}

/** --seed 7 is that one, --seeds 5 is 1 to 5; one seed, 1, without either. */
export function seedsOf({
  seed,
  seeds,
}: {
  readonly seed: number | undefined;
  readonly seeds: number | undefined;
}): number[] {
  if (seed !== undefined) return [seed];
  return Array.from({ length: seeds ?? 1 }, (_, i) => i + 1);
}
