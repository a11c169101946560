// flexbert serve, put together: port, inference, the version that answers, the queue and the API; and its end.

import { setTimeout } from "node:timers/promises";
import type { Logger } from "pino";
import { usageError } from "../errors/errors";
import { historyOf, rollBack } from "../merge/history/rollback";
import type { Reporter } from "../messages/reporter";
import { defaultOf } from "../options/settings";
import type { WeightForm } from "../settings/engine";
import { tokenOptions } from "../settings/serving";
import { createDrain } from "./drain";
import { type Auth, createAuth, isLoopback } from "./http/auth";
import type { HttpLimits, ServerContext } from "./http/context";
import { createMetrics, type Metrics } from "./http/metrics";
import { openPort, type Port, type PortOptions } from "./http/port";
import { buildServer } from "./http/server";
import { readTokens, type TokenEntry } from "./http/tokens";
import type { Inference } from "./inference/inference";
import { type LiveEvents, openLive } from "./model/live";
import { folderSource } from "./model/source";
import { createAnswerCache } from "./schedule/answers";
import { type BatchLimits, createBatches } from "./schedule/batches";
import { createQueue, type QueueLimits } from "./schedule/queue";
import { createRate } from "./schedule/rate";

export interface ServeSettings extends PortOptions {
  readonly folder: string;
  /** What to serve of it: a hash, or a tag to wherever it goes; the current version by default. */
  readonly version: string | undefined;
  readonly weights: WeightForm | undefined;
  readonly batch: BatchLimits;
  readonly queue: Pick<QueueLimits, "maxRows" | "maxDelayMs">;
  readonly limits: HttpLimits;
  /** Of repeated texts; 0 for none. */
  readonly cacheBytes: number;
  /** The file of tokens. */
  readonly tokens: string;
  /** Serves another host than loopback without tokens. */
  readonly noAuth: boolean;
  readonly origins: readonly string[];
  readonly logTexts: boolean;
}

/** What was started: `first` is the version that is open then, `weights` the form that runs where it is not the settings'. */
type Started = Inference & { readonly first?: string; readonly weights?: WeightForm | undefined };

/** Starts the processes that hold the engine. */
export type StartInference = (settings: {
  readonly folder: string;
  readonly version: string | undefined;
  readonly weights: WeightForm | undefined;
  readonly reporter: Reporter;
  readonly signal: AbortSignal;
}) => Promise<Started>;

export interface RunningServer {
  readonly url: string;
  readonly port: number;
  readonly version: string;
  readonly tasks: readonly string[];
  readonly processes: number;
  readonly threads: number;
  /** Takes nothing new, answers what it took, and ends: within {@link DRAIN_MS}. */
  close(): Promise<void>;
}

/** After that requests are cut off. An orchestrator kills 30 seconds after it asked. */
const DRAIN_MS = 25_000;

/** Throws UserError for what is wrong with the settings, the folder or the machine. */
export async function startServer(
  settings: ServeSettings,
  start: StartInference,
  logger: Logger,
  reporter: Reporter,
  signal: AbortSignal,
): Promise<RunningServer> {
  const { folder, version, weights } = settings;
  const tokens = await tokensFor(settings, reporter);
  const port = await openPort(settings);
  let inference: Started | null = null;
  try {
    inference = await start({ folder, version, weights, reporter, signal });
    return await open(settings, port, inference, tokens, logger);
  } catch (error) {
    port.cut();
    await port.close(async () => undefined);
    await inference?.shutdown();
    throw error;
  }
}

/** Throws usageError (2) where others could reach a server without tokens, unless it is said that they may. */
async function tokensFor(
  { tokens: file, host, noAuth }: ServeSettings,
  reporter: Reporter,
): Promise<readonly TokenEntry[] | null> {
  if (noAuth) return null;
  const tokens = await readTokens(file);
  if (!tokens?.length && !isLoopback(host)) {
    throw usageError(
      `--host ${host} can be reached by others, and ${file} has no tokens. Make one: flexbert serve --new-token NAME; or give --no-auth`,
    );
  }
  if (tokens === null && file !== defaultOf(tokenOptions.tokens)) {
    reporter.warn(
      `${file} is not there: requests need no token. Make one: flexbert serve --new-token NAME --tokens ${file}`,
    );
  }
  return tokens;
}

