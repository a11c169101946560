// How fast the engine is, as its batches show it: from work, which is layers times tokens, to milliseconds.

export interface Rate {
  /** A batch began; call what comes back when it ended. @param failed such a batch tells nothing of the speed */
  begin(work: number, tokens: number): (failed?: boolean) => number;
  /** Work of running batches that is left, by their time so far. */
  inHand(): number;
  /** 0 before the first batch ended: nothing is known. */
  msFor(work: number): number;
  /** A batch of so many tokens, of rows like those that came last, in one slot. */
  msForBatch(tokens: number): number;
}

/** Share of the newest batch in what is known: about the last ten count. */
const NEWEST = 0.1;

/** @param slots batches that run at a time */
export function createRate(slots: number, now: () => number = () => performance.now()): Rate {
  const running = new Set<{ readonly work: number; readonly began: number }>();
  /** Work a ms in one slot, and layers that a token runs. */
  let [speed, layers] = [0, 0];
  const left = ({ work, began }: { work: number; began: number }) => Math.max(0, work - (now() - began) * speed);
  return {
    begin(work, tokens) {
      const batch = { work, began: now() };
      running.add(batch);
      return (failed = false) => {
        running.delete(batch);
        const ms = now() - batch.began;
        if (!failed) {
          // A clock of whole ms may say 0.
          const seen = work / Math.max(ms, 0.1);
          speed = speed === 0 ? seen : 1 / ((1 - NEWEST) / speed + NEWEST / seen);
          layers = layers === 0 ? work / tokens : (1 - NEWEST) * layers + (NEWEST * work) / tokens;
        }
        return ms;
      };
    },
    inHand: () => [...running].reduce((sum, batch) => sum + left(batch), 0),
    msFor: (work) => (speed === 0 ? 0 : work / (speed * slots)),
    msForBatch: (tokens) => (speed === 0 ? 0 : (tokens * layers) / speed),
  };
}
