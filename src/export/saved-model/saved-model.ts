// A merged folder as a TensorFlow SavedModel, for TensorFlow Serving and others: the graph of all tasks with the shared
// layers once, its weights in a checkpoint. The default signature gives every task; one a task runs only what it needs.

import { existsSync, readdirSync, statSync } from "node:fs";
import { rm, stat } from "node:fs/promises";
import path from "node:path";
import { tokenizerConfigJson } from "../../checkpoints/bases/base-tokenizer";
import { tensorBundle } from "../../checkpoints/formats/tensor-bundle";
import { joinGelus } from "../../compile/tensorflow/passes";
import { DEFAULT_SIGNATURE, SAVED_MODEL, VARIABLES } from "../../compile/tensorflow/saved-model";
import { toStoredModel } from "../../compile/tensorflow/tensorflow";
import { modelError, usageError } from "../../errors/errors";
import { isLeftover, replaceFolder, requireFreeSpace, temporaryPath, writeFileAtomic } from "../../files/atomic";
import { makeFolder } from "../../files/folder";
import { storageFailure } from "../../files/storage-failure";
import { blobsOf, checkBlob, readShared, readTensors } from "../../merge/folder/blobs";
import { licenceForCallers } from "../../merge/folder/licence";
import { forCallers, type Manifest, readManifest } from "../../merge/folder/manifest";
import type { BertConfig } from "../../model/config";
import type { TaskHead } from "../../model/multi-head";
import type { HostTensors } from "../../model/tensors";
import type { Kinds } from "../../tasks/kinds/kind";
import { withHeads } from "../../tasks/task";
import type { TokenizerSettings } from "../../tokenizer/tokenizer";
import { type CheckTools, checkModel, type ModelCheck } from "../check/model-check";
import { traceMerged } from "../traced";

export interface ExportRequest {
  /** The merged folder. */
  readonly model: string;
  /** The folder to make: `.../NAME/VERSION` for TensorFlow Serving. */
  readonly out: string;
  /** Replaces a SavedModel that is there. */
  readonly force: boolean;
  /** null where TensorFlow is absent: the model is written all the same. */
  readonly check: CheckTools | null;
  /** The kinds that tasks of the folder may have; flexbert's by default. */
  readonly kinds?: Kinds;
}

export interface Exported {
  readonly out: string;
  readonly bytes: number;
  readonly signatures: readonly string[];
  readonly check: ModelCheck | null;
}

export interface ExportPlan {
  readonly out: string;
  /** Of the weights, which are nearly all of it. */
  readonly bytes: number;
  readonly signatures: readonly string[];
}

type Target = Omit<ExportRequest, "check">;

/** What is exported, and under which signatures. */
interface Source {
  readonly model: string;
  readonly manifest: Manifest;
  /** The outputs of each. */
  readonly signatures: Readonly<Record<string, readonly string[]>>;
}

/** The model, where it can be exported to that place. Throws as {@link exportSavedModel} does before it writes anything. */
export async function requireExportable(request: Target): Promise<Source> {
  requireRoom(request);
  const { model, kinds } = request;
  const manifest = await readManifest(model, kinds);
  return { model, manifest, signatures: signaturesOf(manifest, model) };
}

/** What an export would write. Throws as {@link requireExportable} does. */
export async function planExport(request: Target): Promise<ExportPlan> {
  const { model, manifest, signatures } = await requireExportable(request);
  const { shared, own } = blobsOf(manifest, manifest.tasks);
  let bytes = 0;
  for (const blob of [...shared, ...own]) bytes += (await stat(await checkBlob(model, blob))).size;
  return { out: request.out, bytes, signatures: Object.keys(signatures) };
}

/**
 * Writes the folder, which appears complete and checked or not at all.
 * Throws usageError (2) where something lies there already, modelError (4) for a folder that is no merged model or a task
 * whose name cannot be a signature, toleranceError (5) where a task's logits differ from its branch's, failure (1).
 */
export async function exportSavedModel(request: ExportRequest): Promise<Exported> {
  const { out } = request;
  const source = await requireExportable(request);
  const texts = await readShared(source.model, source.manifest);
  const target = path.resolve(out);
  const temporary = temporaryPath(target);
  try {
    await makeFolder(path.dirname(target));
    await removeLeftovers(target);
    const bytes = await writeFiles(temporary, out, source, texts);
    const check = request.check && (await checkFiles(temporary, out, source, texts, request.check));
    await replaceFolder(temporary, target);
    return { out, bytes, signatures: Object.keys(source.signatures), check };
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw storageFailure(error, out);
  }
}

