// What the tasks of a merged folder share, as its files: embeddings, trunk, config and tokenizer.

import { existsSync } from "node:fs";
import path from "node:path";
import { type Base, type BaseDescription, recordedBase, withWeights } from "../checkpoints/bases/base";
import { tokenizerFiles } from "../checkpoints/bases/tokenizer-files";
import { writeFileAtomic } from "../files/atomic";
import { sha256Hex } from "../files/hash";
import { configJson } from "../model/families/config-file";
import { embeddingTensors, layerTensors } from "../model/parameters";
import type { HostTensors } from "../model/tensors";
import type { Change } from "./change";
import { type OnCreated, writeBlob } from "./folder/blobs";
import type { Blob, Manifest, MergedTask } from "./folder/manifest";

const layerName = (layer: number) => `trunk-layer-${String(layer).padStart(2, "0")}`;

/**
 * Embeddings, the trunk's layers, config and tokenizer: what the tasks share. What the version before has is taken from it
 * by name, unread; the base's weights are read where a blob is missing.
 */
export async function writeShared(
  { out, old, onCreated }: Change,
  base: Base | BaseDescription,
  tasks: readonly MergedTask[],
): Promise<Pick<Manifest, "base" | "embeddings" | "trunk">> {
  const depth = Math.max(0, ...tasks.map(({ fork }) => fork ?? 0));
  const kept = (blob: Blob | undefined) => (blob && existsSync(path.join(out, blob.file)) ? blob : null);
  const write = async (name: string, tensors: (weights: HostTensors) => HostTensors) =>
    writeBlob(out, name, tensors((await withWeights(base)).tensors), {}, onCreated);
  const embeddings = kept(old?.manifest.embeddings) ?? (await write("embeddings", embeddingTensors));
  const trunk: Blob[] = [];
  for (let layer = 0; layer < depth; layer++) {
    const known = kept(old?.manifest.trunk[layer]);
    trunk.push(known ?? (await write(layerName(layer), (weights) => layerTensors(weights, layer, layer + 1))));
  }
  const files = await writeTexts(out, base, onCreated);
  const { lowerCase: _, ...recorded } = recordedBase(base);
  return { base: old?.manifest.base ?? { ...recorded, files }, embeddings, trunk };
}

/** The base's own files beside its weights: written with the first task, and the same ever after. Their sha256 by name. */
async function writeTexts(out: string, base: BaseDescription, onCreated: OnCreated): Promise<Record<string, string>> {
  const texts: Record<string, string> = {
    "config.json": `${JSON.stringify(configJson(base.config), null, 2)}\n`,
    ...tokenizerFiles(base.tokenizer),
  };
  const hashes: Record<string, string> = {};
  for (const [name, text] of Object.entries(texts)) {
    const file = path.join(out, name);
    hashes[name] = sha256Hex(text);
    if (existsSync(file)) continue;
    await writeFileAtomic(file, text);
    onCreated(file);
  }
  return hashes;
}
