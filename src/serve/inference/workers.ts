// The inference processes of a server: each batch goes to a free one; one that dies is started again, and its batch is tried
// once more, by whoever is free first. Versions are opened and closed in all of them, and fresh processes take the places of
// old ones between two batches.

import { setTimeout as sleep } from "node:timers/promises";
import { failure } from "../../errors/errors";
import type { Reporter } from "../../messages/reporter";
import { type Connection, connect, type OpenedVersion, ProcessEnded } from "./connection";
import {
  type BatchPart,
  type BatchRow,
  type BatchRun,
  type Inference,
  InferenceLost,
  type ProcessState,
} from "./inference";
import type { Settings } from "./process";

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
  /** Graphs that its engine has open, and what its loop has. */
  readonly graphs: number;
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
/** Milliseconds before a process is started again, by deaths in a row. */
const BACKOFF = [0, 250, 500, 1000, 2000, 5000, 15_000];
/** Times that a batch or a version is tried where processes die of it. */
const TRIES = 2;

/** Where one process after the other lives. */
interface Place {
  connection: Connection | null;
  /** Ends with the process that is being started; null where it does not start. */
  attempt: Promise<Connection | null>;
  busy: boolean;
  opening: boolean;
  /** Takes no batch: it is about to be replaced. */
  leaving: boolean;
  restarts: number;
  /** Deaths since it last ran a batch. */
  deaths: number;
  /** Why none runs; null where one does, or may. */
  down: string | null;
  /** Called when its batch has ended. */
  onIdle: (() => void) | null;
}

interface Batch {
  readonly version: string;
  readonly rows: readonly BatchRow[];
  readonly onPart: (part: BatchPart) => void;
  readonly resolve: (run: BatchRun) => void;
  readonly reject: (error: Error) => void;
  readonly given: Set<string>;
  tries: number;
}

