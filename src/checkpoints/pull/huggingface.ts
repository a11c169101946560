// A model from the Hugging Face hub, or from a mirror (HF_ENDPOINT) with its paths: /NAME/resolve/REVISION/FILE.
// Not @huggingface/hub: its downloads neither resume nor compare hashes nor take a proxy, and its cache layout (links
// into a blob store) is of no use here.

import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import { modelError } from "../../errors/errors";
import { type DownloadRequest, download } from "../../files/download";
import { type Network, StatusError } from "../../files/network";
import { parseConfig } from "../../model/families/config-file";
import { readBaseTokenizer } from "../bases/base-tokenizer";
import { readJson } from "../bases/json";
import { shardsOf } from "../bases/shards";
import { weightForms } from "../bases/weights";

export interface FetchRequest {
  /** An existing folder for the model's files. */
  readonly folder: string;
  readonly network: Network;
  readonly onProgress?: (file: string, received: number, total: number | null) => void;
  /** See {@link PullOptions}. */
  readonly onNote?: (line: string) => void;
  readonly signal?: AbortSignal;
  /** See {@link PullOptions}. */
  readonly lowerCase?: boolean | undefined;
}

/** The hub, or the mirror that HF_ENDPOINT names. */
export const hubEndpoint = () => (process.env["HF_ENDPOINT"] || "https://huggingface.co").replace(/\/+$/, "");

const optionalFiles = ["tokenizer_config.json", "tokenizer.json", "vocab.txt", "added_tokens.json"];
/** RoBERTa's, where neither of the two vocabularies above is there. */
const olderFiles = ["vocab.json", "merges.txt"];

/**
 * Fetches the files of `name` (ORG/NAME, or NAME@REVISION) and returns where they are from, with the commit.
 * The small files come first, so that a model that cannot be used is refused before its weights travel.
 * Throws modelError (4) for a model that is missing, closed, no BERT or without weights; see `download` for the rest.
 */
export async function fetchFromHub(name: string, request: FetchRequest, weightsSha256?: string): Promise<string> {
  const [repository = name, revision = "main"] = name.split("@");
  const endpoint = hubEndpoint();
  const fileUrl = (file: string, at: string) => `${endpoint}/${repository}/resolve/${encodeURIComponent(at)}/${file}`;
  const get = (file: string, at: string, sha256?: string) => {
    const expected = sha256 === undefined ? {} : { sha256 };
    return download(downloadRequest(file, fileUrl(file, at), { ...request, ...expected }), request.network);
  };
  try {
    const answer = await get("config.json", revision);
    // All files of one commit, also when somebody pushes in between.
    const commit = /^[0-9a-f]{40}$/.exec(answer.get("x-repo-commit") ?? "")?.[0] ?? revision;
    const config = path.join(request.folder, "config.json");
    const parsed = parseConfig(await readJson(config), `${endpoint}/${repository}/config.json`);
    for (const file of optionalFiles) await getOptional(file, () => get(file, commit), request.folder);
    const hasVocabulary = ["tokenizer.json", "vocab.txt"].some((file) => existsSync(path.join(request.folder, file)));
    for (const file of hasVocabulary ? [] : olderFiles) {
      await getOptional(file, () => get(file, commit), request.folder);
    }
    await readBaseTokenizer(request.folder, repository, parsed, request.lowerCase);
    const found = await getWeights((file) => get(file, commit, weightsSha256), request.folder);
    if (!found) {
      const files = weightForms.map(({ file }) => file).join(", ");
      throw modelError(
        `${repository} has none of ${files}. Convert it: save_pretrained of transformers writes the first`,
      );
    }
    return `${endpoint}/${repository}@${commit}`;
  } catch (error) {
    if (isMissing(error)) await refuseAdapter(repository, () => get(ADAPTER, revision), request.folder);
    throw error instanceof StatusError ? refusal(error, name, endpoint) : error;
  }
}

const ADAPTER = "adapter_config.json";

/** A repository without config.json may be an adapter's. */
async function refuseAdapter(repository: string, get: () => Promise<unknown>, folder: string): Promise<void> {
  const isAdapter = await get().then(
    () => true,
    () => false,
  );
  await rm(path.join(folder, ADAPTER), { force: true });
  if (!isAdapter) return;
  throw modelError(
    `${repository} is an adapter, which is no whole model: merge it into its base first (merge_and_unload in peft)`,
  );
}

function downloadRequest(file: string, url: string, request: FetchRequest & { sha256?: string }): DownloadRequest {
  const { onProgress, signal, sha256 } = request;
  return {
    url,
    target: path.join(request.folder, file),
    headers: authorization(),
    ...(sha256 === undefined ? {} : { sha256 }),
    ...(onProgress ? { onProgress: (received, total) => onProgress(file, received, total) } : {}),
    ...(signal ? { signal } : {}),
  };
}

function authorization(): Record<string, string> {
  const token = process.env["HF_TOKEN"];
  return token ? { authorization: `Bearer ${token}` } : {};
}

const isMissing = (error: unknown) => error instanceof StatusError && error.status === 404;

async function getOptional(file: string, get: () => Promise<unknown>, folder: string): Promise<void> {
  try {
    await get();
  } catch (error) {
    if (!isMissing(error)) throw error;
    await rm(path.join(folder, file), { force: true }); // one of an interrupted pull of another commit
  }
}

/** The first form of weights that the model has, with all its files; whether there is one. */
async function getWeights(get: (file: string) => Promise<unknown>, folder: string): Promise<boolean> {
  for (const { file, sharded } of weightForms) {
    await getOptional(file, () => get(file), folder);
    const target = path.join(folder, file);
    if (!existsSync(target)) continue;
    const shards = sharded ? [...shardsOf(await readJson(target), target).keys()] : [];
    for (const shard of shards) await get(shard);
    return true;
  }
  return false;
}

function refusal(error: StatusError, name: string, endpoint: string) {
  if (error.status === 401 || error.status === 403) {
    const token = process.env["HF_TOKEN"] ? "HF_TOKEN gives no access to it" : "it may be private: set HF_TOKEN";
    return modelError(`${endpoint} refuses ${name} (${error.status}): the name is wrong, or ${token}`, error);
  }
  if (error.status === 404) return modelError(`${endpoint} has no model ${name}. Check the name`, error);
  return modelError(`${endpoint} answers ${error.status} for ${name}. Check the name and HF_ENDPOINT`, error);
}
