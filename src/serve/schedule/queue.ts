// Who waits for the engine. A request is admitted before its texts are read into tokens: by how many rows wait and by how
// long they would have to, so that refusing costs next to nothing. Rows leave the earliest due first, whatever their request;
// a batch is of one version. Times are milliseconds of performance.now().

import type { BatchRow } from "../inference/inference";
import { createHeap, type Heap } from "./heap";
import type { Rate } from "./rate";

export interface QueueLimits {
  /** Rows that wait at most. */
  readonly maxRows: number;
  /** Estimated waiting in ms beyond which a request is refused, unless it runs longer itself; null: as long as a full batch takes. */
  readonly maxDelayMs: number | null;
  /** Tokens of a full batch. */
  readonly batchTokens: number;
}

/** What a request is before it is tokenized. */
export interface Asked {
  readonly version: string;
  readonly rows: number;
  /** Layers times tokens that it needs, by the length of its texts. */
  readonly work: number;
  /** When its answer is of no use any more. */
  readonly deadline?: number | undefined;
}

/** A request that was admitted. */
export interface Ticket extends Asked {
  readonly admitted: number;
  /** What rows are ordered by. */
  readonly due: number;
}

/** An encoding that waits: of row `index` of its request. */
export interface Waiting extends BatchRow {
  readonly ticket: Ticket;
  readonly index: number;
  /** Layers times tokens. */
  readonly work: number;
}

export class QueueFull extends Error {
  /** When to try again, in ms. */
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

/** Why a row is not admitted. */
export interface Refusal {
  readonly message: string;
  readonly retryAfterMs: number;
}

export interface Queue {
  /** Throws {@link QueueFull}. */
  admit(asked: Asked): Ticket;
  /**
   * Why a row would be refused now, in a request of so much work; null where it would not. Nothing is thrown: a stack costs more than all
   * else of a refusal.
   */
  full(work: number): Refusal | null;
  /** Its encodings, in the place of what was estimated. false where the ticket was dropped. */
  put(ticket: Ticket, rows: readonly Omit<Waiting, "ticket">[]): boolean;
  /** Takes what waits of it out: its client went, or its deadline passed. */
  drop(ticket: Ticket): void;
  /** The most urgent rows of one version within a number of tokens, at least one; none where nothing waits. */
  take(tokens: number): Waiting[];
  /** Rows that were admitted and wait, those that are being tokenized among them. */
  readonly rows: number;
  /** Tokens of those that can be taken. */
  readonly tokens: number;
  /** When the most urgent one was admitted; null where nothing can be taken. */
  oldest(): number | null;
  /** Estimated ms until a row that comes now is run. */
  delay(): number;
}

/** A row without a deadline is as urgent as one that is due this long after it came: it is overtaken, and not for ever. */
const PATIENCE_MS = 1000;

/** Below this no delay is worth refusing for. */
const LEAST_DELAY_MS = 50;

interface Entry {
  readonly due: number;
  readonly order: number;
  readonly row: Waiting;
}

/** What waits of a request. */
interface Held {
  rows: number;
  work: number;
}

const before = (a: Entry, b: Entry) => a.due < b.due || (a.due === b.due && a.order < b.order);

/** @param rate what the engine does in a ms, and what it has in hand */
export function createQueue(limits: QueueLimits, rate: Rate, now: () => number = () => performance.now()): Queue {
  const heaps = new Map<string, Heap<Entry>>();
  /** Of each request that has rows waiting. */
  const held = new Map<Ticket, Held>();
  let [rows, tokens, work, order] = [0, 0, 0, 0];
  const delay = () => rate.msFor(work + rate.inHand());
  const longest = () => limits.maxDelayMs ?? Math.max(LEAST_DELAY_MS, rate.msForBatch(limits.batchTokens));
  const forget = (ticket: Ticket, own: Held) => {
    if (own.rows === 0) held.delete(ticket);
  };
  /** The heap of the version that has the most urgent row; those that are empty go. */
  const mostUrgent = (): Heap<Entry> | null => {
    let [best, found]: [Entry | null, Heap<Entry> | null] = [null, null];
    for (const [version, heap] of heaps) {
      const first = heap.peek();
      if (!first) heaps.delete(version);
      else if (!best || before(first, best)) [best, found] = [first, heap];
    }
    return found;
  };

  const fullFor = (count: number, own: number, wait: number): Refusal | null => {
    if (rows + count > limits.maxRows && rows > 0) {
      return { message: `${rows} rows wait, of ${limits.maxRows} that may. Try again later`, retryAfterMs: wait };
    }
    // What is large takes its time anyway, and would else find room only where nothing runs.
    const most = Math.max(longest(), rate.msFor(own));
    if (wait <= most) return null;
    const message = `a row would wait ${Math.ceil(wait)} ms, of ${Math.ceil(most)} that it may. Try again later`;
    return { message, retryAfterMs: wait };
  };

  return {
    admit(asked) {
      const wait = delay();
      const full = fullFor(asked.rows, asked.work, wait);
      if (full) throw new QueueFull(full.message, full.retryAfterMs);
      const admitted = now();
      if (asked.deadline !== undefined && admitted + wait > asked.deadline) {
        throw new QueueFull(`a row would wait ${Math.ceil(wait)} ms, longer than its deadline allows`, wait);
      }
      const due = Math.min(asked.deadline ?? Number.POSITIVE_INFINITY, admitted + PATIENCE_MS);
      const ticket: Ticket = { ...asked, admitted, due };
      held.set(ticket, { rows: asked.rows, work: asked.work });
      rows += asked.rows;
      work += asked.work;
      return ticket;
    },
    full: (own) => fullFor(1, own, delay()),
    put(ticket, waiting) {
      const own = held.get(ticket);
      if (!own) return false;
      const exact = waiting.reduce((sum, row) => sum + row.work, 0);
      rows += waiting.length - own.rows;
      work += exact - own.work;
      [own.rows, own.work] = [waiting.length, exact];
      const heap = heaps.get(ticket.version) ?? createHeap(before);
      heaps.set(ticket.version, heap);
      for (const row of waiting) {
        heap.push({ due: ticket.due, order: order++, row: { ...row, ticket } });
        tokens += row.ids.length;
      }
      forget(ticket, own);
      return true;
    },
    drop(ticket) {
      const own = held.get(ticket);
      if (!own) return;
      held.delete(ticket);
      rows -= own.rows;
      work -= own.work;
      for (const { row } of heaps.get(ticket.version)?.remove((entry) => entry.row.ticket === ticket) ?? []) {
        tokens -= row.ids.length;
      }
    },
    take(budget) {
      const heap = mostUrgent();
      const taken: Waiting[] = [];
      let used = 0;
      for (let entry = heap?.peek(); heap && entry; entry = heap.peek()) {
        const { row } = entry;
        if (taken.length > 0 && used + row.ids.length > budget) break;
        heap.pop();
        taken.push(row);
        used += row.ids.length;
        const own = held.get(row.ticket) as Held;
        own.rows--;
        own.work -= row.work;
        forget(row.ticket, own);
        rows--;
        work -= row.work;
      }
      tokens -= used;
      return taken;
    },
    get rows() {
      return rows;
    },
    get tokens() {
      return tokens;
    },
    oldest() {
      const heap = mostUrgent();
      return heap ? (heap.peek() as Entry).row.ticket.admitted : null;
    },
    delay,
  };
}
