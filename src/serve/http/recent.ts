// Throughput and latency of the last seconds, for the page.

export interface Recent {
  add(rows: number, ms: number): void;
  read(): {
    readonly requestsPerSecond: number;
    readonly textsPerSecond: number;
    /** null where there were none. */
    readonly p50Ms: number | null;
    readonly p99Ms: number | null;
  };
}

const SECONDS = 10;
/** Requests that are kept: of more the last ones speak for all. */
const MOST = 8192;

export function createRecent(now: () => number = () => performance.now()): Recent {
  const [times, rows, spans] = [new Float64Array(MOST), new Float64Array(MOST), new Float64Array(MOST)];
  let count = 0;
  return {
    add(added, ms) {
      const at = count++ % MOST;
      times[at] = now();
      rows[at] = added;
      spans[at] = ms;
    },
    read() {
      const from = now() - SECONDS * 1000;
      const kept = Math.min(count, MOST);
      const ms: number[] = [];
      let [texts, oldest] = [0, Number.POSITIVE_INFINITY];
      for (let i = 0; i < kept; i++) {
        const time = times[i] as number;
        if (time < from) continue;
        ms.push(spans[i] as number);
        texts += rows[i] as number;
        oldest = Math.min(oldest, time);
      }
      ms.sort((a, b) => a - b);
      // Where more came than are kept, they span less than the window.
      const span = count > MOST && oldest > from ? (now() - oldest) / 1000 : SECONDS;
      const at = (share: number) => ms[Math.min(ms.length - 1, Math.floor(ms.length * share))] ?? null;
      return { requestsPerSecond: ms.length / span, textsPerSecond: texts / span, p50Ms: at(0.5), p99Ms: at(0.99) };
    },
  };
}
