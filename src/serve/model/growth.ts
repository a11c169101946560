// Whether the processes that hold the engine have grown over many swaps. What a native library does not give back is not
// found from here; a fresh process is small again (inference.renew).

import type { Inference, ProcessState } from "../inference/inference";

/** A process may become this much larger than it was when its first versions were open... */
const MOST_GROWTH = 1.5;
/** ...and that much beyond: allocators keep some of what they were given. */
const SLACK_BYTES = 64 * 2 ** 20;

export interface Growth {
  /** Asked when an old version was closed: beside another a version may take what it needs. */
  isTooMuch(): boolean;
  /** Fresh processes have taken over. */
  forget(): void;
}

export function createGrowth(inference: Pick<Inference, "state">): Growth {
  const first = new Map<number, number>();
  const measured = () => inference.state().filter(({ alive, rssBytes }) => alive && rssBytes > 0);
  const learn = (processes: readonly ProcessState[]) => {
    for (const { pid, rssBytes } of processes) if (!first.has(pid)) first.set(pid, rssBytes);
  };
  learn(measured());
  return {
    isTooMuch() {
      const processes = measured();
      learn(processes);
      return processes.some(({ pid, rssBytes }) => rssBytes > MOST_GROWTH * (first.get(pid) as number) + SLACK_BYTES);
    },
    forget: () => first.clear(),
  };
}
