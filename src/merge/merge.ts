// Merging (paper, section 2.3): branches of one base become one multi-head model whose shared frozen layers are
// stored, and later run, once. Blobs are named by content and written first; the manifest's rename is the commit.
// A task is added, replaced or removed without touching another's blob.

import { existsSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import path from "node:path";
import type { Base } from "../checkpoints/base";
import { tokenizerConfigJson } from "../checkpoints/base-tokenizer";
import { loadBranch, type StoredRun } from "../checkpoints/run-folder";
import { safetensorsChunks } from "../checkpoints/safetensors";
import { modelError, usageError } from "../errors/errors";
import { requireFreeSpace, writeFileAtomic } from "../files/atomic";
import { makeFolder } from "../files/folder";
import { sha256File, sha256Hex } from "../files/hash";
import { lockFolder } from "../files/lock";
import { bertConfigJson } from "../model/config";
import { embeddingTensors, layerTensors } from "../model/parameters";
import type { HostTensors } from "../model/tensors";
import type { Task } from "../tasks/task";
import { writeCard } from "./card";
import {
  type Blob,
  filesOf,
  MANIFEST,
  MANIFEST_FORMAT,
  type Manifest,
  type MergedTask,
  readManifest,
  writeManifest,
} from "./manifest";

const BLOBS = "blobs";

export interface Selection {
  readonly task: Task;
  readonly run: StoredRun;
}

export interface MergeRequest {
  readonly out: string;
  readonly base: Base;
  readonly selections: readonly Selection[];
  /** Takes branches that trained their embeddings: they are stored and computed apart. */
  readonly allowUnshared: boolean;
}

/**
 * Adds or replaces the selected tasks in the merged folder, which is created where it is absent.
 * Throws modelError (4) for branches of another base, before anything is written.
 */
export async function merge(request: MergeRequest): Promise<Manifest> {
  const { out, base, selections } = request;
  for (const selection of selections) checkSelection(selection, request);
  await makeFolder(path.join(out, BLOBS));
  const unlock = await lockFolder(out, "merging");
  try {
    const old = existsSync(path.join(out, MANIFEST)) ? await readManifest(out) : null;
    if (old && old.base.sha256 !== base.sha256) throw otherBase(`${out} holds tasks`, old.base, base);
    const kept = (old?.tasks ?? []).filter(({ name }) => !selections.some(({ task }) => task.name === name));
    const added: MergedTask[] = [];
    for (const selection of selections) added.push(await writeTask(out, selection));
    const tasks = [...kept, ...added].sort((a, b) => (a.name < b.name ? -1 : 1));
    const manifest: Manifest = { ...(await writeShared(out, base, tasks)), tasks };
    await writeManifest(out, manifest);
    await writeCard(out, manifest);
    await removeUnused(out, old, manifest);
    return manifest;
  } finally {
    await unlock();
  }
}

/** Takes tasks out of a merged folder. Throws usageError (2) for one that is not in it. */
export async function removeTasks(out: string, names: readonly string[]): Promise<Manifest> {
  const unlock = await lockFolder(out, "removing tasks");
  try {
    const old = await readManifest(out);
    const missing = names.find((name) => !old.tasks.some((task) => task.name === name));
    if (missing !== undefined) {
      throw usageError(
        `${out} has no task ${missing}. It has ${old.tasks.map(({ name }) => name).join(", ") || "none"}`,
      );
    }
    const tasks = old.tasks.filter(({ name }) => !names.includes(name));
    const depth = Math.max(0, ...tasks.map(({ fork }) => fork ?? 0));
    const manifest: Manifest = { ...old, tasks, trunk: old.trunk.slice(0, depth) };
    await writeManifest(out, manifest);
    await writeCard(out, manifest);
    await removeUnused(out, old, manifest);
    return manifest;
  } finally {
    await unlock();
  }
}

function checkSelection({ task, run }: Selection, { base, allowUnshared }: MergeRequest): void {
  const { record, folder } = run;
  if (record.base.sha256 !== base.sha256) throw otherBase(`${folder} was trained`, record.base, base);
  if (record.full && !allowUnshared) {
    throw modelError(
      `${folder} trained its embeddings (k = full), so it shares no layer: merging it costs ${record.layers} layers. ` +
        `Fine-tune ${task.name} with a number for --k, or give --allow-unshared`,
    );
  }
}

function otherBase(what: string, found: { name: string; sha256: string }, wanted: { name: string; sha256: string }) {
  const short = ({ name, sha256 }: { name: string; sha256: string }) => `${name} (sha256 ${sha256.slice(0, 8)})`;
  return modelError(
    `${what} on the base ${short(found)}, this merge is of ${short(wanted)}. Merge tasks of one base at a time`,
  );
}

async function writeTask(out: string, { task, run }: Selection): Promise<MergedTask> {
  const { record } = run;
  const blob = await writeBlob(out, task.name, await loadBranch(run), { task: task.name, fork: String(record.fork) });
  const maxLength = record.options["maxLength"];
  return {
    ...blob,
    name: task.name,
    kind: task.kind,
    inputs: task.inputs,
    labels: record.labels,
    range: task.range ?? null,
    metric: task.metric,
    maxLength: typeof maxLength === "number" ? maxLength : 128,
    fork: record.fork,
    layers: record.layers,
    score: record.score,
    metrics: record.metrics,
    run: `${record.method} ${path.basename(run.folder)}`,
  };
}

/** Embeddings, the trunk's layers, config and tokenizer: what the tasks share. */
async function writeShared(out: string, base: Base, tasks: readonly MergedTask[]): Promise<Omit<Manifest, "tasks">> {
  const depth = Math.max(0, ...tasks.map(({ fork }) => fork ?? 0));
  const embeddings = await writeBlob(out, "embeddings", embeddingTensors(base.tensors), {});
  const trunk: Blob[] = [];
  for (let layer = 0; layer < depth; layer++) {
    const name = `trunk-layer-${String(layer).padStart(2, "0")}`;
    trunk.push(await writeBlob(out, name, layerTensors(base.tensors, layer, layer + 1), {}));
  }
  await writeOnce(out, "config.json", `${JSON.stringify(bertConfigJson(base.config), null, 2)}\n`);
  await writeOnce(out, "vocab.txt", `${base.tokenizer.tokens.join("\n")}\n`);
  await writeOnce(out, "tokenizer_config.json", `${JSON.stringify(tokenizerConfigJson(base.tokenizer), null, 2)}\n`);
  const { name, sha256, config } = base;
  return { format: MANIFEST_FORMAT, base: { name, sha256, layers: config.numHiddenLayers }, embeddings, trunk };
}

/** A file of the base's own: written with the first task, and the same ever after. */
async function writeOnce(out: string, name: string, content: string): Promise<void> {
  const file = path.join(out, name);
  if (!existsSync(file)) await writeFileAtomic(file, content);
}

/** Named by its content: a blob that lies there already, whole, is not written again. */
async function writeBlob(
  out: string,
  name: string,
  tensors: HostTensors,
  metadata: Record<string, string>,
): Promise<Blob> {
  const chunks = [...safetensorsChunks(tensors, metadata)];
  const sha256 = sha256Hex(...chunks);
  const file = `${BLOBS}/${name}-${sha256.slice(0, 8)}.safetensors`;
  const target = path.join(out, file);
  if (!existsSync(target) || (await sha256File(target)) !== sha256) {
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
    await requireFreeSpace(path.dirname(target), bytes, target);
    await writeFileAtomic(target, chunks);
  }
  return { file, sha256 };
}

/**
 * Removes blobs that neither the new manifest nor the one before names: a reader that opened the old manifest a
 * moment ago still finds its files, until the next merge.
 */
async function removeUnused(out: string, old: Manifest | null, manifest: Manifest): Promise<void> {
  const used = new Set([...filesOf(manifest), ...(old ? filesOf(old) : [])]);
  for (const name of await readdir(path.join(out, BLOBS))) {
    const file = `${BLOBS}/${name}`;
    if (name.endsWith(".safetensors") && !used.has(file)) await rm(path.join(out, file), { force: true });
  }
}