function requireRoom({ out, force }: Target): void {
  if (!existsSync(out) || isEmptyFolder(out)) return;
  if (!existsSync(path.join(out, SAVED_MODEL))) {
    throw usageError(`--out ${out} is there already, and is no SavedModel. Name a folder that does not exist`);
  }
  if (!force) throw usageError(`--out ${out} holds a SavedModel already. Name another folder, or give --force`);
}

const isEmptyFolder = (folder: string) => statSync(folder).isDirectory() && readdirSync(folder).length === 0;

/** What killed exports into the same place had begun. */
async function removeLeftovers(target: string): Promise<void> {
  const parent = path.dirname(target);
  for (const name of readdirSync(parent)) {
    if (!name.startsWith(`.${path.basename(target)}.`) || !isLeftover(name)) continue;
    await rm(path.join(parent, name), { recursive: true, force: true });
  }
}

/** The outputs of each signature. */
function signaturesOf({ tasks }: Manifest, model: string): Record<string, string[]> {
  if (tasks.length === 0) throw modelError(`${model} has no task. Run: flexbert merge --out ${model}`);
  const clash = tasks.find(({ name }) => name === DEFAULT_SIGNATURE);
  if (clash) throw modelError(`a task named ${clash.name} cannot have a signature of its own. Name the task otherwise`);
  const all = tasks.map(({ name }) => name);
  return { [DEFAULT_SIGNATURE]: all, ...Object.fromEntries(all.map((name) => [name, [name]])) };
}

interface Shared {
  readonly config: BertConfig;
  readonly tokenizer: TokenizerSettings;
}

async function writeFiles(folder: string, out: string, source: Source, { config, tokenizer }: Shared): Promise<number> {
  const { model, manifest } = source;
  const tensors = await readTensors(model, manifest, manifest.tasks);
  const { index, data } = tensorBundle(tensors);
  const { name, sha256 } = manifest.base;
  const files: Record<string, string | Uint8Array | readonly Uint8Array[]> = {
    [SAVED_MODEL]: graphOf(tensors, source, await withHeads(manifest.tasks), config),
    [`${VARIABLES}.index`]: index,
    [`${VARIABLES}.data-00000-of-00001`]: data,
    // Servers leave this folder alone.
    "assets.extra/base.json": `${JSON.stringify({ name, sha256, license: licenceForCallers(name) }, null, 2)}\n`,
    "assets.extra/tasks.json": `${JSON.stringify(manifest.tasks.map(forCallers), null, 2)}\n`,
    "assets.extra/vocab.txt": `${tokenizer.tokens.join("\n")}\n`,
    "assets.extra/tokenizer_config.json": `${JSON.stringify(tokenizerConfigJson(tokenizer), null, 2)}\n`,
  };
  const sizes = Object.values(files).map((content) =>
    typeof content === "string" || content instanceof Uint8Array
      ? Buffer.byteLength(content)
      : content.reduce((sum, chunk) => sum + chunk.length, 0),
  );
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  await requireFreeSpace(path.dirname(folder), bytes, out);
  for (const [relative, content] of Object.entries(files)) {
    const file = path.join(folder, relative);
    await makeFolder(path.dirname(file));
    await writeFileAtomic(file, content);
  }
  return bytes;
}

function graphOf(
  tensors: HostTensors,
  { signatures }: Source,
  tasks: readonly TaskHead[],
  config: BertConfig,
): Uint8Array {
  const types = Object.fromEntries(
    Object.entries(tensors).map(([name, { shape, dtype }]) => [name, { shape: [...shape], dtype }]),
  );
  const { graph, symbols } = traceMerged(types, tasks, config);
  const reads = new Map(Object.keys(types).map((name) => [name, name]));
  const step = {
    name: "logits",
    graph: joinGelus(graph),
    symbols,
    reads,
    writes: new Map(),
    compile: "nothing",
  } as const;
  return toStoredModel(types, step, signatures);
}

function checkFiles(
  folder: string,
  out: string,
  { model, manifest }: Source,
  shared: Shared,
  tools: CheckTools,
): Promise<ModelCheck> {
  const checked = {
    path: folder,
    name: out,
    runtime: "TensorFlow",
    advice: "Nothing was left there. Please report it",
    tasks: manifest.tasks,
    ...shared,
    tensorsOf: (task: Manifest["tasks"][number]) => readTensors(model, manifest, [task]),
  };
  return checkModel(checked, tools);
}
