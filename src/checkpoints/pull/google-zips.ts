// Google's published BERTs (github.com/google-research/bert): TensorFlow 1 checkpoints in zip files.

import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import path from "node:path";
import { modelError } from "../../errors/errors";
import { download } from "../../files/download";
import { StatusError } from "../../files/network";
import { extractZip } from "../../files/zip";
import { LARGEST_ZIP_CONTENT, modelFileOfZip } from "../bases/base";
import type { FetchRequest } from "./huggingface";

const bucket = "https://storage.googleapis.com/bert_models";

/** The four English models of October 2018, and the small ones of March 2020 in the same style. */
const releases: Readonly<Record<string, string>> = {
  "2018_10_18": "uncased_L-12_H-768_A-12 uncased_L-24_H-1024_A-16 cased_L-12_H-768_A-12 cased_L-24_H-1024_A-16",
  "2020_02_20": "uncased_L-2_H-128_A-2 uncased_L-4_H-256_A-4 uncased_L-4_H-512_A-8 uncased_L-8_H-512_A-8",
};

/** Urls by name: google/bert_uncased_L-12_H-768_A-12 is the original BERT-base. */
export const googleZips: ReadonlyMap<string, string> = new Map(
  Object.entries(releases).flatMap(([release, models]) =>
    models.split(" ").map((model) => [`google/bert_${model}`, `${bucket}/${release}/${model}.zip`] as const),
  ),
);

/** Fetches and unpacks one of `googleZips` into the folder; `work` keeps the zip of an interrupted pull. */
export async function fetchGoogleZip(url: string, work: string, request: FetchRequest): Promise<string> {
  const signal = request.signal ? { signal: request.signal } : {};
  const zip = path.join(work, path.basename(url));
  if (!existsSync(zip)) await downloadZip(url, zip, request);
  try {
    await extractZip(zip, request.folder, { target: modelFileOfZip, maxBytes: LARGEST_ZIP_CONTENT, ...signal });
  } finally {
    if (!request.signal?.aborted) await rm(zip); // a damaged one is to be fetched anew
  }
  return url;
}

async function downloadZip(url: string, target: string, { network, onProgress, signal }: FetchRequest): Promise<void> {
  const file = path.basename(url);
  const progress = onProgress && ((received: number, total: number | null) => onProgress(file, received, total));
  try {
    const optional = { ...(progress ? { onProgress: progress } : {}), ...(signal ? { signal } : {}) };
    await download({ url, target, ...optional }, network);
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    throw modelError(
      `${url} answers ${error.status}. Check the network, or fetch it by hand and give it as --base`,
      error,
    );
  }
}
