// model.onnx: the merged model as one graph of standard operators, the shared layers in it once. Traced from the function
// that serving runs, lowered with batch and length symbolic. What a caller must know beside the graph is its metadata.

import { readSafetensors } from "../../checkpoints/formats/safetensors";
import { readSafetensorsHeader, type StoredTensor } from "../../checkpoints/formats/safetensors-header";
import type { ValueTypes } from "../../compile/entry";
import { type ExternalTensor, toOnnxModel } from "../../compile/onnx/onnx";
import { modelChunks } from "../../compile/onnx/proto";
import { modelError } from "../../errors/errors";
import { blobsOf, checkBlob } from "../../merge/folder/blobs";
import { licenceForCallers } from "../../merge/folder/licence";
import {
  type Blob,
  forCallers,
  MANIFEST_FORMAT,
  type Manifest,
  type MergedTask,
  tokenInputNames,
} from "../../merge/folder/manifest";
import type { BertConfig } from "../../model/config";
import { scope } from "../../model/parameters";
import type { HostTensor } from "../../model/tensors";
import { withHeads } from "../../tasks/task";
import { traceMerged } from "../traced";
import { nameNodes } from "./node-names";

/** Readers refuse protobuf messages of 2 GiB; the graph itself takes some of them. */
const MOST_INSIDE = 2 ** 31 - 2 ** 26;

/** What of a manifest says where the weights lie. */
type MergedParts = Pick<Manifest, "embeddings" | "trunk" | "tasks">;

export interface OnnxModelFile {
  readonly chunks: readonly Uint8Array[];
  /** Where the weights lie: in the file, or in the folder's blobs, to which it then refers. */
  readonly weights: "inside" | "blobs";
}

/**
 * The bytes of model.onnx for a merged folder whose blobs are written. Equal folders give equal bytes.
 * @param mostInside weights of more bytes stay in the blobs: safetensors holds them as ONNX's external data has them
 */
export async function onnxModelFile(
  folder: string,
  manifest: MergedParts & Pick<Manifest, "base">,
  config: BertConfig,
  mostInside = MOST_INSIDE,
): Promise<OnnxModelFile> {
  const { tasks } = manifest;
  requireNames(tasks);
  const parts = await partsOf(folder, manifest);
  const stored = await storedTensors(parts);
  const bytes = [...stored.values()].reduce((sum, tensor) => sum + tensor.bytes, 0);
  const inside = bytes <= mostInside;
  const { graph, symbols } = traceMerged(typesOf(stored), await withHeads(tasks), config);
  const constants = inside ? await readStored(parts) : externalTensors(stored);
  const model = toOnnxModel(graph, { constants, symbols, standard: true, wideInputs: true });
  const named = nameNodes(
    model.graph,
    tasks.map(({ name }) => name),
  );
  const chunks = modelChunks({ ...model, graph: named, docs: docs(tasks), metadata: metadata(manifest) });
  return { chunks, weights: inside ? "inside" : "blobs" };
}

function requireNames(tasks: readonly MergedTask[]): void {
  const clash = tasks.find(({ name }) => (tokenInputNames as readonly string[]).includes(name));
  if (!clash) return;
  throw modelError(
    `a task named ${clash.name} cannot be an output of model.onnx, whose input has that name. ` +
      "Name the task otherwise, or give --no-onnx",
  );
}

/** A blob that is there and whole, and the prefix under which the graph has its tensors. */
interface Part {
  readonly file: string;
  readonly path: string;
  readonly prefix: string;
}

async function partsOf(folder: string, manifest: MergedParts): Promise<Part[]> {
  const { shared, own } = blobsOf(manifest, manifest.tasks);
  const part = async (blob: Blob, prefix: string) => ({
    file: blob.file,
    path: await checkBlob(folder, blob),
    prefix,
  });
  const parts: Part[] = [];
  for (const blob of shared) parts.push(await part(blob, ""));
  for (const task of own) parts.push(await part(task, scope(task.name)));
  return parts;
}

/** A tensor by where it lies. */
interface Stored extends StoredTensor {
  readonly file: string;
}

async function storedTensors(parts: readonly Part[]): Promise<Map<string, Stored>> {
  const all = new Map<string, Stored>();
  for (const { path, file, prefix } of parts) {
    const { tensors } = await readSafetensorsHeader(path);
    for (const [name, tensor] of tensors) all.set(prefix + name, { ...tensor, file });
  }
  return all;
}

async function readStored(parts: readonly Part[]): Promise<Record<string, HostTensor>> {
  const all: Record<string, HostTensor> = {};
  for (const { path, prefix } of parts) {
    const { tensors } = await readSafetensors(path);
    for (const [name, tensor] of Object.entries(tensors)) all[prefix + name] = tensor;
  }
  return all;
}

const typesOf = (stored: ReadonlyMap<string, Stored>): ValueTypes =>
  Object.fromEntries([...stored].map(([name, { shape }]) => [name, { shape, dtype: "float32" as const }]));

function externalTensors(stored: ReadonlyMap<string, Stored>): Record<string, ExternalTensor> {
  const external = ({ shape, file, position, bytes }: Stored): ExternalTensor => ({
    shape,
    dtype: "float32",
    data: { location: file, offset: position, length: bytes },
  });
  return Object.fromEntries([...stored].map(([name, tensor]) => [name, external(tensor)]));
}

const docs = (tasks: readonly MergedTask[]) =>
  `BERT with one head a task, made by flexbert. Inputs input_ids, attention_mask (1 for tokens, 0 for padding) and ` +
  `token_type_ids, all int64 [batch, length]. Outputs: ${tasks.map(({ name }) => name).join(", ")}, float32 logits ` +
  "[batch, classes], or values [batch, 1] of a regression. Labels and maximum lengths are in the metadata, as JSON.";

/** All values are text: that is what ONNX's metadata holds. */
function metadata({ base, tasks }: Pick<Manifest, "base" | "tasks">): Record<string, string> {
  return {
    "flexbert.format": String(MANIFEST_FORMAT),
    "flexbert.base": base.name,
    "flexbert.base_sha256": base.sha256,
    "flexbert.base_license": licenceForCallers(base.name),
    "flexbert.tasks": JSON.stringify(tasks.map(forCallers)),
  };
}
