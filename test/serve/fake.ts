// A server without an engine: an Inference whose answers tests give, versions made by hand, and the API over both.

import { readFileSync } from "node:fs";
import path from "node:path";
import type { Manifest } from "../../src/merge/folder/manifest";
import { createDrain } from "../../src/serve/drain";
import { createAuth } from "../../src/serve/http/auth";
import type { FolderControl, HttpLimits, ServerContext } from "../../src/serve/http/context";
import { createMetrics } from "../../src/serve/http/metrics";
import { buildServer } from "../../src/serve/http/server";
import type { TokenEntry } from "../../src/serve/http/tokens";
import type { BatchPart, BatchRow, BatchRun, Inference } from "../../src/serve/inference/inference";
import { type LiveEvents, openLive } from "../../src/serve/model/live";
import { describeVersion, type Served } from "../../src/serve/model/served";
import type { VersionSource } from "../../src/serve/model/source";
import { createAnswerCache } from "../../src/serve/schedule/answers";
import { createBatches } from "../../src/serve/schedule/batches";
import { createQueue, type QueueLimits } from "../../src/serve/schedule/queue";
import { createRate } from "../../src/serve/schedule/rate";
import { kinds } from "../../src/tasks/kinds";
import { createTokenizer } from "../../src/tokenizer/tokenizer";

/** A batch that was handed out and has no answer yet. */
export interface FakeBatch {
  readonly version: string;
  readonly rows: readonly BatchRow[];
  part(task: string, rows?: readonly number[]): void;
  /** Hands out what is missing, and ends. */
  answer(): void;
  lose(error: Error): void;
}

export interface FakeInference extends Inference {
  readonly batches: FakeBatch[];
  /** Versions that are open, in the order in which they were opened. */
  readonly versions: string[];
  readonly log: string[];
  /** Answers every batch by itself from now on. */
  automatic: boolean;
  rssBytes: number;
  /** After how many layers every row leaves, where it may. */
  layer?: number;
  /** Called before a version is open. */
  onOpen: (version: string) => Promise<void>;
}

/** Outputs of a task by name. */
const outputsOf: Readonly<Record<string, number>> = { mood: 2, topic: 3, match: 2, close: 1 };

/** Logits that tell the row, its task and its version: [first id, length, ...] */
const logitsOf = ({ ids }: BatchRow, task: string, version: string): number[] =>
  [ids.length / 10, Number.parseInt(version.slice(0, 2), 16) / 100, ids[1] as number].slice(0, outputsOf[task]);

export function fakeInference(slots = 1): FakeInference {
  const fake: FakeInference = {
    ...{ processes: 1, threads: 1, slots, batches: [], versions: [], log: [], automatic: false, rssBytes: 1e8 },
    onOpen: async () => undefined,
    async open(version) {
      await fake.onOpen(version);
      fake.versions.push(version);
      fake.log.push(`open ${version}`);
    },
    async close(version) {
      fake.versions.splice(fake.versions.indexOf(version), 1);
      fake.log.push(`close ${version}`);
    },
    run(version, rows, onPart) {
      if (!fake.versions.includes(version)) throw new Error(`${version} is not open`);
      return new Promise<BatchRun>((resolve, reject) => {
        const left = (part: BatchPart) => onPart(fake.layer === undefined ? part : { ...part, layer: fake.layer });
        const batch = handed(version, rows, left, resolve, reject);
        fake.batches.push(batch);
        if (fake.automatic) setImmediate(() => batch.answer());
      });
    },
    state: () => [{ pid: 1, alive: true, rssBytes: fake.rssBytes, restarts: 0 }],
    async renew() {
      fake.log.push("renew");
    },
    shutdown: async () => undefined,
  };
  return fake;
}

function handed(
  version: string,
  rows: readonly BatchRow[],
  onPart: (part: BatchPart) => void,
  resolve: (run: BatchRun) => void,
  reject: (error: Error) => void,
): FakeBatch {
  const tasks = new Set(rows.flatMap(({ tasks }) => tasks));
  const part = (task: string, only = [...rows.keys()].filter((row) => rows[row]?.tasks.includes(task))) => {
    tasks.delete(task);
    const logits = Float32Array.from(only.flatMap((row) => logitsOf(rows[row] as BatchRow, task, version)));
    onPart({ task, rows: only, logits, outputs: outputsOf[task] as number, at: 1 });
  };
  const tokens = rows.reduce((sum, { ids }) => sum + ids.length, 0);
  return {
    ...{ version, rows, part, lose: reject },
    answer() {
      for (const task of [...tasks]) part(task);
      resolve({ ms: 1, pieces: [{ piece: "layers 0-2", rows: rows.length, tokens, layers: 2, ms: 1 }] });
    },
  };
}

const vocabulary = readFileSync(path.join(__dirname, "../fixtures/v0.1.0/cache/tiny/vocab.txt"), "utf8").split("\n");
export const tokenizer = createTokenizer({ tokens: vocabulary.filter((line) => line !== ""), lowerCase: true });

const sha = (digits: string) => digits.padEnd(64, "0");

