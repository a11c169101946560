// A base's weights. Whatever the form of the files, tensors have our names, orientation and float32, and equal weights have
// equal hashes.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { modelError } from "../../errors/errors";
import { canonicalJson } from "../../files/hash";
import type { BertConfig } from "../../model/config";
import { float32, type HostTensor, type HostTensors } from "../../model/tensors";
import { eachTensor, readSafetensors } from "../formats/safetensors";
import { readTf1Checkpoint } from "../formats/tf1-checkpoint";
import { nameFromHuggingFace, nameFromTensorFlow } from "./names";
import { checkParameters, isClassifier, isSurplusLayer, parameterShapes } from "./parameter-shapes";

/** Throws modelError (4) naming file and tensor where they are damaged, incomplete or of another config. */
export async function readWeights(folder: string, config: BertConfig): Promise<HostTensors> {
  const weights = await huggingFaceFile(folder);
  const tensors = weights ? await readHuggingFace(weights, config) : await readTensorFlow(folder, config);
  checkParameters(tensors, config, weights ?? folder);
  return tensors;
}

/** The folder's safetensors file; null where it has a TensorFlow checkpoint instead. */
async function huggingFaceFile(folder: string): Promise<string | null> {
  const weights = path.join(folder, "model.safetensors");
  const files = await readdir(folder);
  const isTensorFlow = files.some((name) => name.endsWith(".index"));
  if (!existsSync(weights) && !isTensorFlow) {
    const found = files.includes("pytorch_model.bin")
      ? "only pytorch_model.bin, which flexbert does not read"
      : "no weights";
    throw modelError(`${folder} has ${found}. It needs model.safetensors or a TensorFlow checkpoint (NAME.index)`);
  }
  return existsSync(weights) ? weights : null;
}

/** Picks the tensors that are BERT's, and refuses layers that the config does not have. */
function selection(config: BertConfig, source: string, spell: (name: string) => string) {
  const shapes = parameterShapes(config);
  return (stored: string): boolean => {
    const name = spell(stored);
    if (isSurplusLayer(name, config)) {
      throw modelError(
        `${source} holds ${stored}, its config gives ${config.numHiddenLayers} layers. Config and weights belong to different models`,
      );
    }
    return shapes.has(name) || isClassifier(name);
  };
}

async function readHuggingFace(file: string, config: BertConfig): Promise<HostTensors> {
  const { tensors } = await readSafetensors(file, { select: selection(config, file, nameFromHuggingFace) });
  return renamed(
    Object.entries(tensors).map(([stored, tensor]) => [nameFromHuggingFace(stored), tensor]),
    file,
  );
}

async function readTensorFlow(folder: string, config: BertConfig): Promise<HostTensors> {
  const select = selection(config, folder, (variable) => nameFromTensorFlow(variable).name);
  const variables = await readTf1Checkpoint(folder, { select });
  const ours = Object.entries(variables).map(([variable, tensor]): [string, HostTensor] => {
    const { name, transposed } = nameFromTensorFlow(variable);
    return [name, transposed ? transpose(tensor) : tensor];
  });
  return renamed(ours, folder);
}

function renamed<T>(tensors: readonly [string, T][], source: string): Record<string, T> {
  const byName = new Map<string, T>();
  for (const [name, tensor] of tensors) {
    if (byName.has(name))
      throw modelError(`${source} holds ${name} twice under different names. Give one model's weights`);
    byName.set(name, tensor);
  }
  return Object.fromEntries(byName);
}

/** [in, out] to [out, in], in blocks that fit the cache. */
function transpose(tensor: HostTensor): HostTensor {
  const [rows = 0, columns = 0] = tensor.shape;
  if (tensor.dtype !== "float32" || tensor.shape.length !== 2) return tensor; // checkParameters says what is wrong
  const { data } = tensor;
  const out = new Float32Array(data.length);
  const block = 32;
  for (let top = 0; top < rows; top += block) {
    for (let left = 0; left < columns; left += block) {
      const bottom = Math.min(top + block, rows);
      const right = Math.min(left + block, columns);
      for (let c = left; c < right; c++) {
        for (let r = top; r < bottom; r++) out[c * rows + r] = data[r * columns + c] as number;
      }
    }
  }
  return float32([columns, rows], out);
}

/** The identity of a base: the same for every form of the same weights. */
export function baseSha256(config: BertConfig, tensors: HostTensors): string {
  const hash = hashOf(config);
  const names = Object.keys(tensors).filter((name) => !isClassifier(name));
  for (const name of names.sort()) hash.add(name, tensors[name] as HostTensor);
  return hash.digest();
}

/**
 * The same, of files. What is wrong with the weights is told as by {@link readWeights}; of a safetensors file one tensor
 * is held at a time, of a TensorFlow checkpoint all of them.
 */
export async function hashWeights(folder: string, config: BertConfig): Promise<string> {
  const file = await huggingFaceFile(folder);
  if (!file) return baseSha256(config, await readWeights(folder, config));
  const select = selection(config, file, nameFromHuggingFace);
  const hash = hashOf(config);
  const found: [string, Pick<HostTensor, "dtype" | "shape">][] = [];
  const ours = nameFromHuggingFace;
  const inOrder = (stored: readonly string[]) => stored.filter(select).sort((a, b) => (ours(a) < ours(b) ? -1 : 1));
  for await (const [stored, tensor] of eachTensor(file, inOrder)) {
    const name = ours(stored);
    if (!isClassifier(name)) hash.add(name, tensor);
    found.push([name, { dtype: tensor.dtype, shape: tensor.shape }]);
  }
  checkParameters(renamed(found, file), config, file);
  return hash.digest();
}

/** Takes the tensors of a base in the order of our names, the classifier aside. */
function hashOf(config: BertConfig) {
  const hash = createHash("sha256").update(canonicalJson(config));
  return {
    add(name: string, { dtype, shape, data }: HostTensor): void {
      hash.update(`\n${name} ${dtype} ${JSON.stringify(shape)}\n`);
      hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    },
    digest: () => hash.digest("hex"),
  };
}
