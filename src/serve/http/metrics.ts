// What Prometheus reads at /metrics, and the few figures of the last seconds that the page shows.

import { monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Inference } from "../inference/inference";
import type { Live } from "../model/live";
import type { Served } from "../model/served";
import type { AnswerCache } from "../schedule/answers";
import type { BatchRecord } from "../schedule/batches";
import type { Queue } from "../schedule/queue";
import { createRecent, type Recent } from "./recent";

export interface Metrics {
  readonly contentType: string;
  text(): Promise<string>;
  /** An answer was sent. @param code of an error */
  answered(route: string, status: number, ms: number, code: string | null): void;
  /** A request for predictions had its answer. */
  predicted(rows: number, known: number, times: { tokenized: number; queued: number; ran: number }, ms: number): void;
  /** @param model whose tasks and base it is, about: of the version that is current */
  batch(record: BatchRecord, model: Served): void;
  swap(result: "done" | "refused", ms?: number): void;
  renewed(): void;
  readonly recent: Recent;
  /** Ends what measures. */
  close(): void;
}

/** What is read when the metrics are. */
export interface Watched {
  readonly queue: Queue;
  readonly inference: Inference;
  readonly live: Live;
  readonly cache: AnswerCache | null;
  readonly running: () => number;
}

const seconds = [0.001, 0.002, 0.005, 0.01, 0.02, 0.032, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];
const sizes = [1, 8, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384];

export function createMetrics(watched: Watched): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry, prefix: "flexbert_http_" });
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `flexbert_${name}`, help, labelNames, registers });
  const histogram = (name: string, help: string, buckets: number[], labelNames: string[] = []) =>
    new Histogram({ name: `flexbert_${name}`, help, buckets, labelNames, registers });
  const requests = counter("requests_total", "Answers by route and status", ["route", "status"]);
  const requestSeconds = histogram("request_seconds", "From the first byte to the answer", seconds, ["route"]);
  const errors = counter("errors_total", "Answers that are errors, by their code", ["code"]);
  const rows = counter("rows_total", "Rows that were answered");
  const known = counter("cache_hits_total", "Logits that came from the cache of repeated texts");
  const stages = histogram("stage_seconds", "Stages of a request: tokenize, queue, inference", seconds, ["stage"]);
  const batchTokens = histogram("batch_tokens", "Tokens of a batch", sizes);
  const batchRows = histogram("batch_rows", "Encoded rows of a batch", sizes);
  const batchSeconds = histogram("batch_seconds", "A batch, as the HTTP process sees it", seconds);
  const padding = counter("padding_tokens_total", "Padding of batches that products with weights do not compute");
  const tokens = counter("tokens_total", "Tokens of batches, without padding");
  const layers = counter("layer_tokens_total", "Tokens times encoder layers: that ran, and of a naive run", ["kind"]);
  const pieceSeconds = counter("piece_seconds_total", "Seconds of each stretch of the trunk and each branch", [
    "piece",
  ]);
  const taskRows = counter("task_rows_total", "Rows that a task was asked of", ["task"]);
  const swaps = counter("swaps_total", "Changes of the version that answers, by result", ["result"]);
  const swapSeconds = histogram("swap_seconds", "From a change's being seen to its being current", seconds);
  const renewals = counter("renewals_total", "Fresh inference processes because memory had grown");
  const lost = counter("batches_lost_total", "Batches whose process died, and the one that tried again too");
  const delay = watchDelay();
  gauges(registry, watched, delay);
  const recent = createRecent();

  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    answered(route, status, ms, code) {
      requests.inc({ route, status });
      requestSeconds.observe({ route }, ms / 1000);
      if (code !== null) errors.inc({ code });
    },
    predicted(count, hits, { tokenized, queued, ran }, ms) {
      rows.inc(count);
      if (hits > 0) known.inc(hits);
      stages.observe({ stage: "tokenize" }, tokenized / 1000);
      stages.observe({ stage: "queue" }, queued / 1000);
      stages.observe({ stage: "inference" }, ran / 1000);
      recent.add(count, ms);
    },
    batch(record, model) {
      const longest = record.rows.reduce((most, { ids }) => Math.max(most, ids.length), 0);
      batchTokens.observe(record.tokens);
      batchRows.observe(record.rows.length);
      batchSeconds.observe(record.ms / 1000);
      tokens.inc(record.tokens);
      padding.inc(longest * record.rows.length - record.tokens);
      if (!record.run) return lost.inc();
      for (const { piece, tokens: own, layers: deep, ms } of record.run.pieces) {
        layers.inc({ kind: "run" }, own * deep);
        pieceSeconds.inc({ piece }, ms / 1000);
      }
      for (const { ids, tasks } of record.rows) {
        layers.inc({ kind: "naive" }, ids.length * model.base.layers * tasks.length);
        for (const name of tasks) if (model.task(name)) taskRows.inc({ task: name });
      }
    },
    swap(result, ms) {
      swaps.inc({ result });
      if (ms !== undefined) swapSeconds.observe(ms / 1000);
    },
    renewed: () => renewals.inc(),
    recent,
    close() {
      delay.stop();
      registry.clear();
    },
  };
}

