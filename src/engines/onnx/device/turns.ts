// One thing at a time: two runs at once on WebGPU crash the process (onnxruntime #32561 and #27592), and on CUDA they would
// only wait for each other.

/** A queue: each task starts when the one before has ended, whatever became of it. */
export interface Turns {
  <T>(task: () => Promise<T>): Promise<T>;
  /** A task that waits for nothing: done when the call returns where none is under way, else in its turn. */
  brief(task: () => void): void;
}

export function openTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  const turns = <T>(task: () => Promise<T>): Promise<T> => {
    const run = async () => {
      try {
        return await task();
      } finally {
        waiting -= 1; // before whoever waits for it goes on
      }
    };
    waiting += 1;
    const next = last.then(run);
    last = next.catch(() => undefined);
    return next;
  };
  const brief = (task: () => void): void => {
    if (waiting === 0) task();
    else void turns(async () => task());
  };
  return Object.assign(turns, { brief });
}
