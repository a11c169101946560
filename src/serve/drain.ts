// The end of a server: it is not ready, takes nothing new, and answers what it took.

import type { Drain } from "./http/context";

export interface Draining extends Drain {
  begin(): void;
  /** When no request is without its answer. */
  idle(): Promise<void>;
}

export function createDrain(): Draining {
  let [isDraining, open] = [false, 0];
  let waiting: (() => void)[] = [];
  return {
    get isDraining() {
      return isDraining;
    },
    begin() {
      isDraining = true;
    },
    opened() {
      open++;
    },
    closed() {
      if (--open > 0) return;
      for (const done of waiting) done();
      waiting = [];
    },
    idle: () => (open === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}
