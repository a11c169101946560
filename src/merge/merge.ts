// Merging (paper, section 2.3): branches of one base become one multi-head model whose shared frozen layers are
// stored, and later run, once. Blobs are named by content and written first; the manifest's rename is the commit.
// A task is added, replaced or removed without touching another's blob.

import { existsSync } from "node:fs";
import { readdir, rm, rmdir } from "node:fs/promises";
import path from "node:path";
import type { Base } from "../checkpoints/bases/base";
import { tokenizerConfigJson } from "../checkpoints/bases/base-tokenizer";
import { loadBranch, type StoredRun } from "../checkpoints/runs/run-folder";
import { modelError, usageError } from "../errors/errors";
import { ONNX, type OnnxReport, type OnnxRequest, removeOnnx, stageOnnx } from "../export/onnx/onnx";
import { isTemporaryName, writeFileAtomic } from "../files/atomic";
import { makeFolder } from "../files/folder";
import { stamped } from "../files/format";
import { lockFolder } from "../files/lock";
import { bertConfigJson } from "../model/config";
import { embeddingTensors, layerTensors, scoped } from "../model/parameters";
import type { HostTensors } from "../model/tensors";
import type { Kinds } from "../tasks/kinds/kind";
import { type Task, thresholdOf } from "../tasks/task";
import { writeCard } from "./card";
import { BLOBS, type OnCreated, readShared, readTensors, writeBlob } from "./folder/blobs";
import {
  type Blob,
  filesOf,
  MANIFEST,
  MANIFEST_FORMAT,
  type Manifest,
  type MergedTask,
  readManifest,
  stageManifest,
} from "./folder/manifest";
import { writePieces } from "./pieces";

/** Files of the base's own beside its weights. */
const SHARED_TEXTS = ["config.json", "vocab.txt", "tokenizer_config.json"] as const;

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
  /** Writes model.onnx too; null leaves it out, and removes one that is there. */
  readonly onnx: OnnxRequest | null;
  /** The kinds that tasks of the folder may have; flexbert's by default. */
  readonly kinds?: Kinds;
}

/** What a merge left in the folder. */
export interface Merged {
  readonly manifest: Manifest;
  /** null where model.onnx was not asked for, or no task is left. */
  readonly onnx: OnnxReport | null;
}

/**
 * Adds or replaces the selected tasks in the merged folder, which is created where it is absent.
 * Throws modelError (4) for branches of another base, before anything is written. Whatever it throws, the folder is as it was.
 */
export async function merge(request: MergeRequest): Promise<Merged> {
  const { out, base, selections, kinds } = request;
  for (const selection of selections) checkSelection(selection, request);
  return changeFolder(out, "merging", kinds, async (onCreated) => {
    const old = existsSync(path.join(out, MANIFEST)) ? await readManifest(out, kinds) : null;
    if (old && old.base.sha256 !== base.sha256) throw otherBase(`${out} holds tasks`, old.base, base);
    const kept = (old?.tasks ?? []).filter(({ name }) => !selections.some(({ task }) => task.name === name));
    const added: MergedTask[] = [];
    for (const selection of selections) added.push(await writeTask(out, selection, onCreated));
    const tasks = [...kept, ...added].sort((a, b) => (a.name < b.name ? -1 : 1));
    const contents = { ...(await writeShared(out, base, tasks, onCreated)), tasks };
    const tensorsOf = async (task: MergedTask): Promise<HostTensors> => {
      const selection = selections.find((chosen) => chosen.task.name === task.name);
      if (!selection) return readTensors(out, contents, [task]);
      // From where they came, not from what was just written: the check of model.onnx is then one of the blobs too.
      const { fork } = task;
      const shared = fork === null ? {} : { ...embeddingTensors(base.tensors), ...layerTensors(base.tensors, 0, fork) };
      return { ...shared, ...scoped(task.name, await loadBranch(selection.run)) };
    };
    const pieces = { float32: await writePieces(out, contents, base.config, old, onCreated) };
    return commit(out, old, { ...contents, pieces }, request.onnx, tensorsOf);
  });
}

