// Batches handed to the processes: each to one that is free, in the order in which they came. A batch whose process died is the
// next one again, for whoever is free first; once more, and no more often.

import { type Connection, ProcessEnded } from "./connection";
import { type BatchPart, type BatchRow, type BatchRun, InferenceLost } from "./inference";
import type { Place } from "./place";

/** Times that a batch is tried, or a version opened, where processes die of it. */
export const TRIES = 2;

export interface Handing {
  run(version: string, rows: readonly BatchRow[], onPart: (part: BatchPart) => void): Promise<BatchRun>;
  /** Looks for free processes, or gives up what waits where there will be none. */
  look(): void;
  /** Hands a process no other batch while it does something, which begins when its batch has ended. */
  between<T>(place: Place, act: () => Promise<T>): Promise<T>;
  /** Prefers others while a process does something beside its batches. */
  beside<T>(place: Place, act: () => Promise<T>): Promise<T>;
  /** Takes no more, and gives up what waits. */
  end(): void;
}

interface Batch {
  readonly version: string;
  readonly rows: readonly BatchRow[];
  readonly onPart: (part: BatchPart) => void;
  readonly resolve: (run: BatchRun) => void;
  readonly reject: (error: unknown) => void;
  /** Rows that were handed out, by task. */
  readonly given: Map<string, Set<number>>;
  tries: number;
}

const ENDING = "the server ends";

export function handBatches(places: readonly Place[]): Handing {
  const waiting: Batch[] = [];
  const running = new Map<Place, Promise<void>>();
  const kept = new Set<Place>();
  const slower = new Set<Place>();
  let closed = false;

  const give = (): void => {
    if (isDown()) lose(`no inference process runs: ${why()}`);
    while (waiting.length > 0) {
      const free = places.filter((place) => place.connection() && !running.has(place) && !kept.has(place));
      const place = free.find((one) => !slower.has(one)) ?? free[0];
      if (!place) return;
      const ran = runOn(place, waiting.shift() as Batch).finally(() => {
        running.delete(place);
        give();
      });
      running.set(place, ran);
    }
  };
  const runOn = async (place: Place, batch: Batch): Promise<void> => {
    const { version, rows, resolve, reject } = batch;
    const connection = place.connection() as Connection;
    try {
      if (!connection.versions.has(version)) await openLate(connection, version);
      const run = await connection.run(version, rows, (part) => hand(batch, part));
      place.proved();
      resolve(run);
    } catch (error) {
      if (!(error instanceof ProcessEnded)) return reject(error);
      await connection.ended; // from then on its place is another's
      if (closed) reject(new InferenceLost(ENDING));
      else if (++batch.tries < TRIES) waiting.unshift(batch);
      else reject(new InferenceLost(`the batch was lost ${TRIES} times: ${error.message}`));
    }
  };
  const why = () => places.find((place) => place.down() !== null)?.down();
  const isDown = () => places.every((place) => place.down() !== null);
  const lose = (reason: string) => {
    for (const { reject } of waiting.splice(0)) reject(new InferenceLost(reason));
  };
  const during = async <T>(places: Set<Place>, place: Place, act: () => Promise<T>): Promise<T> => {
    places.add(place);
    try {
      return await act();
    } finally {
      places.delete(place);
      give();
    }
  };
  return {
    run: (version, rows, onPart) =>
      new Promise((resolve, reject) => {
        if (closed) throw new InferenceLost(ENDING);
        if (isDown()) throw new InferenceLost(`no inference process runs: ${why()}`);
        waiting.push({ version, rows, onPart, resolve, reject, given: new Map(), tries: 0 });
        give();
      }),
    look: give,
    between: (place, act) =>
      during(kept, place, async () => {
        await running.get(place);
        return act();
      }),
    beside: (place, act) => during(slower, place, act),
    end() {
      closed = true;
      lose(ENDING);
    },
  };
}

/** A process that was started while the version did not open may have it now. */
async function openLate(connection: Connection, version: string): Promise<void> {
  await connection.open(version).catch((error: Error) => {
    if (error instanceof ProcessEnded) throw error;
    throw new InferenceLost(`version ${version} does not open again: ${error.message}`);
  });
}

/**
 * A batch that is tried again gives the same rows again, each handed out once. Not always in the same parts: where texts leave early
 * these follow the logits, whose last digits are a processor's.
 */
function hand({ onPart, given }: Batch, part: BatchPart): void {
  const before = given.get(part.task) ?? new Set();
  const fresh = [...part.rows.keys()].filter((i) => !before.has(part.rows[i] as number));
  if (fresh.length === 0) return;
  given.set(part.task, new Set([...before, ...part.rows]));
  onPart(fresh.length === part.rows.length ? part : some(part, fresh));
}

/** @param places among the part's rows */
function some(part: BatchPart, places: readonly number[]): BatchPart {
  const { rows, logits, outputs } = part;
  if (logits.length !== rows.length * outputs) throw new Error(`${part.task} gave other parts when it was tried again`);
  const left = new Float32Array(places.length * outputs);
  for (const [to, from] of places.entries()) {
    left.set(logits.subarray(from * outputs, (from + 1) * outputs), to * outputs);
  }
  return { ...part, rows: places.map((place) => rows[place] as number), logits: left };
}
