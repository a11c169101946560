import type { Reporter } from "../../src/messages/reporter";

/** A silent reporter that aborts at a step of what it calls so. */
export const stopAt = (step: number, label: RegExp, abort: AbortController): Reporter => ({
  log: () => undefined,
  warn: () => undefined,
  progress(title) {
    let done = 0;
    const advance = () => {
      if (label.test(title) && ++done === step) abort.abort();
    };
    return { advance, end: () => undefined };
  },
});