/** Takes tasks out of a merged folder. Throws usageError (2) for one that is not in it. */
export async function removeTasks(
  out: string,
  names: readonly string[],
  onnx: OnnxRequest | null,
  kinds?: Kinds,
): Promise<Merged> {
  return changeFolder(out, "removing tasks", kinds, async (onCreated) => {
    const old = await readManifest(out, kinds);
    const missing = names.find((name) => !old.tasks.some((task) => task.name === name));
    if (missing !== undefined) {
      throw usageError(
        `${out} has no task ${missing}. It has ${old.tasks.map(({ name }) => name).join(", ") || "none"}`,
      );
    }
    const tasks = old.tasks.filter(({ name }) => !names.includes(name));
    const depth = Math.max(0, ...tasks.map(({ fork }) => fork ?? 0));
    const contents = { ...old, tasks, trunk: old.trunk.slice(0, depth) };
    const { config } = await readShared(out, old);
    const pieces = { float32: await writePieces(out, contents, config, old, onCreated) };
    return commit(out, old, { ...contents, pieces }, onnx, (task) => readTensors(out, contents, [task]));
  });
}

/** Runs `change` under the folder's lock. Where it fails, the files and folders that it made are removed. */
async function changeFolder(
  out: string,
  purpose: string,
  kinds: Kinds | undefined,
  change: (onCreated: OnCreated) => Promise<Merged>,
): Promise<Merged> {
  const blobs = path.join(out, BLOBS);
  const made = [blobs, out].filter((folder) => !existsSync(folder));
  const created: string[] = [];
  let done = false;
  await makeFolder(blobs);
  const unlock = await lockFolder(out, purpose);
  try {
    await removeLeftovers(out);
    const merged = await change((file) => created.push(file));
    done = true;
    return merged;
  } finally {
    if (!done) await removeCreated(out, created, kinds);
    await unlock();
    if (!done) for (const folder of made) await rmdir(folder).catch(() => {}); // somebody else may use it by now
  }
}

/** Takes back what a merge wrote before it failed, unless the manifest names it: the failure may come after the commit. */
async function removeCreated(out: string, created: readonly string[], kinds: Kinds | undefined): Promise<void> {
  let named: readonly string[] = [];
  if (existsSync(path.join(out, MANIFEST))) {
    const manifest = await readManifest(out, kinds).catch(() => null);
    if (!manifest) return; // in doubt everything stays; the next merge removes what nobody needs
    named = [...filesOf(manifest), ...SHARED_TEXTS];
  }
  const kept = new Set(named.map((file) => path.join(out, file)));
  for (const file of created) if (!kept.has(file)) await rm(file, { force: true });
}

/** What a killed process had begun to write. The lock is held, so no other process writes here. */
async function removeLeftovers(out: string): Promise<void> {
  const begun = (names: readonly string[], of: readonly string[]) =>
    names.filter((name) => isTemporaryName(name) && of.some((target) => name.startsWith(`.${target}`)));
  for (const name of begun(await readdir(out), [ONNX, MANIFEST])) await rm(path.join(out, name), { force: true });
  const blobs = path.join(out, BLOBS);
  for (const name of begun(await readdir(blobs), [""])) await rm(path.join(blobs, name), { force: true });
}

/**
 * Makes model.onnx and the manifest the folder's. Both lie whole on the disk before either is renamed; a process that
 * dies between the two leaves an old manifest whose hash the new file does not have, until the next merge.
 */
