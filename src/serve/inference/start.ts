// Starts the inference processes of a merged folder: as many as were named, or as a short measurement finds best.

import { usageError } from "../../errors/errors";
import { isMergedFolder } from "../../merge/folder/pointer";
import { readVersion } from "../../merge/folder/version";
import { Interrupted, type Reporter } from "../../messages/reporter";
import { counted } from "../../messages/words";
import type { DeviceChoice, EngineName, WeightForm } from "../../settings/engine";
import { chooseLayout, type Layout, layoutsOf, measureRate, type Trial } from "./calibrate";
import type { OpenedVersion, Settings } from "./calls";
import { usableCores, usableMemory } from "./cores";
import { startWorkers, type Workers } from "./workers";

export interface InferenceOptions {
  /** A merged folder. */
  readonly folder: string;
  /** onnx by default. */
  readonly engine?: EngineName | undefined;
  /** Of the onnx engine; "cpu" by default. */
  readonly device?: DeviceChoice | undefined;
  /** By default int8 where a version has it and the engine runs it. */
  readonly weights?: WeightForm | undefined;
  /** What is measured, and open from the start: an id or a tag, the current version by default. */
  readonly version?: string | undefined;
  readonly workers?: number | undefined;
  readonly threads?: number | undefined;
  readonly reporter: Reporter;
  /** Stops the start alone: what runs is ended by `shutdown`. */
  readonly signal?: AbortSignal | undefined;
  readonly verbose?: boolean | undefined;
  /** Seconds without a sign of life after which a process is killed. */
  readonly silence?: number | undefined;
}

export interface StartedInference extends Workers {
  /** The version that is open from the start: {@link InferenceOptions.version}, or the one that was current then. */
  readonly first: string;
  /** The form of the weights that run: what was asked for; on a GPU float32. */
  readonly weights: WeightForm | undefined;
}

/**
 * On a GPU one process alone runs, without a measurement.
 * Throws UserError (2) for a folder that is none and for several processes on a GPU, (4) where the version does not open, (6) where the engine or its device is absent,
 * and Interrupted where the signal stopped it.
 */
export async function startInference(given: InferenceOptions): Promise<StartedInference> {
  const { folder, version, signal } = given;
  if (!isMergedFolder(folder)) {
    throw usageError(`${folder} is no merged folder, and no other can be served. Run: flexbert merge --out ${folder}`);
  }
  const { id } = await readVersion(folder, { version });
  const options = await withDevice(given);
  try {
    const layout = chosenLayout(options, usableCores());
    const workers = layout ? await startLayout(layout, id, options) : await startBest(id, options);
    return { ...workers, first: id, weights: options.weights };
  } catch (error) {
    if (signal?.aborted) throw new Interrupted(null, "stopped before the server had started");
    throw error;
  }
}

/** The device that there is, once for all that is started. Throws as {@link chooseDevice}, and usageError for several processes. */
async function withDevice(options: InferenceOptions): Promise<InferenceOptions> {
  const { engine = "onnx", device: asked = "cpu", reporter } = options;
  if (asked === "cpu") return options;
  const [{ requireOnnx }, { chooseDevice }] = await Promise.all([
    import("../../engines/open.js"),
    import("../../engines/onnx/device/choose.js"),
  ]);
  requireOnnx(engine, asked);
  const { device, why } = await chooseDevice(asked);
  reporter.log(`device: ${device}; ${why}`);
  if (device === "cpu") return { ...options, device };
  requireOneProcess(options, device);
  return { ...options, device, workers: 1, weights: options.weights ?? "float32" };
}

/** A GPU runs one batch after the other, whoever asks: a second process would hold the weights once more, and wait. */
export function requireOneProcess({ workers = 1 }: Pick<InferenceOptions, "workers">, device: string): void {
  if (workers === 1) return;
  throw usageError(
    `--workers ${workers}: on --device ${device} one process holds the model, and others would wait for it with weights of their own. Leave --workers out`,
  );
}

/** As the options have it: who names one number leaves the other to the cores. null where neither is named. */
export function chosenLayout(
  { workers, threads }: Pick<InferenceOptions, "workers" | "threads">,
  cores: number,
): Layout | null {
  if (workers !== undefined)
    return { processes: workers, threads: threads ?? Math.max(1, Math.floor(cores / workers)) };
  if (threads !== undefined) return { processes: Math.max(1, Math.floor(cores / threads)), threads };
  return cores === 1 ? { processes: 1, threads: 1 } : null;
}

async function startLayout(layout: Layout, version: string, options: InferenceOptions): Promise<Workers> {
  const workers = await openLayout(layout, version, options);
  const bytes = await bytesEach(workers);
  options.reporter.log(`inference: ${workers.engine}; ${inWords(workers)}, ${memoryOf(workers.processes, bytes)}`);
  return workers;
}

interface Tried extends Trial {
  readonly workers: Workers;
}

/** The layout that a measurement finds. */
async function startBest(version: string, options: InferenceOptions): Promise<Workers> {
  const { reporter } = options;
  const failures: unknown[] = [];
  const tryOut = async (layout: Layout): Promise<Tried | null> => {
    try {
      const workers = await openLayout(layout, version, options);
      const textsPerSecond = await measureRate(workers, version, workers.described(version) as OpenedVersion);
      return { ...layout, textsPerSecond, bytesEach: await bytesEach(workers), workers };
    } catch (error) {
      failures.push(error);
      return null;
    }
  };
  const giveUp = ({ workers }: Tried) => workers.shutdown();
  const { chosen, trials } = await chooseLayout(layoutsOf(usableCores()), usableMemory(), tryOut, giveUp);
  if (!chosen) throw failures[0];
  const [failed] = failures;
  if (failed instanceof Error) {
    reporter.warn(`${inWords(chosen)} it is: more did not start (${failed.message})`);
  }
  for (const trial of trials) {
    const rate = `${Math.round(trial.textsPerSecond)} texts/s`;
    reporter.log(`measured ${inWords(trial)}: ${rate}, ${memoryOf(trial.processes, trial.bytesEach)}`);
  }
  reporter.log(`inference: ${chosen.workers.engine}; ${inWords(chosen)}. --workers and --threads choose others`);
  return chosen.workers;
}

async function openLayout(
  { processes, threads }: Layout,
  version: string,
  { folder, engine = "onnx", device = "cpu", weights, reporter, signal, verbose = false, silence }: InferenceOptions,
): Promise<Workers> {
  signal?.throwIfAborted();
  const settings: Settings = { folder, engine, device, weights, threads, verbose };
  const workers = await startWorkers({ settings, processes, reporter, signal, ...(silence ? { silence } : {}) });
  const stop = () => void workers.shutdown();
  signal?.addEventListener("abort", stop);
  try {
    await workers.open(version);
    return workers;
  } catch (error) {
    await workers.shutdown();
    throw error;
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

async function bytesEach(workers: Workers): Promise<number> {
  const bytes = (await workers.look()).map(({ rssBytes }) => rssBytes);
  return bytes.reduce((sum, own) => sum + own, 0) / bytes.length;
}

const inWords = ({ processes, threads }: Pick<Layout, "processes" | "threads">) =>
  `${processes === 1 ? "1 process" : `${processes} processes`} of ${counted(threads, "thread")}`;

const memoryOf = (processes: number, each: number) => {
  const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;
  return processes === 1 ? megabytes(each) : `${megabytes(each)} each, ${megabytes(processes * each)} in all`;
};
