// From rows that wait to batches that run. A batch is all tasks' at once: the trunk runs on its rows once, each branch on
// those that asked for it. Padding is not computed (model/packed.ts), and who runs the batch parts rows of unlike length for
// attention, so that a batch need not be of one length and its results do not depend on what else is in it.

import { eachRowLogits } from "../../batches/row-logits";
import type { BatchPart, BatchRun, Inference } from "../inference/inference";
import type { Queue, Ticket, Waiting } from "./queue";
import type { Rate } from "./rate";

export interface BatchLimits {
  /** Tokens of a batch at most, unless a single row has more. */
  readonly maxTokens: number;
  /** How long a row may wait for others to come into its batch, while other batches run. */
  readonly maxWaitMs: number;
}

/** Logits of one row for one task. */
export interface RowPart {
  /** As {@link Waiting.index}. */
  readonly index: number;
  readonly task: string;
  /** [outputs], or [tokens, outputs] of a task that labels words */
  readonly logits: Float32Array;
  /** As of {@link BatchPart}. */
  readonly layer?: number | undefined;
}

/** How long a request took, in ms. */
export interface Times {
  /** From its admission until its last row was in a batch, without reading its texts. */
  readonly queued: number;
  /** From then on. */
  readonly ran: number;
}

export interface Running {
  /** When every row has every task's logits. Rejects with InferenceLost, and what {@link Batches.cancel} is given. */
  readonly answered: Promise<Times>;
  /** When its batches have ended, which others' rows may be in: what they ran. Never rejects. */
  readonly ended: Promise<readonly BatchRun[]>;
}

/** A batch that ended: for metrics. */
export interface BatchRecord {
  readonly version: string;
  readonly rows: readonly Waiting[];
  readonly tokens: number;
  /** As this process saw it. */
  readonly ms: number;
  /** null where it was lost. */
  readonly run: BatchRun | null;
}

export interface Batches {
  /** Runs a ticket's rows. @param waiting none for a request that needs nothing of the engine */
  run(ticket: Ticket, waiting: readonly Omit<Waiting, "ticket">[], onPart: (part: RowPart) => void): Running;
  /** Ends a request, whose answer nobody needs: rows that wait are not run, what runs is not handed out. */
  cancel(ticket: Ticket, reason: Error): void;
  /** Batches that run now. */
  readonly running: number;
}

interface Request {
  readonly onPart: (part: RowPart) => void;
  readonly started: number;
  /** Logits that are missing: rows times tasks. */
  missing: number;
  /** Rows that are in no batch yet. */
  waiting: number;
  lastTaken: number;
  batches: number;
  readonly runs: BatchRun[];
  answer(times: Times): void;
  fail(reason: Error): void;
  end(): void;
}

export function createBatches(
  inference: Inference,
  queue: Queue,
  rate: Rate,
  limits: BatchLimits,
  onBatch: (batch: BatchRecord) => void = () => undefined,
  now: () => number = () => performance.now(),
): Batches {
  const requests = new Map<Ticket, Request>();
  let running = 0;
  let isTimed = false;
  let comesSoon = false;

  const finish = (ticket: Ticket, request: Request) => {
    if (request.missing > 0 || request.waiting > 0) return;
    requests.delete(ticket);
    request.answer({ queued: request.lastTaken - request.started, ran: now() - request.lastTaken });
  };
  const fail = (ticket: Ticket, reason: Error) => {
    const request = requests.get(ticket);
    if (!request) return;
    requests.delete(ticket);
    queue.drop(ticket);
    request.fail(reason);
    if (request.batches === 0) request.end();
  };

  const handOut = (rows: readonly Waiting[], { task, rows: positions, logits, outputs, layer }: BatchPart) => {
    const tokensOf = (position: number) => (rows[position] as Waiting).ids.length;
    for (const { row: position, logits: own } of eachRowLogits(positions, logits, outputs, tokensOf)) {
      const { ticket, index } = rows[position] as Waiting;
      const request = requests.get(ticket);
      if (!request) continue; // it was cancelled
      request.missing--;
      request.onPart({ index, task, logits: own, ...(layer === undefined ? {} : { layer }) });
      finish(ticket, request);
    }
  };

  const start = (rows: readonly Waiting[]) => {
    const version = (rows[0] as Waiting).ticket.version;
    const work = rows.reduce((sum, row) => sum + row.work, 0);
    const tokens = rows.reduce((sum, row) => sum + row.ids.length, 0);
    const owners = new Map<Ticket, Request>();
    for (const { ticket } of rows) {
      const request = requests.get(ticket) as Request;
      owners.set(ticket, request);
      request.waiting--;
      request.lastTaken = now();
    }
    for (const request of owners.values()) request.batches++;
    running++;
    const ended = rate.begin(work, tokens);
    const settle = (run: BatchRun | null) => {
      running--;
      const ms = ended(run === null);
      onBatch({ version, rows, tokens, ms, run });
      for (const [ticket, request] of owners) {
        if (run) request.runs.push(run);
        if (--request.batches > 0) continue;
        if (run && request.waiting === 0) fail(ticket, new Error("a batch ended without all of its logits"));
        if (!requests.has(ticket)) request.end();
      }
      pump();
    };
    const failed = (error: unknown) => {
      for (const ticket of owners.keys()) fail(ticket, error as Error);
      settle(null);
    };
    inference.run(version, rows, (part) => handOut(rows, part)).then(settle, failed);
  };

  /** Starts what may start, or says when to look again. */
  const pump = () => {
    while (running < inference.slots) {
      const oldest = queue.oldest();
      if (oldest === null) return;
      const waited = now() - oldest;
      // With nothing else to do, a batch is what came in this turn of the event loop.
      if (running > 0 && queue.tokens < limits.maxTokens && waited < limits.maxWaitMs) {
        if (!isTimed) setTimeout(onTime, limits.maxWaitMs - waited).unref();
        isTimed = true;
        return;
      }
      start(queue.take(limits.maxTokens));
    }
  };
  const onTime = () => {
    isTimed = false;
    pump();
  };
  const soon = () => {
    if (comesSoon) return;
    comesSoon = true;
    setImmediate(() => {
      comesSoon = false;
      pump();
    });
  };

  return {
    run(ticket, waiting, onPart) {
      const answered = deferred<Times>();
      const ended = deferred<readonly BatchRun[]>();
      const request: Request = {
        onPart,
        started: now(),
        missing: waiting.reduce((sum, { tasks }) => sum + tasks.length, 0),
        waiting: waiting.length,
        lastTaken: now(),
        batches: 0,
        runs: [],
        answer: answered.resolve,
        fail: answered.reject,
        end: () => ended.resolve(request.runs),
      };
      if (!queue.put(ticket, waiting)) throw new Error("a request was dropped before its rows came");
      requests.set(ticket, request);
      if (waiting.length === 0) {
        finish(ticket, request);
        request.end();
      } else soon();
      return { answered: answered.promise, ended: ended.promise };
    },
    cancel: fail,
    get running() {
      return running;
    },
  };
}

interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(reason: Error): void;
}

/** Promise.withResolvers, which Node 20 lacks. */
function deferred<T>(): Deferred<T> {
  let settle: Omit<Deferred<T>, "promise"> | null = null;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, ...(settle as unknown as Omit<Deferred<T>, "promise">) };
}
