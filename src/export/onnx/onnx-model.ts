// model.onnx: the merged model as one graph of standard operators, the shared layers in it once. Traced from the function
// that serving runs, lowered with batch and length symbolic. What a caller must know beside the graph is its metadata.

import { existsSync } from "node:fs";
import path from "node:path";
import { tokenInputNames } from "../../batches/token-inputs";
import { readSafetensorsHeader } from "../../checkpoints/formats/safetensors-header";
import type { ValueTypes } from "../../compile/entry";
import type { Constant, ExternalTensor } from "../../compile/onnx/constants";
import { toOnnxModel } from "../../compile/onnx/onnx";
import { modelChunks } from "../../compile/onnx/proto";
import { modelError } from "../../errors/errors";
import { blobsOf, missingBlob } from "../../merge/folder/blobs";
import { licenceForCallers } from "../../merge/folder/licence";
import { type Blob, forCallers, type Manifest, type MergedTask } from "../../merge/folder/manifest";
import type { EncoderConfig } from "../../model/config";
import { familyOf } from "../../model/families/families";
import { scope } from "../../model/parameters";
import { withHeads } from "../../tasks/task";
import { traceMerged } from "../traced";
import { nameNodes } from "./node-names";

/** What of a manifest says where the weights lie. */
type MergedParts = Pick<Manifest, "embeddings" | "trunk" | "tasks">;

/** Weights of a model: their values, or where they lie. */
export type Constants = Readonly<Record<string, Constant>>;

/** The bytes of an ONNX model of a manifest's tasks, which has these weights. Equal tasks and weights give equal bytes. */
export async function onnxModelFile(
  manifest: Pick<Manifest, "base" | "tasks">,
  config: EncoderConfig,
  constants: Constants,
): Promise<readonly Uint8Array[]> {
  const { tasks } = manifest;
  requireNames(tasks, config);
  const { graph, symbols } = traceMerged(typesOf(constants), await withHeads(tasks, config), config);
  const model = toOnnxModel(graph, { constants, symbols, standard: true, wideInputs: true });
  const named = nameNodes(
    model.graph,
    tasks.map(({ name }) => name),
  );
  return modelChunks({ ...model, graph: named, docs: docs(tasks, config), metadata: metadata(manifest) });
}

function requireNames(tasks: readonly MergedTask[], config: EncoderConfig): void {
  const clash = tasks.find(({ name }) => (tokenInputNames(config) as readonly string[]).includes(name));
  if (!clash) return;
  throw modelError(
    `a task named ${clash.name} cannot be an output of model.onnx, whose input has that name. ` +
      "Name the task otherwise, or give --no-onnx",
  );
}

/**
 * Every tensor of a folder by where it lies, from its blobs' headers: safetensors holds the bytes as ONNX's external data has
 * them, and they are not read.
 */
export async function weightsInBlobs(folder: string, manifest: MergedParts): Promise<Record<string, ExternalTensor>> {
  const { shared, own } = blobsOf(manifest, manifest.tasks);
  const all: Record<string, ExternalTensor> = {};
  const add = async ({ file }: Blob, prefix: string) => {
    const target = path.join(folder, file);
    if (!existsSync(target)) throw missingBlob(folder, file);
    const { tensors } = await readSafetensorsHeader(target);
    for (const [name, { shape, position, bytes }] of tensors) {
      const data = { location: file, offset: position, length: bytes };
      all[prefix + name] = { shape, dtype: "float32", data };
    }
  };
  for (const blob of shared) await add(blob, "");
  for (const task of own) await add(task, scope(task.name));
  return all;
}

const typesOf = (tensors: Readonly<Record<string, { readonly shape: readonly number[] }>>): ValueTypes =>
  Object.fromEntries(
    Object.entries(tensors).map(([name, { shape }]) => [name, { shape: [...shape], dtype: "float32" }]),
  );

const docs = (tasks: readonly MergedTask[], config: EncoderConfig) =>
  `${familyOf(config).title} with one head a task, made by flexbert. Inputs ${inputsOf(config)} int64 [batch, length]. Outputs: ${tasks.map(({ name }) => name).join(", ")}, float32 logits ` +
  `[batch, classes], or values [batch, 1] of a regression${ofWords(tasks)}. Labels and maximum lengths are in the metadata, as JSON.`;

const ofWords = (tasks: readonly MergedTask[]) =>
  tasks.some(({ kind }) => kind.perWord) ? ", or [batch, length, tags] of a task that labels words" : "";

/** For BERT as 0.1.0 wrote it. */
const inputsOf = (config: EncoderConfig) =>
  familyOf(config).inputs.types
    ? "input_ids, attention_mask (1 for tokens, 0 for padding) and token_type_ids, all"
    : "input_ids and attention_mask (1 for tokens, 0 for padding), both";

/** Of the metadata below, which is that of 0.1.0. */
const METADATA_FORMAT = 1;

/** All values are text: that is what ONNX's metadata holds. */
function metadata({ base, tasks }: Pick<Manifest, "base" | "tasks">): Record<string, string> {
  return {
    "flexbert.format": String(METADATA_FORMAT),
    "flexbert.base": base.name,
    "flexbert.base_sha256": base.sha256,
    "flexbert.base_license": licenceForCallers(base.name),
    "flexbert.tasks": JSON.stringify(tasks.map(forCallers)),
  };
}