function gauges(registry: Registry, { queue, inference, live, cache, running }: Watched, delay: Delay): void {
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name: `flexbert_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  gauge("queue_rows", "Rows that wait", () => queue.rows);
  gauge("queue_tokens", "Tokens that wait", () => queue.tokens);
  gauge("queue_delay_seconds", "Estimated waiting of a row that comes now", () => queue.delay() / 1000);
  gauge("batches_running", "Batches in the inference processes", running);
  gauge(
    "versions_open",
    "Versions that are open: the current one, and those that requests end on",
    () => live.open().length,
  );
  gauge(
    "inference_processes",
    "Inference processes that live",
    () => inference.state().filter(({ alive }) => alive).length,
  );
  gauge("inference_resident_bytes", "Resident bytes of all inference processes", () =>
    inference.state().reduce((sum, { rssBytes }) => sum + rssBytes, 0),
  );
  gauge("inference_restarts", "Inference processes that died and were started again", () =>
    inference.state().reduce((sum, { restarts }) => sum + restarts, 0),
  );
  if (cache) {
    gauge("cache_entries", "Logits in the cache of repeated texts", () => cache.entries);
    gauge("cache_bytes", "Bytes of the cache of repeated texts", () => cache.bytes);
  }
  new Gauge({
    name: "flexbert_event_loop_delay_seconds",
    help: "How late timers of the HTTP process are, of the last 10 to 20 seconds",
    labelNames: ["quantile"],
    registers: [registry],
    collect() {
      const { p50, p99, max } = delay.read();
      this.set({ quantile: "0.5" }, p50);
      this.set({ quantile: "0.99" }, p99);
      this.set({ quantile: "1" }, max);
    },
  });
}

interface Delay {
  /** In seconds. */
  read(): { readonly p50: number; readonly p99: number; readonly max: number };
  stop(): void;
}

const WINDOW_MS = 10_000;
/** Of the timer whose lateness is taken, in ms: Node's histogram has it in every value. */
const RESOLUTION_MS = 1;

/** Two windows in turn: the figure is of the last full one and of the one that fills. */
function watchDelay(): Delay {
  let [last, now] = [
    monitorEventLoopDelay({ resolution: RESOLUTION_MS }),
    monitorEventLoopDelay({ resolution: RESOLUTION_MS }),
  ];
  last.enable();
  now.enable();
  const timer = setInterval(() => {
    last.reset();
    [last, now] = [now, last];
  }, WINDOW_MS);
  timer.unref();
  const late = (ns: number) => Math.max(0, ns / 1e9 - RESOLUTION_MS / 1e3);
  return {
    // `last` is the older one: it has counted through both windows.
    read: () => ({ p50: late(last.percentile(50)), p99: late(last.percentile(99)), max: late(last.max) }),
    stop() {
      clearInterval(timer);
      last.disable();
      now.disable();
    },
  };
}