async function open(
  settings: ServeSettings,
  port: Port,
  inference: Started,
  tokens: readonly TokenEntry[] | null,
  logger: Logger,
): Promise<RunningServer> {
  const { folder, version, batch, noAuth, host } = settings;
  const { weights = settings.weights } = inference;
  const rate = createRate(inference.slots);
  const queue = createQueue({ ...settings.queue, batchTokens: batch.maxTokens }, rate);
  const cache = settings.cacheBytes > 0 ? createAnswerCache(settings.cacheBytes) : null;
  const drain = createDrain();
  const auth = createAuth({ tokens, localNamesOnly: isLoopback(host) && tokens === null && !noAuth });
  const late: { metrics?: Metrics } = {};
  const live = await openLive(
    folderSource(folder, { version, weights }),
    inference,
    liveEvents(logger, () => late.metrics),
    inference.first ?? null,
  );
  const batches = createBatches(inference, queue, rate, batch, (record) => {
    metrics.batch(record, live.current);
  });
  const metrics = createMetrics({ queue, inference, cache, live, running: () => batches.running });
  late.metrics = metrics;
  const context: ServerContext = {
    ...{ live, queue, batches, cache, inference, auth, metrics, drain },
    limits: settings.limits,
    logTexts: settings.logTexts,
    folder: {
      pinned: version ?? null,
      history: () => historyOf(folder),
      async rollback(to) {
        await rollBack(folder, to, { note: "by the server's admin" });
      },
    },
  };
  const app = buildServer(context, { origins: settings.origins, logger, take: port.take });
  await app.ready();
  port.begin();
  const stopWatching = noAuth ? () => undefined : watchTokens(settings.tokens, auth, logger);

  return {
    url: port.url,
    port: port.port,
    version: live.current.id,
    tasks: live.current.tasks.map(({ name }) => name),
    processes: inference.processes,
    threads: inference.threads,
    async close() {
      drain.begin();
      logger.info("draining: not ready, and answering what was taken");
      const late = new AbortController();
      const cut = setTimeout(DRAIN_MS, undefined, { signal: late.signal }).then(port.cut, () => undefined);
      await Promise.race([drain.idle(), cut]);
      await Promise.race([port.close(drain.idle), cut]);
      late.abort();
      stopWatching();
      await app.close();
      await live.close();
      await inference.shutdown();
      metrics.close();
      logger.info("ended");
    },
  };
}

function liveEvents(logger: Logger, metrics: () => Metrics | undefined): LiveEvents {
  return {
    swapped(swap) {
      metrics()?.swap("done", swap.ms);
      logger.info({ swap }, "another version answers");
    },
    refused(refusal) {
      metrics()?.swap("refused");
      logger.error({ refusal }, "a version is refused, and the current one stays");
    },
    closed: (version) => logger.info({ version }, "a version is closed"),
    renewed() {
      metrics()?.renewed();
      logger.warn("memory had grown: fresh inference processes took over");
    },
    failed: (error) => logger.error({ err: error }, "closing a version or renewing processes failed"),
  };
}

const TOKENS_MS = 2000;

/** A token that is taken out of the file is refused within seconds; a file that is gone or cannot be read changes nothing. */
function watchTokens(file: string, auth: Auth, logger: Logger): () => void {
  const timer = setInterval(async () => {
    try {
      const tokens = await readTokens(file);
      // An editor that saves may take it away for a moment.
      if (tokens) auth.replace(tokens);
    } catch (error) {
      logger.error({ err: error }, "the file of tokens cannot be read: the last ones hold");
    }
  }, TOKENS_MS);
  timer.unref();
  return () => clearInterval(timer);
}
