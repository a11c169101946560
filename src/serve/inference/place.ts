// Where one inference process after the other lives: one that dies is followed by another, at once the first time and later
// and later where they die in a row.

import { setTimeout as sleep } from "node:timers/promises";
import type { Reporter } from "../../messages/reporter";
import type { Connection } from "./connection";

export interface Place {
  /** The process that lives here; null while another is started. */
  connection(): Connection | null;
  /** The same, or the one that is being started; null where it does not start. */
  next(): Promise<Connection | null>;
  /** Why none starts; null where one runs, or may. */
  down(): string | null;
  restarts(): number;
  /** Its process has run a batch: what it dies of later is something else. */
  proved(): void;
  /** Puts a fresh process in the place of one that lives here; false where that has died. */
  take(fresh: Connection, old: Connection): boolean;
  end(): Promise<void>;
}

export interface PlaceOptions {
  /** Starts a process that is ready for batches. */
  readonly begin: () => Promise<Connection>;
  readonly reporter: Reporter;
  /** Called when another process lives here, and when one did not start. */
  readonly onChange: () => void;
}

/** Milliseconds before a process is started, by deaths in a row. */
const BACKOFF = [0, 250, 500, 1000, 2000, 5000, 15_000];

export function openPlace(first: Connection, { begin, reporter, onChange }: PlaceOptions): Place {
  let connection: Connection | null = null;
  let attempt: Promise<Connection | null> = Promise.resolve(first);
  let down: string | null = null;
  let [restarts, deaths] = [0, 0];
  const ending = new AbortController();

  const settle = (fresh: Connection): void => {
    connection = fresh;
    down = null;
    void fresh.ended.then((reason) => {
      if (connection !== fresh) return; // another took its place
      connection = null;
      if (ending.signal.aborted) return;
      reporter.warn(`inference process ${fresh.pid}: ${reason}. Starting another`);
      attempt = restart();
    });
  };
  const restart = async (): Promise<Connection | null> => {
    const pause = BACKOFF[Math.min(deaths, BACKOFF.length - 1)] as number;
    deaths += 1;
    restarts += 1;
    try {
      if (pause > 0) await sleep(pause, undefined, { ref: false, signal: ending.signal });
      const fresh = await begin();
      if (ending.signal.aborted) {
        fresh.kill("the server ends");
        return null;
      }
      settle(fresh);
      return fresh;
    } catch (error) {
      if (ending.signal.aborted) return null;
      down = (error as Error).message;
      reporter.warn(`no inference process starts in the place of one that ended: ${down}. Trying again`);
      attempt = restart();
      return null;
    } finally {
      onChange();
    }
  };
  settle(first);
  return {
    connection: () => connection,
    next: async () => connection ?? attempt,
    down: () => down,
    restarts: () => restarts,
    proved: () => {
      deaths = 0;
    },
    take(fresh, old) {
      if (connection !== old || ending.signal.aborted) return false;
      settle(fresh);
      return true;
    },
    async end() {
      ending.abort();
      await connection?.end();
      await attempt; // one that was being started ends itself
    },
  };
}