/** Throws UserError where no process starts. */
export async function startWorkers(given: WorkersOptions): Promise<Workers> {
  const { settings, processes, reporter, silence, signal } = given;
  const options = { ...settings, silence: silence ?? SILENCE };
  const started = Array.from({ length: processes }, () => connect(options));
  const endAll = () => Promise.all(started.map((connection) => connection.end()));
  const stop = () => started.forEach((connection) => void connection.kill("stopped"));
  signal?.addEventListener("abort", stop);
  try {
    const [first] = await Promise.all(started.map(({ ready }) => ready));
    const { engine, threads } = first as NonNullable<typeof first>;
    const begin = async () => {
      const connection = connect(options);
      await connection.ready;
      return connection;
    };
    return openWorkers(started, { engine, threads, begin, reporter });
  } catch (error) {
    await endAll();
    if (error instanceof ProcessEnded) throw failure(`inference does not start: ${error.message}`, error);
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

interface Means {
  readonly engine: string;
  readonly threads: number;
  /** Starts a process, with nothing open. */
  readonly begin: () => Promise<Connection>;
  readonly reporter: Reporter;
}

function openWorkers(started: readonly Connection[], { engine, threads, begin, reporter }: Means): Workers {
  const open = new Map<string, OpenedVersion>();
  const waiting: Batch[] = [];
  let closed = false;
  let last: Promise<unknown> = Promise.resolve();
  /** What changes versions or processes, one after the other. */
  const inOrder = <T>(act: () => Promise<T>): Promise<T> => {
    const now = last.then(act);
    last = now.catch(() => undefined);
    return now;
  };

  const places = started.map((connection): Place => {
    const counts = { restarts: 0, deaths: 0, down: null, onIdle: null };
    return { connection, attempt: Promise.resolve(connection), busy: false, opening: false, leaving: false, ...counts };
  });

  /** A process with every version that is open. */
  const beginWith = async (): Promise<Connection> => {
    const connection = await begin();
    try {
      for (const version of open.keys()) {
        await connection.open(version).catch((error: Error) => {
          if (error instanceof ProcessEnded) throw error;
          reporter.warn(`a new inference process serves without version ${version}: ${error.message}`);
        });
      }
      return connection;
    } catch (error) {
      connection.kill("it was not started whole");
      throw error;
    }
  };
  const settle = (place: Place, connection: Connection) => {
    place.connection = connection;
    place.down = null;
    void connection.ended.then((reason) => {
      if (place.connection !== connection) return; // replaced
      place.connection = null;
      if (closed) return;
      reporter.warn(`inference process ${connection.pid}: ${reason}. Starting another`);
      place.attempt = restart(place);
    });
  };
  const restart = async (place: Place): Promise<Connection | null> => {
    const pause = BACKOFF[Math.min(place.deaths, BACKOFF.length - 1)] as number;
    place.deaths += 1;
    place.restarts += 1;
    if (pause > 0) await sleep(pause, undefined, { ref: false });
    if (closed) return null;
    try {
      const connection = await beginWith();
      if (closed) {
        connection.kill("the server ends");
        return null;
      }
      settle(place, connection);
      dispatch();
      return connection;
    } catch (error) {
      place.down = (error as Error).message;
      reporter.warn(`no inference process starts in place of the one that ended: ${place.down}. Trying again`);
      if (isDown()) loseAll(`no inference process runs: ${place.down}`);
      place.attempt = restart(place);
      return null;
    }
  };
  const isDown = () => places.every(({ down }) => down !== null);
  const loseAll = (why: string) => {
    for (const { reject } of waiting.splice(0)) reject(new InferenceLost(why));
  };

  const dispatch = (): void => {
    while (waiting.length > 0) {
      const free = places.filter((place) => place.connection !== null && !place.busy && !place.leaving);
      const place = free.find(({ opening }) => !opening) ?? free[0];
      if (!place) return;
      void runOn(place, waiting.shift() as Batch);
    }
  };
  const runOn = async (place: Place, batch: Batch): Promise<void> => {
    const { version, rows, resolve, reject } = batch;
    const connection = place.connection as Connection;
    place.busy = true;
    try {
      if (!connection.versions.has(version)) await openLate(connection, version);
      const run = await connection.run(version, rows, (part) => hand(batch, part));
      place.deaths = 0;
      resolve(run);
    } catch (error) {
      if (!(error instanceof ProcessEnded)) reject(error as Error);
      else if (closed) reject(new InferenceLost("the server ends"));
      else if (++batch.tries < TRIES) waiting.unshift(batch);
      else reject(new InferenceLost(`the batch was lost ${TRIES} times: ${error.message}`));
    } finally {
      place.busy = false;
      place.onIdle?.();
      dispatch();
    }
  };
  /** In a process that was started while it did not open there. */
  const openLate = async (connection: Connection, version: string) => {
    await connection.open(version).catch((error: Error) => {
      if (error instanceof ProcessEnded) throw error;
      throw new InferenceLost(`version ${version} does not open again: ${error.message}`);
    });
  };

  const openIn = async (place: Place, version: string): Promise<OpenedVersion | null> => {
    for (let tries = 1; ; tries++) {
      const connection = place.connection ?? (await place.attempt);
      if (!connection) return null;
      place.opening = true;
      try {
        return await connection.open(version);
      } catch (error) {
        if (!(error instanceof ProcessEnded)) throw error;
        if (tries === TRIES) {
          throw failure(
            `version ${version} cannot be served: opening it ended a process twice. The last: ${error.message}`,
          );
        }
        await connection.ended;
      } finally {
        place.opening = false;
      }
    }
  };
  const openAll = async (version: string): Promise<void> => {
    if (open.has(version)) return;
    const found: (OpenedVersion | null)[] = [];
    try {
      // Where others serve, one process after the other: the rest are free for their batches.
      if (open.size > 0) for (const place of places) found.push(await openIn(place, version));
      else found.push(...(await all(places.map((place) => openIn(place, version)))));
      const opened = found.find((one) => one !== null);
      if (!opened) throw new InferenceLost(`no inference process runs: ${places[0]?.down ?? "the server ends"}`);
      open.set(version, opened);
    } catch (error) {
      await closeIn(version);
      throw error;
    }
  };
  const closeIn = async (version: string): Promise<void> => {
    const ending = places.map(({ connection }) => connection?.close(version));
    await Promise.all(ending.map((one) => one?.catch(ignoreEnd)));
  };

  const replace = async (place: Place): Promise<void> => {
    const old = place.connection;
    if (!old) return; // a fresh one is on its way
    const fresh = await beginWith();
    place.leaving = true;
    if (place.busy) {
      await new Promise<void>((resolve) => {
        place.onIdle = resolve;
      });
      place.onIdle = null;
    }
    place.leaving = false;
    if (place.connection !== old || closed) return fresh.kill("another took its place");
    settle(place, fresh);
    dispatch();
    await old.end();
  };

  for (const [i, place] of places.entries()) settle(place, started[i] as Connection);
  const stateOf = ({ connection, restarts }: Place): WorkerState => ({
    pid: connection?.pid ?? 0,
    alive: connection !== null,
    restarts,
    ...(connection?.pulse() ?? { rssBytes: 0, graphs: 0, handles: 0 }),
  });
  return {
    ...{ engine, threads, processes: places.length, slots: places.length },
    described: (version) => open.get(version),
    open: (version) => inOrder(() => openAll(version)),
    close: (version) =>
      inOrder(async () => {
        if (open.delete(version)) await closeIn(version);
      }),
    run: (version, rows, onPart) =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new InferenceLost("the server ends"));
        if (!open.has(version)) return reject(new Error(`version ${version} is not open`));
        if (isDown()) return reject(new InferenceLost(`no inference process runs: ${places[0]?.down}`));
        waiting.push({ version, rows, onPart, resolve, reject, given: new Set(), tries: 0 });
        dispatch();
      }),
    state: () => places.map(stateOf),
    async look() {
      await Promise.all(places.map(({ connection }) => connection?.look().catch(ignoreEnd)));
      return places.map(stateOf);
    },
    renew: () =>
      inOrder(async () => {
        for (const place of places) await replace(place);
      }),
    async shutdown() {
      closed = true;
      loseAll("the server ends");
      await Promise.all(places.map(({ connection }) => connection?.end()));
    },
  };
}

/** A batch that is tried again gives the same parts again: each is handed out once. */
function hand({ onPart, given }: Batch, part: BatchPart): void {
  const key = `${part.rows[0]} ${part.task}`;
  if (given.has(key)) return;
  given.add(key);
  onPart(part);
}

/** All of them, or the first error, when none is under way any more. */
async function all<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

function ignoreEnd(error: Error): void {
  if (!(error instanceof ProcessEnded)) throw error;
}
