// Rows of a request to their logits: what is known already, admission, tokens, the engine. The version is held until the last
// batch has ended, which may be after the answer.

import { setImmediate } from "node:timers/promises";
import { ownLayers } from "../model/place";
import type { BatchRun } from "./inference/inference";
import type { Hold, Live } from "./model/live";
import type { Served, Unit, VersionTask } from "./model/served";
import { type AnswerCache, rowKey } from "./schedule/answers";
import type { Batches, Times } from "./schedule/batches";
import type { Queue } from "./schedule/queue";
import { joinUnits, type TakeLogits } from "./units";

/** A row, and the tasks of the held version that are asked of it. */
export interface AskedRow {
  readonly text: string;
  readonly pair: string | null;
  readonly tasks: readonly VersionTask[];
  /** As much doubt as may be left where it leaves early: as BatchRow.exit. */
  readonly exit?: number | undefined;
}

export interface AskOptions {
  /** When the answer is of no use any more, as performance.now() counts. */
  readonly deadline?: number | undefined;
  /** Aborted when the client is gone. */
  readonly signal?: AbortSignal | undefined;
  /** The request was admitted: what comes is its answer. */
  readonly onAdmitted?: (() => void) | undefined;
  /** Logits [outputs], or [words, outputs], as soon as they are there. */
  readonly onLogits: TakeLogits;
}

export interface Answered {
  /** ms of reading texts into tokens, of waiting, and of the engine. */
  readonly times: Times & { readonly tokenized: number };
  /** Logits that came from the cache. */
  readonly known: number;
  /** Of each task that ran the encoder layers that its rows passed, those of the row that passed most. */
  readonly passed: ReadonlyMap<VersionTask, number>;
  /** What its batches ran, when they have ended. */
  readonly ended: Promise<readonly BatchRun[]>;
}

/** The deadline passed first. */
export class DeadlinePassed extends Error {}

/** The client is gone: nobody is told. */
export class ClientGone extends Error {}

export interface Asking {
  readonly live: Live;
  readonly queue: Queue;
  readonly batches: Batches;
  /** null where repeated texts are run again. */
  readonly cache: AnswerCache | null;
}

/** Throws QueueFull, before any text is tokenized; {@link DeadlinePassed}, {@link ClientGone}, and InferenceLost. */
export async function ask(
  { queue, batches, cache }: Asking,
  hold: Hold,
  rows: readonly AskedRow[],
  { deadline, signal, onAdmitted, onLogits }: AskOptions,
): Promise<Answered> {
  const { served } = hold;
  const found = cache ? findKnown(cache, rows) : null;
  const missing = found ? found.missing : rows.map((row, index) => ({ ...row, index }));
  const handOut = () => {
    for (const { row, task, logits } of found?.known ?? []) onLogits(row, task, logits);
  };
  const known = found?.known.length ?? 0;
  if (missing.length === 0) {
    onAdmitted?.();
    handOut();
    return { times: { tokenized: 0, queued: 0, ran: 0 }, known, passed: new Map(), ended: Promise.resolve([]) };
  }
  // What is late already is not to be asked again later, as a full queue would say.
  if (deadline !== undefined && deadline <= performance.now()) throw new DeadlinePassed();
  const work = missing.reduce((sum, row) => sum + served.guessWork(row, row.tasks), 0);
  const ticket = queue.admit({ version: served.id, rows: missing.length, work, deadline });
  let stopped: Error | null = null;
  const stop = (reason: Error) => {
    stopped ??= reason;
    queue.drop(ticket);
    batches.cancel(ticket, reason);
  };
  const onAbort = () => stop(new ClientGone());
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) onAbort();
  const timer =
    deadline === undefined
      ? null
      : setTimeout(() => stop(new DeadlinePassed()), Math.max(0, deadline - performance.now()));
  try {
    onAdmitted?.();
    handOut();
    const began = performance.now();
    const units = await tokenize(served, missing, () => stopped !== null);
    const tokenized = performance.now() - began;
    if (stopped) throw stopped;
    const held = hold.again();
    const passed = new Map<VersionTask, number>();
    const give = joinUnits(rows, units, (row, task, logits, layer) => {
      const layers = layer ?? ownLayers(task)[1];
      passed.set(task, Math.max(passed.get(task) ?? 0, layers));
      found?.keep(row, task, logits);
      // By what was asked, and not by whether a neighbour might leave.
      onLogits(row, task, logits, mayLeave(rows[row], task) ? layers : undefined);
    });
    const waiting = units.map((unit, index) => ({ ...unit, index }));
    const { answered, ended } = batches.run(ticket, waiting, ({ index, task, logits, layer }) =>
      give(index, served.task(task) as VersionTask, logits, layer),
    );
    void ended.then(held.release);
    return { times: { ...(await answered), tokenized }, known, passed, ended };
  } catch (error) {
    stop(error as Error);
    throw error;
  } finally {
    if (timer) clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

/** ms of tokenizing after which other requests have their turn. */
const TURN_MS = 2;

async function tokenize(
  served: Served,
  rows: readonly (AskedRow & { readonly index: number })[],
  isStopped: () => boolean,
): Promise<(Unit & { readonly row: number })[]> {
  const units: (Unit & { readonly row: number })[] = [];
  let began = performance.now();
  for (const row of rows) {
    if (performance.now() - began > TURN_MS) {
      await setImmediate();
      if (isStopped()) return [];
      began = performance.now();
    }
    const { exit } = row;
    const leaving = exit === undefined ? {} : { exit };
    for (const unit of served.encode(row, row.tasks)) units.push({ ...unit, ...leaving, row: row.index });
  }
  return units;
}

const mayLeave = (row: AskedRow | undefined, { exitRule }: VersionTask): boolean =>
  exitRule !== undefined && (row?.exit ?? 0) >= 0;

interface Known {
  readonly known: readonly { readonly row: number; readonly task: VersionTask; readonly logits: Float32Array }[];
  readonly missing: readonly (AskedRow & { readonly index: number })[];
  keep(row: number, task: VersionTask, logits: Float32Array): void;
}

function findKnown(cache: AnswerCache, rows: readonly AskedRow[]): Known {
  const known: { row: number; task: VersionTask; logits: Float32Array }[] = [];
  // As UTF-8, which hashes are made of, all lone surrogates are the same character.
  const isPlain = ({ text, pair }: AskedRow) => !/\p{Cs}/u.test(text) && !/\p{Cs}/u.test(pair ?? "");
  const keys = rows.map((row) => (isPlain(row) ? rowKey(row.text, row.pair) : null));
  // What may leave early has other logits under each bound, and tells where it left.
  const keyOf = (row: number, task: VersionTask) =>
    keys[row] && !mayLeave(rows[row], task) ? task.weights + keys[row] : null;
  const missing = rows.flatMap((row, index) => {
    const tasks = row.tasks.filter((task) => {
      const key = keyOf(index, task);
      const logits = key === null ? null : cache.find(key);
      if (logits) known.push({ row: index, task, logits });
      return logits === null;
    });
    return tasks.length > 0 ? { ...row, tasks, index } : [];
  });
  return {
    known,
    missing,
    keep(row, task, logits) {
      const key = keyOf(row, task);
      if (key !== null) cache.keep(key, logits);
    },
  };
}
