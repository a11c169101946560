// Whose turn it is in an inference process: batches one after the other, and what prepares a version in the pauses between
// them. It does get on where there are none: a step is put off for so long and no longer.

import type { Pace } from "../../files/hash";

/** Milliseconds for which a step of preparing waits for a pause. */
const PATIENCE = 25;

export interface Turns {
  /** Runs after what was given before. */
  run(batch: () => Promise<void>): Promise<void>;
  /** Ends in a pause, or after so long. */
  readonly pace: Pace;
  /** Ends when what was given before has run. */
  after(): Promise<void>;
}

export function openTurns(patience = PATIENCE): Turns {
  let last: Promise<void> = Promise.resolve();
  let waiting = 0;
  const putOff = new Set<() => void>();
  return {
    run(batch) {
      waiting += 1;
      const ended = last.then(batch).finally(() => {
        waiting -= 1;
        if (waiting > 0) return;
        for (const resume of putOff) resume();
      });
      last = ended.catch(() => undefined);
      return ended;
    },
    async pace() {
      // What has come meanwhile is seen first.
      await new Promise((resolve) => setImmediate(resolve));
      if (waiting === 0) return;
      await new Promise<void>((resolve) => {
        const resume = () => {
          clearTimeout(timer);
          putOff.delete(resume);
          resolve();
        };
        const timer = setTimeout(resume, patience);
        putOff.add(resume);
      });
    },
    after: () => last,
  };
}