/** By what texts of a task leave, as a manifest has it. */
export const fakeExits = {
  ramps: { file: "blobs/mood-ramps.safetensors", sha256: sha("f1") },
  layers: [1, 2],
  rule: {
    ...{ criterion: "entropy", threshold: 0.25, stops: [1, 2], promise: { keep: 0.99, confidence: 0.95 } },
    measured: { rows: 400, counted: 320, lost: 1, layers: 2.25, top: 3, left: [100, 100] },
  },
};

/** Of four tasks over a trunk of four layers. @param changed the hash of mood's branch; leaving what of mood's texts leave by */
export function version(id: string, changed = "a1", left: readonly string[] = [], leaving?: object): Served {
  const task = (name: string, sha256: string, more: object) => ({
    ...{ name, file: `blobs/${name}.safetensors`, sha256: sha(sha256), kind: kinds.classification, inputs: "single" },
    ...{
      labels: [],
      range: null,
      metric: "accuracy",
      maxLength: 32,
      score: null,
      metrics: {},
      run: "",
      fork: 2,
      layers: 1,
    },
    ...more,
  });
  const manifest = {
    format: 2,
    base: { name: "tiny", sha256: sha("ba"), layers: 4 },
    embeddings: { file: "blobs/e.safetensors", sha256: sha("ee") },
    trunk: [
      { file: "blobs/0.safetensors", sha256: sha("e0") },
      { file: "blobs/1.safetensors", sha256: sha("e1") },
    ],
    tasks: [
      task("mood", changed, { labels: ["bad", "good"], ...(leaving ? { exits: leaving } : {}) }),
      task("topic", "b1", { labels: ["a", "b", "c"], kind: kinds.multilabel, fork: 1, layers: 3 }),
      task("match", "c1", { labels: ["no", "yes"], inputs: "pair", maxLength: 16 }),
      task("close", "d1", { kind: kinds.regression, inputs: "pair", range: [0, 5] }),
    ].filter(({ name }) => !left.includes(name)),
    onnx: null,
  } as unknown as Manifest;
  return describeVersion(id, manifest, { tokenizer, precision: "float32" });
}

/** A folder in memory. */
export function fakeSource(versions: readonly Served[]) {
  const known = new Map(versions.map((served) => [served.id, served]));
  let change: () => void = () => undefined;
  const source = {
    current: versions[0]?.id as string,
    reads: 0,
    changed: () => change(),
    async wanted() {
      return { id: source.current, tags: ["stable"] };
    },
    async read(id: string) {
      source.reads++;
      const found = known.get(id);
      if (!found) throw new Error(`no ${id}`);
      return found;
    },
    watch(onChange: () => void) {
      change = onChange;
      return () => undefined;
    },
  };
  return source satisfies VersionSource;
}

export interface FakeOptions {
  readonly slots?: number;
  readonly queue?: Partial<QueueLimits>;
  readonly limits?: Partial<HttpLimits>;
  readonly maxWaitMs?: number;
  readonly cacheBytes?: number;
  readonly tokens?: readonly TokenEntry[];
  readonly localNamesOnly?: boolean;
  readonly origins?: readonly string[];
  readonly pinned?: string;
  readonly versions?: readonly Served[];
  readonly logTexts?: boolean;
  readonly folder?: Partial<FolderControl>;
  readonly events?: LiveEvents;
  readonly logger?: NonNullable<Parameters<typeof buildServer>[1]["logger"]>;
}

/** The API over a fake inference. */
export async function fakeServer(options: FakeOptions = {}) {
  const inference = fakeInference(options.slots);
  const source = fakeSource(options.versions ?? [version("11111111"), version("22222222", "a2")]);
  const batch = { maxTokens: 64, maxWaitMs: options.maxWaitMs ?? 2 };
  const rate = createRate(inference.slots);
  const queue = createQueue({ maxRows: 8, maxDelayMs: null, batchTokens: 64, ...options.queue }, rate);
  const live = await openLive(source, inference, options.events);
  const batches = createBatches(inference, queue, rate, batch, (record) => metrics.batch(record, live.current));
  const cache = options.cacheBytes ? createAnswerCache(options.cacheBytes) : null;
  const drain = createDrain();
  const metrics = createMetrics({ queue, inference, cache, live, running: () => batches.running });
  const context: ServerContext = {
    ...{ live, queue, batches, cache, inference, metrics, drain, logTexts: options.logTexts ?? false },
    auth: createAuth({ tokens: options.tokens ?? null, localNamesOnly: options.localNamesOnly ?? false }),
    limits: { maxRows: 6, maxText: 200, maxBodyBytes: 4000, ...options.limits },
    folder: {
      ...{ pinned: options.pinned ?? null, history: async () => [], rollback: async () => undefined },
      ...options.folder,
    },
  };
  const app = buildServer(context, {
    origins: options.origins ?? [],
    ...(options.logger && { logger: options.logger }),
  });
  await app.ready();
  return {
    ...{ app, inference, source, live, queue, batches, drain, metrics, context },
    async close() {
      app.server.closeAllConnections();
      await app.close();
      await live.close();
      metrics.close();
    },
  };
}