async function commit(
  out: string,
  old: Manifest | null,
  contents: Omit<Manifest, "onnx">,
  request: OnnxRequest | null,
  tensorsOf: (task: MergedTask) => Promise<HostTensors>,
): Promise<Merged> {
  const onnx = request && contents.tasks.length > 0 ? await stageOnnx(out, contents, request, tensorsOf) : null;
  const named = onnx && { file: onnx.report.file, sha256: onnx.report.sha256 };
  const manifest: Manifest = stamped({ ...contents, onnx: named });
  try {
    const staged = await stageManifest(out, manifest);
    try {
      await onnx?.commit();
      await staged.commit();
    } catch (error) {
      await staged.discard();
      throw error;
    }
  } catch (error) {
    await onnx?.discard();
    throw error;
  }
  if (!onnx) await removeOnnx(out);
  await writeCard(out, manifest);
  await removeUnused(out, old, manifest);
  return { manifest, onnx: onnx?.report ?? null };
}

function checkSelection({ task, run }: Selection, { base, allowUnshared }: MergeRequest): void {
  const { record, folder } = run;
  if (record.base.sha256 !== base.sha256) throw otherBase(`${folder} was trained`, record.base, base);
  if (record.fork === null && !allowUnshared) {
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

async function writeTask(out: string, { task, run }: Selection, onCreated: OnCreated): Promise<MergedTask> {
  const { record } = run;
  const about = { task: task.name, fork: String(record.fork) };
  const blob = await writeBlob(out, task.name, await loadBranch(run), about, onCreated);
  return {
    ...blob,
    name: task.name,
    kind: task.kind,
    inputs: task.inputs,
    labels: record.labels,
    range: task.range ?? null,
    ...thresholdOf(task),
    metric: task.metric,
    maxLength: record.options.maxLength,
    fork: record.fork,
    layers: record.layers,
    score: record.score,
    metrics: record.metrics,
    run: `${record.method} ${path.basename(run.folder)}`,
  };
}

/** Embeddings, the trunk's layers, config and tokenizer: what the tasks share. */
async function writeShared(
  out: string,
  base: Base,
  tasks: readonly MergedTask[],
  onCreated: OnCreated,
): Promise<Omit<Manifest, "tasks" | "pieces" | "onnx">> {
  const depth = Math.max(0, ...tasks.map(({ fork }) => fork ?? 0));
  const embeddings = await writeBlob(out, "embeddings", embeddingTensors(base.tensors), {}, onCreated);
  const trunk: Blob[] = [];
  for (let layer = 0; layer < depth; layer++) {
    const name = `trunk-layer-${String(layer).padStart(2, "0")}`;
    trunk.push(await writeBlob(out, name, layerTensors(base.tensors, layer, layer + 1), {}, onCreated));
  }
  const texts: Record<(typeof SHARED_TEXTS)[number], string> = {
    "config.json": JSON.stringify(bertConfigJson(base.config), null, 2),
    "vocab.txt": base.tokenizer.tokens.join("\n"),
    "tokenizer_config.json": JSON.stringify(tokenizerConfigJson(base.tokenizer), null, 2),
  };
  for (const file of SHARED_TEXTS) await writeOnce(path.join(out, file), `${texts[file]}\n`, onCreated);
  const { name, sha256, config } = base;
  return { format: MANIFEST_FORMAT, base: { name, sha256, layers: config.numHiddenLayers }, embeddings, trunk };
}

/** A file of the base's own: written with the first task, and the same ever after. */
async function writeOnce(file: string, content: string, onCreated: OnCreated): Promise<void> {
  if (existsSync(file)) return;
  await writeFileAtomic(file, content);
  onCreated(file);
}

/**
 * Removes blobs that neither the new manifest nor the one before names: a reader that opened the old manifest a
 * moment ago still finds its files, until the next merge.
 */
async function removeUnused(out: string, old: Manifest | null, manifest: Manifest): Promise<void> {
  const used = new Set([...filesOf(manifest), ...(old ? filesOf(old) : [])]);
  for (const name of await readdir(path.join(out, BLOBS))) {
    const file = `${BLOBS}/${name}`;
    if (/\.(safetensors|onnx)$/.test(name) && !used.has(file)) await rm(path.join(out, file), { force: true });
  }
}
