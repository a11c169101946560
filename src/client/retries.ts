// How long to wait before a call is tried again. Clients that were refused together must not come back together: that is
// what the chance is for ("full jitter").

const FIRST_MS = 100;
const MOST_MS = 10_000;

/**
 * @param attempt 0 before the first retry
 * @param retryAfterMs what the server asks for; the wait is that, and a little
 * @param random of [0, 1)
 */
export function waitBefore(attempt: number, retryAfterMs: number | null, random: () => number): number {
  const most = Math.min(MOST_MS, FIRST_MS * 2 ** attempt);
  return (retryAfterMs ?? 0) + random() * most;
}

/** `Retry-After` as milliseconds from now: seconds, or a date. null where there is none that can be read. */
export function retryAfterOf(header: string | null, now: number): number | null {
  if (header === null || header.trim() === "") return null;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return seconds >= 0 ? seconds * 1000 : null;
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}
