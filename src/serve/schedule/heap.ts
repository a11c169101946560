// A binary heap: the least first.

export interface Heap<T> {
  readonly size: number;
  push(item: T): void;
  peek(): T | undefined;
  pop(): T | undefined;
  /** Takes some out, whichever place they have. */
  remove(which: (item: T) => boolean): T[];
}

export function createHeap<T>(before: (a: T, b: T) => boolean): Heap<T> {
  let items: T[] = [];
  const swap = (a: number, b: number) => {
    [items[a], items[b]] = [items[b] as T, items[a] as T];
  };
  const push = (item: T) => {
    let at = items.push(item) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(items[at] as T, items[parent] as T)) break;
      swap(at, parent);
      at = parent;
    }
  };
  return {
    get size() {
      return items.length;
    },
    push,
    peek: () => items[0],
    pop() {
      const first = items[0];
      const last = items.pop();
      if (items.length === 0) return first;
      items[0] = last as T;
      for (let at = 0; ; ) {
        const [left, right] = [2 * at + 1, 2 * at + 2];
        let least = at;
        if (left < items.length && before(items[left] as T, items[least] as T)) least = left;
        if (right < items.length && before(items[right] as T, items[least] as T)) least = right;
        if (least === at) return first;
        swap(at, least);
        at = least;
      }
    },
    remove(which) {
      const all = items;
      items = [];
      const removed: T[] = [];
      for (const item of all) {
        if (which(item)) removed.push(item);
        else push(item);
      }
      return removed;
    },
  };
}
