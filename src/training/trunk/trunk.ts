// Trunk activations: each frozen layer runs once per split for a whole sweep, because frozen layers run without
// dropout (the paper's partial fine-tuning; the cache is ours). Layer f + 1's activations come from layer f's, in
// batches that the data alone fixes, so a lost cache is rebuilt bit for bit. Stored ragged, without padding.

import { setImmediate } from "node:timers/promises";
import { type Batch, sortedBatches } from "../../batches/batches";
import type { EncodedRows } from "../../batches/rows";
import { hiddenInputs, tokenInputs } from "../../batches/token-inputs";
import type { Engine, Program } from "../../engines/engine";
import { Interrupted } from "../../messages/reporter";
import { branchAxes } from "../../model/branch";
import type { EncoderConfig } from "../../model/config";
import type { EntryPoint } from "../../model/entry-point";
import { embeddingTensors, stretchTensors } from "../../model/parameters";
import type { HostTensors } from "../../model/tensors";
import { embedEntry, layersEntry, trunkEntry } from "../../model/trunk";
import type { RunContext } from "../tracking/tracker";
import { type ActivationStore, openStore, type StoreOptions } from "./activation-store";
import { sharedActivations } from "./node-cache";

/** Rows of one batch of the trunk. Part of what fixes the activations' bits: changing it changes them. */
const TRUNK_BATCH = 32;

/** A base's configuration and tensors, as the trunk needs them. */
export interface TrunkBase {
  readonly config: EncoderConfig;
  readonly tensors: HostTensors;
  readonly sha256: string;
}

/** Activations under one fork. */
export interface Activations {
  readonly fork: number;
  /** [size, batch.length, hidden], zero where padding or filler rows are. */
  read(batch: Batch, size: number): Promise<Float32Array>;
  /** What the frozen layers took since the last call, for all forks: asked once a trial, the sum is the sweep's. */
  takeCost(): TrunkCost;
}

/** What computing trunk activations took. */
export interface TrunkCost {
  /** Token positions times encoder layers, padding included. */
  readonly layerTokens: number;
  readonly seconds: number;
}

export interface Trunk {
  /** Where activations are kept, for the log: "in memory (93 MB)". */
  readonly place: string;
  /** Bytes of memory that activations take, or will once every fork that is kept has been reached. */
  readonly memoryBytes: number;
  /** Token positions that layers computed so far, for tokens a second. */
  readonly tokensComputed: number;
  /** Activations of the layer under `fork`, computed up from where the trunk stands. Earlier ones are overwritten. */
  at(fork: number): Promise<Activations>;
  dispose(): Promise<void>;
}

/** `budget`: bytes of memory that this split's activations may take. */
export interface TrunkOptions extends StoreOptions {
  /** What the progress bar says: "rte train". */
  readonly label: string;
  /**
   * Forks whose activations stay readable beside later ones, each in memory of its own while the budget has room and then
   * on disk; where neither has, the way back to one begins anew. None where absent.
   */
  readonly keep?: ReadonlySet<number>;
  /** Where processes of this machine share activations, as openNodeCache made it. They share none where it is absent or null. */
  readonly nodeCache?: string | null;
}

/** Opens the trunk of one split. Nothing is computed before `at`. */
export async function openTrunk(
  base: TrunkBase,
  rows: EncodedRows,
  options: TrunkOptions,
  context: RunContext<Engine>,
): Promise<Trunk> {
  const bytes = rows.tokens * base.config.hiddenSize * 4;
  let inMemory = 0;
  const another: OpenStore = async () => {
    const budget = options.budget - inMemory * bytes;
    const store = await openStore(rows.lengths, base.config.hiddenSize, { ...options, budget });
    if (store && store.memoryBytes > 0) inMemory += 1;
    return store;
  };
  const store = await another();
  if (store) return storedTrunk(base, rows, store, another, options, context);
  context.reporter.warn(
    `${options.label}: trunk activations need ${(bytes / 1e9).toFixed(1)} GB, which neither --cache-budget ` +
      `(${(options.budget / 1e9).toFixed(1)} GB) nor the disk has: every step runs the frozen layers again`,
  );
  return recomputingTrunk(base, rows, context);
}

/** Another place for a split's activations; null where there is none. */
type OpenStore = () => Promise<ActivationStore | null>;

