// The version that answers, and how another takes its place: read and warmed aside, then current for every request that
// comes, while those that were admitted end on theirs. A version that cannot be served is refused, with its reason, and what
// was there stays. Openings and closings are one after the other.

import { oneLine, UserError } from "../../errors/errors";
import type { Inference } from "../inference/inference";
import { createGrowth } from "./growth";
import type { Served } from "./served";
import type { VersionSource } from "./source";

/** A version for the time of a request. */
export interface Hold {
  readonly served: Served;
  /** Another hold on the same version: for what outlives the answer. */
  again(): Hold;
  /** Once, when the request has its answer. */
  release(): void;
}

export interface Refusal {
  /** null where the folder does not even say which one it would be. */
  readonly version: string | null;
  readonly reason: string;
  /** ISO 8601, UTC. */
  readonly time: string;
}

export interface Swap {
  readonly from: string;
  readonly to: string;
  /** Names of tasks that answer by other weights, or are new. */
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** From its being seen to its being current. */
  readonly ms: number;
}

/** Hears what happens, for logs and metrics. */
export interface LiveEvents {
  swapped?(swap: Swap): void;
  refused?(refusal: Refusal): void;
  closed?(version: string): void;
  /** Fresh processes took over: memory had grown. */
  renewed?(): void;
  /** Closing a version or renewing processes failed: nothing that a request notices. */
  failed?(error: unknown): void;
}

export interface Live {
  readonly current: Served;
  /** Of the current version. */
  readonly tags: readonly string[];
  /** The last refusal since the last swap. */
  readonly refused: Refusal | null;
  readonly swaps: number;
  /** Versions that are open: the current one first, then those that requests still hold. */
  open(): readonly { readonly id: string; readonly requests: number }[];
  hold(): Hold;
  /** Looks at the folder now. null where nothing changed. Throws VersionRefused. */
  reload(): Promise<Swap | null>;
  /** Ends the watching, and what is under way. */
  close(): Promise<void>;
}

export class VersionRefused extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.reason);
    this.refusal = refusal;
  }
}

interface Entry {
  readonly served: Served;
  requests: number;
}

/**
 * Opens the version that the source says. Throws UserError where it cannot be served.
 * @param opened what the inference has open already
 */
export async function openLive(
  source: VersionSource,
  inference: Inference,
  events: LiveEvents = {},
  opened: string | null = null,
): Promise<Live> {
  const entries = new Map<string, Entry>();
  const open = async (id: string, before: Served | null): Promise<Entry> => {
    const served = await source.read(id, before);
    if (before || id !== opened) await inference.open(id);
    const entry = { served, requests: 0 };
    entries.set(id, entry);
    return entry;
  };
  const first = await source.wanted();
  let current = await open(first.id, null);
  if (opened !== null && opened !== first.id) await inference.close(opened);
  let tags = first.tags;
  let refused: Refusal | null = null;
  let [swaps, closed] = [0, false];
  const growth = createGrowth(inference);
  let chain: Promise<unknown> = Promise.resolve();
  const serially = <T>(work: () => Promise<T>): Promise<T> => {
    const done = chain.then(work);
    chain = done.catch(() => undefined);
    return done;
  };

  /** Frees a version that nobody holds any more. */
  const retire = (entry: Entry) => {
    void serially(async () => {
      const { id } = entry.served;
      if (entry === current || entry.requests > 0 || entries.get(id) !== entry) return;
      entries.delete(id);
      try {
        await inference.close(id);
        events.closed?.(id);
        if (growth.isTooMuch() && !closed) {
          await inference.renew();
          growth.forget();
          events.renewed?.();
        }
      } catch (error) {
        events.failed?.(error);
      }
    });
  };

  const holdOn = (entry: Entry): Hold => {
    entry.requests++;
    let released = false;
    return {
      served: entry.served,
      again: () => holdOn(entry),
      release() {
        if (released) return;
        released = true;
        entry.requests--;
        if (entry.requests === 0 && entry !== current) retire(entry);
      },
    };
  };

  const refuse = (version: string | null, error: unknown): VersionRefused => {
    refused = { version, reason: oneLine(error), time: new Date().toISOString() };
    events.refused?.(refused);
    return new VersionRefused(refused);
  };

  const look = async (again: boolean): Promise<Swap | null> => {
    if (closed) return null;
    const began = performance.now();
    let wanted: string | null = null;
    try {
      const found = await source.wanted();
      wanted = found.id;
      if (wanted === current.served.id) {
        tags = found.tags;
        refused = null; // whoever went back to it has taken back what was refused
        return null;
      }
      // What was refused is not tried again until somebody asks, or the folder says something else.
      if (!again && refused?.version === wanted) return null;
      const next = entries.get(wanted) ?? (await open(wanted, current.served));
      const before = current;
      current = next;
      tags = found.tags;
      refused = null;
      swaps++;
      const swap = { ...difference(before.served, next.served), ms: performance.now() - began };
      events.swapped?.(swap);
      retire(before);
      return swap;
    } catch (error) {
      if (!(error instanceof UserError)) events.failed?.(error);
      throw refuse(wanted, error);
    }
  };
  const onChange = () => void serially(() => look(false)).catch(() => undefined); // `refused` tells
  const unwatch = source.watch(onChange);

  return {
    get current() {
      return current.served;
    },
    get tags() {
      return tags;
    },
    get refused() {
      return refused;
    },
    get swaps() {
      return swaps;
    },
    open: () =>
      [current, ...[...entries.values()].filter((entry) => entry !== current)].map(({ served, requests }) => ({
        id: served.id,
        requests,
      })),
    hold: () => holdOn(current),
    reload: () => serially(() => look(true)),
    async close() {
      closed = true;
      unwatch();
      await chain;
    },
  };
}

function difference(from: Served, to: Served): Omit<Swap, "ms"> {
  const changed = to.tasks.filter(({ name, weights }) => from.task(name)?.weights !== weights);
  const removed = from.tasks.filter(({ name }) => !to.task(name));
  return {
    ...{ from: from.id, to: to.id },
    changed: changed.map(({ name }) => name),
    removed: removed.map(({ name }) => name),
  };
}
