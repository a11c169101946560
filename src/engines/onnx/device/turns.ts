// One thing at a time: two runs at once on WebGPU crash the process (onnxruntime #32561 and #27592), and on CUDA they would
// only wait for each other.

/** A queue: each task starts when the one before has ended, whatever became of it. */
export function openTurns(): <T>(task: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const next = last.then(task, task);
    last = next.catch(() => undefined);
    return next;
  };
}