function storedTrunk(
  base: TrunkBase,
  rows: EncodedRows,
  first: ActivationStore,
  openAnother: OpenStore,
  options: TrunkOptions,
  context: RunContext<Engine>,
): Trunk {
  let store = first;
  const places = storesOf(first, openAnother, (fork) =>
    context.reporter.warn(
      `${options.label}: no room to keep activations under fork ${fork} beside others: they will be computed again`,
    ),
  );
  const storesWithin = (budget: number) => Math.max(1, Math.floor(budget / Math.max(1, first.memoryBytes)));
  const batches = sortedBatches(rows.lengths, TRUNK_BATCH);
  let depth: number | null = null; // layers that the stored activations have passed
  let seconds = 0; // that they took from the embeddings up, whoever computed them
  let tokensComputed = 0;
  const cost = costCounter();

  const pass = async (label: string, state: HostTensors, entry: EntryPoint, fromStore: boolean) => {
    const started = performance.now();
    const into = await places.besides(store);
    const program = await context.engine.load(state, { forward: entry }, { forward: branchAxes });
    const bar = context.reporter.progress(`${options.label}: ${label}`, batches.length);
    try {
      for (const batch of batches) {
        if (context.signal.aborted) throw new Interrupted(null);
        const inputs = fromStore
          ? hiddenInputs(await store.read(batch, TRUNK_BATCH), base.config.hiddenSize, rows, batch, TRUNK_BATCH)
          : tokenInputs(rows, batch, TRUNK_BATCH, base.config);
        const { hidden } = await program.run("forward", inputs);
        await into.write(batch, (hidden as { data: Float32Array }).data);
        tokensComputed += batch.length * TRUNK_BATCH;
        if (fromStore) cost.layerTokens += batch.length * TRUNK_BATCH; // embeddings are no layer
        bar.advance(1);
        await setImmediate(); // engines that compute within a call leave signals and signs of life no turn
      }
    } finally {
      const took = (performance.now() - started) / 1000;
      cost.seconds += took;
      seconds += took;
      bar.end();
      program.dispose();
    }
    store = into;
  };
  const reached = (fork: number) => {
    depth = fork;
    if (options.keep?.has(fork)) places.keep(fork, store);
  };
  const reading = (fork: number, from: ActivationStore): Activations => {
    return { fork, read: (batch, size) => from.read(batch, size), takeCost: cost.take };
  };
  const climb = async (fork: number) => {
    const { config, tensors } = base;
    if (depth === null) {
      seconds = 0;
      await pass("embeddings", embeddingTensors(tensors), embedEntry(config), false);
      reached(0);
    }
    while (depth !== null && depth < fork) {
      const layer: number = depth;
      depth = null; // a pass that stops half way leaves nothing usable
      await pass(
        `frozen layer ${layer + 1} of ${fork}`,
        stretchTensors(tensors, { from: layer, to: layer + 1, bottom: false }),
        layersEntry(config, layer, layer + 1),
        true,
      );
      reached(layer + 1);
    }
  };
  const { hiddenSize: hidden } = base.config;
  const what = { base: base.sha256, rows, hidden, batchSize: TRUNK_BATCH };
  const shared = options.nodeCache ? sharedActivations(options.nodeCache, what, options.label, context) : null;

  return {
    place: first.place,
    // What it may come to hold: others must not take it before.
    memoryBytes: Math.min((options.keep?.size ?? 0) + 1, storesWithin(options.budget)) * first.memoryBytes,
    get tokensComputed() {
      return tokensComputed;
    },
    async at(fork) {
      const known = depth === fork ? store : places.kept(fork);
      if (known) return reading(fork, known);
      if (depth !== null && depth > fork) depth = null;
      const turn = await shared?.ask(fork, depth);
      try {
        if (turn?.found) {
          ({ store, fork: depth, seconds } = turn.found);
          places.borrow(depth, store);
        }
        await climb(fork);
        await turn?.publish(store, seconds);
      } finally {
        await turn?.end();
      }
      return reading(fork, store);
    },
    dispose: places.dispose,
  };
}

/** The places of a split's activations, of which some are kept while others are written again. */
function storesOf(first: ActivationStore, openAnother: OpenStore, onLost: (fork: number) => void) {
  const own = [first];
  const borrowed: ActivationStore[] = [];
  const kept = new Map<number, ActivationStore>();
  const forkOf = (store: ActivationStore) => [...kept].find(([, one]) => one === store)?.[0];
  return {
    kept: (fork: number) => kept.get(fork),
    keep(fork: number, store: ActivationStore) {
      if (!kept.has(fork)) kept.set(fork, store);
    },
    /** Keeps what others read too. */
    borrow(fork: number, store: ActivationStore) {
      kept.set(fork, store);
      borrowed.push(store);
    },
    /** Where a pass writes that reads `store`: over it, unless that is kept and there is another place. */
    async besides(store: ActivationStore): Promise<ActivationStore> {
      if (forkOf(store) === undefined) return store;
      const free = own.find((one) => forkOf(one) === undefined);
      if (free) return free;
      const another = await openAnother();
      if (another) {
        own.push(another);
        return another;
      }
      const lost = own.includes(store) ? store : first;
      const fork = forkOf(lost) as number;
      kept.delete(fork);
      onLost(fork);
      return lost;
    },
    async dispose() {
      for (const one of [...own, ...borrowed]) await one.dispose();
    },
  };
}

function recomputingTrunk(base: TrunkBase, rows: EncodedRows, context: RunContext<Engine>): Trunk {
  let program: Program<"forward"> | null = null;
  let tokensComputed = 0;
  const cost = costCounter();
  return {
    place: "recomputed at every step",
    memoryBytes: 0,
    get tokensComputed() {
      return tokensComputed;
    },
    async at(fork) {
      const { config, tensors } = base;
      program?.dispose();
      const loaded = await context.engine.load(
        stretchTensors(tensors, { from: 0, to: fork, bottom: true }),
        { forward: trunkEntry(config, fork) },
        { forward: branchAxes },
      );
      program = loaded;
      return {
        fork,
        takeCost: cost.take,
        async read(batch, size) {
          const started = performance.now();
          const { hidden } = await loaded.run("forward", tokenInputs(rows, batch, size, config));
          tokensComputed += size * batch.length * fork;
          cost.layerTokens += size * batch.length * fork;
          cost.seconds += (performance.now() - started) / 1000;
          return (hidden as { data: Float32Array }).data;
        },
      };
    },
    async dispose() {
      program?.dispose();
    },
  };
}

function costCounter() {
  const cost = {
    layerTokens: 0,
    seconds: 0,
    take(): TrunkCost {
      const { layerTokens, seconds } = cost;
      cost.layerTokens = 0;
      cost.seconds = 0;
      return { layerTokens, seconds };
    },
  };
  return cost;
}
