// The inference processes of a server as one: batches handed to them, versions open in all of them, and fresh ones that take
// their places between two batches.

import { failure } from "../../errors/errors";
import type { Reporter } from "../../messages/reporter";
import type { OpenedVersion, Ready, Settings } from "./calls";
import { type Connection, connect, ProcessEnded } from "./connection";
import { type Handing, handBatches, TRIES } from "./handing";
import { type Inference, InferenceLost, type ProcessState } from "./inference";
import { openPlace, type Place } from "./place";

export interface WorkersOptions {
  readonly settings: Settings;
  readonly processes: number;
  readonly reporter: Reporter;
  /** Seconds without a sign of life after which a process is killed: longer than any piece of a model runs. */
  readonly silence?: number;
  /** Stops the start. */
  readonly signal?: AbortSignal | undefined;
}

export interface WorkerState extends ProcessState {
  /** Graphs that its engine has open. */
  readonly graphs: number;
  /** Files, sockets and timers that its loop has open. */
  readonly handles: number;
}

export interface Workers extends Inference {
  /** The engine as its processes describe it. */
  readonly engine: string;
  state(): readonly WorkerState[];
  /** The same as it is now, and not as it was at the last beat. */
  look(): Promise<readonly WorkerState[]>;
  /** An open version as its processes see it. */
  described(version: string): OpenedVersion | undefined;
}

const SILENCE = 30;

/** Throws UserError where a process does not start. */
export async function startWorkers(options: WorkersOptions): Promise<Workers> {
  const { settings, processes, reporter, silence = SILENCE, signal } = options;
  const begin = () => connect({ ...settings, silence });
  const started = Array.from({ length: processes }, begin);
  const stop = () => {
    for (const connection of started) connection.kill("it was stopped");
  };
  signal?.addEventListener("abort", stop);
  try {
    const [ready] = await Promise.all(started.map((connection) => connection.ready));
    return openWorkers(started, { ready: ready as Ready, begin, reporter });
  } catch (error) {
    await Promise.all(started.map((connection) => connection.end()));
    if (error instanceof ProcessEnded) throw failure(`inference does not start: ${error.message}`, error);
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

interface Means {
  readonly ready: Ready;
  readonly begin: () => Connection;
  readonly reporter: Reporter;
}

function openWorkers(started: readonly Connection[], { ready, begin, reporter }: Means): Workers {
  const versions = new Map<string, OpenedVersion>();
  const beginWith = () => openedWith(begin(), versions.keys(), reporter);
  const places = started.map((connection) =>
    openPlace(connection, { begin: beginWith, reporter, onChange: () => handing.look() }),
  );
  const handing = handBatches(places);
  const inOrder = oneAfterAnother();
  const state = () => places.map(stateOf);
  return {
    ...{ engine: ready.engine, threads: ready.threads, processes: places.length, slots: places.length },
    described: (version) => versions.get(version),
    open: (version) =>
      inOrder(async () => {
        if (!versions.has(version)) versions.set(version, await openIn(places, version, handing, versions.size > 0));
      }),
    close: (version) =>
      inOrder(async () => {
        if (versions.delete(version)) await closeIn(places, version);
      }),
    async run(version, rows, onPart) {
      if (!versions.has(version)) throw new Error(`version ${version} is not open`);
      return handing.run(version, rows, onPart);
    },
    state,
    async look() {
      await Promise.all(places.map((place) => place.connection()?.look().catch(unlessEnded)));
      return state();
    },
    renew: () =>
      inOrder(async () => {
        for (const place of places) await replace(place, beginWith, handing);
      }),
    async shutdown() {
      handing.end();
      await Promise.all(places.map((place) => place.end()));
    },
  };
}

const stateOf = (place: Place): WorkerState => {
  const connection = place.connection();
  const pulse = connection?.pulse() ?? { rssBytes: 0, graphs: 0, handles: 0 };
  return { pid: connection?.pid ?? 0, alive: connection !== null, restarts: place.restarts(), ...pulse };
};

/** A process with these versions. One that does not open any more is told, and does not keep the others from serving. */
async function openedWith(connection: Connection, versions: Iterable<string>, reporter: Reporter): Promise<Connection> {
  try {
    await connection.ready;
    for (const version of versions) {
      await connection.open(version).catch((error: Error) => {
        if (error instanceof ProcessEnded) throw error;
        reporter.warn(`a new inference process serves without version ${version}: ${error.message}`);
      });
    }
    return connection;
  } catch (error) {
    await connection.end();
    throw error;
  }
}

/**
 * Opens a version in every process, or in none.
 * @param serving whether there are batches meanwhile: then in one process after the other, the rest being free for them
 */
async function openIn(
  places: readonly Place[],
  version: string,
  handing: Handing,
  serving: boolean,
): Promise<OpenedVersion> {
  const openAt = (place: Place) => handing.beside(place, () => openAtPlace(place, version));
  const found: (OpenedVersion | null)[] = [];
  try {
    if (serving) for (const place of places) found.push(await openAt(place));
    else found.push(...(await all(places.map(openAt))));
    const opened = found.find((one) => one !== null);
    if (opened) return opened;
    throw new InferenceLost(`no inference process runs: ${places[0]?.down() ?? "the server ends"}`);
  } catch (error) {
    await closeIn(places, version);
    throw error;
  }
}

/** null where no process runs, which opens it when it does. */
async function openAtPlace(place: Place, version: string): Promise<OpenedVersion | null> {
  for (let tries = 1; ; tries++) {
    const connection = await place.next();
    if (!connection) return null;
    try {
      return await connection.open(version);
    } catch (error) {
      if (!(error instanceof ProcessEnded)) throw error;
      await connection.ended;
      if (tries < TRIES) continue;
      throw failure(
        `version ${version} cannot be served: ${TRIES} processes ended when it was opened. ${error.message}`,
      );
    }
  }
}

async function closeIn(places: readonly Place[], version: string): Promise<void> {
  await Promise.all(places.map((place) => place.connection()?.close(version).catch(unlessEnded)));
}

async function replace(place: Place, begin: () => Promise<Connection>, handing: Handing): Promise<void> {
  const old = place.connection();
  if (!old) return; // a fresh one is on its way
  const fresh = await begin();
  const taken = await handing.between(place, async () => place.take(fresh, old));
  await (taken ? old : fresh).end();
}

/** What changes versions or processes happens one after the other. */
function oneAfterAnother(): <T>(act: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (act) => {
    const now = last.then(act);
    last = now.catch(() => undefined);
    return now;
  };
}

/** All of them, or the first error, when none is under way any more. */
async function all<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

function unlessEnded(error: Error): void {
  if (!(error instanceof ProcessEnded)) throw error;
}
