// A base's weights: safetensors or torch.save's files, whole or in shards with an index, or a TensorFlow 1 checkpoint.
// Whatever the form, tensors have our names, orientation and float32, and equal weights have equal hashes.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { modelError } from "../../errors/errors";
import { printable } from "../../errors/printable";
import { canonicalJson } from "../../files/hash";
import type { EncoderConfig } from "../../model/config";
import { familyOf } from "../../model/families/families";
import { float32, type HostTensor, type HostTensors } from "../../model/tensors";
import { requireFinite } from "../formats/finite";
import { openSafetensors } from "../formats/safetensors";
import { readTf1Checkpoint } from "../formats/tf1-checkpoint";
import { openTorch } from "../formats/torch";
import type { OpenWeightFile, WeightFile } from "../formats/weight-file";
import { nameFromHuggingFace, nameFromTensorFlow } from "./names";
import { otherContent } from "./other-content";
import { checkParameters, classifierOf, isSurplusLayer, parameterShapes } from "./parameter-shapes";
import { readShardIndex } from "./shards";

export interface BaseWeights {
  readonly tensors: HostTensors;
  /** In what formats those lay there that were not float32, by our names. */
  readonly dtypes: ReadonlyMap<string, string>;
}

interface Form {
  /** The file that says that a folder has weights of this form. */
  readonly file: string;
  readonly sharded: boolean;
  readonly open: OpenWeightFile;
}

/** In the order in which transformers looks for them. */
export const weightForms: readonly Form[] = [
  { file: "model.safetensors", sharded: false, open: openSafetensors },
  { file: "model.safetensors.index.json", sharded: true, open: openSafetensors },
  { file: "pytorch_model.bin", sharded: false, open: openTorch },
  { file: "pytorch_model.bin.index.json", sharded: true, open: openTorch },
];

/**
 * Throws modelError (4) naming file and tensor where there are none, or they are damaged, incomplete, not finite or of
 * another config.
 */
export async function readWeights(folder: string, config: EncoderConfig): Promise<BaseWeights> {
  const form = await formOf(folder);
  if (!form) return { tensors: await readTensorFlow(folder, config), dtypes: new Map() };
  const source = path.join(folder, form.file);
  const read: [string, HostTensor][] = [];
  const dtypes = new Map<string, string>();
  for await (const { name, tensor, dtype } of eachTensor(source, form, config)) {
    read.push([name, tensor]);
    if (dtype !== "F32") dtypes.set(name, dtype);
  }
  const tensors = Object.fromEntries(read);
  checkParameters(tensors, config, source);
  return { tensors, dtypes };
}

/** The form of a folder's weights; null for a TensorFlow checkpoint. */
async function formOf(folder: string): Promise<Form | null> {
  const form = weightForms.find(({ file }) => existsSync(path.join(folder, file)));
  if (form) return form;
  if ((await readdir(folder)).some((name) => name.endsWith(".index"))) return null;
  const files = weightForms.map(({ file }) => file).join(", ");
  throw modelError(
    `${folder} has no weights. It needs one of ${files}, or a TensorFlow checkpoint (NAME.index)${await otherContent(folder)}`,
  );
}

/** Picks the tensors that are the family's, and refuses layers that the config does not have. */
function selection(config: EncoderConfig, source: string, spell: (name: string) => string) {
  const shapes = parameterShapes(config);
  const isClassifier = classifierOf(config);
  return (stored: string): boolean => {
    const name = spell(stored);
    if (isSurplusLayer(name, config)) {
      throw modelError(
        `${source} holds ${printable(stored)}, its config gives ${config.numHiddenLayers} layers. Config and weights belong to different models`,
      );
    }
    return shapes.has(name) || isClassifier(name);
  };
}

/** A tensor of a model, by our name. */
interface Found {
  readonly name: string;
  readonly stored: string;
  readonly file: WeightFile;
}

/**
 * The tensors that are the family's in the order of our names, one after the other: the next one is read while the caller works
 * on the last, and no more than these two are held.
 */
async function* eachTensor(source: string, form: Form, config: EncoderConfig) {
  const shards = form.sharded ? await readShardIndex(source) : new Map([[source, null]]);
  const files: WeightFile[] = [];
  try {
    for (const file of shards.keys()) files.push(await form.open(file));
    const found = inOrder(files, shards, source, config);
    const read = ({ file, stored }: Found) => {
      const reading = file.read(stored);
      reading.catch(() => undefined); // told where it is awaited, if the caller comes so far
      return reading;
    };
    let next = found[0] && read(found[0]);
    for (const [i, { name, stored, file }] of found.entries()) {
      const tensor = (await next) as HostTensor;
      const following = found[i + 1];
      next = following && read(following);
      requireFinite({ [stored]: tensor }, file.path);
      yield { name, tensor, dtype: file.dtypes.get(stored) as string };
    }
  } finally {
    for (const file of files) await file.close();
  }
}

function inOrder(
  files: readonly WeightFile[],
  shards: ReadonlyMap<string, ReadonlySet<string> | null>,
  source: string,
  config: EncoderConfig,
): readonly Found[] {
  const { names } = familyOf(config);
  const spell = (stored: string) => nameFromHuggingFace(stored, names);
  const select = selection(config, source, spell);
  const found: [string, Found][] = [];
  for (const file of files) {
    const listed = shards.get(file.path) ?? null;
    for (const stored of listed ?? file.dtypes.keys()) {
      if (!select(stored)) continue;
      if (!file.dtypes.has(stored)) {
        throw modelError(
          `${file.path} has no tensor ${printable(stored)}, which ${path.basename(source)} lists for it. Fetch both again`,
        );
      }
      const name = spell(stored);
      found.push([name, { name, stored, file }]);
    }
  }
  return Object.values(renamed(found, source)).sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function readTensorFlow(folder: string, config: EncoderConfig): Promise<HostTensors> {
  const select = selection(config, folder, (variable) => nameFromTensorFlow(variable).name);
  const variables = await readTf1Checkpoint(folder, { select });
  requireFinite(variables, folder);
  const ours = Object.entries(variables).map(([variable, tensor]): [string, HostTensor] => {
    const { name, transposed } = nameFromTensorFlow(variable);
    return [name, transposed ? transpose(tensor) : tensor];
  });
  const tensors = renamed(ours, folder);
  checkParameters(tensors, config, folder);
  return tensors;
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

/**
 * The identity of a base: the same for every form of the same weights.
 * @param lowerCase where the user has said so and it is other than what would have been taken
 * @param tokenizer what tells it from others, where it is not of BERT's kind
 */
export function baseSha256(
  config: EncoderConfig,
  tensors: HostTensors,
  lowerCase?: boolean,
  tokenizer?: string,
): string {
  const hash = hashOf(config, lowerCase, tokenizer);
  const isClassifier = classifierOf(config);
  const names = Object.keys(tensors).filter((name) => !isClassifier(name));
  for (const name of names.sort()) hash.add(name, tensors[name] as HostTensor);
  return hash.digest();
}

/**
 * The same, of files. What is wrong with the weights is told as by {@link readWeights}; of a TensorFlow checkpoint all
 * tensors are held, else one at a time.
 */
export async function hashWeights(
  folder: string,
  config: EncoderConfig,
  lowerCase?: boolean,
  tokenizer?: string,
): Promise<string> {
  const form = await formOf(folder);
  if (!form) return baseSha256(config, await readTensorFlow(folder, config), lowerCase, tokenizer);
  const source = path.join(folder, form.file);
  const hash = hashOf(config, lowerCase, tokenizer);
  const isClassifier = classifierOf(config);
  const found: Record<string, Pick<HostTensor, "dtype" | "shape">> = {};
  for await (const { name, tensor } of eachTensor(source, form, config)) {
    if (!isClassifier(name)) hash.add(name, tensor);
    found[name] = { dtype: tensor.dtype, shape: tensor.shape };
  }
  checkParameters(found, config, source);
  return hash.digest();
}

/** Takes the tensors of a base in the order of our names, the classifier aside. */
function hashOf(config: EncoderConfig, lowerCase: boolean | undefined, tokenizer: string | undefined) {
  const hash = createHash("sha256").update(canonicalJson(config));
  return {
    add(name: string, { dtype, shape, data }: HostTensor): void {
      hash.update(`\n${name} ${dtype} ${JSON.stringify(shape)}\n`);
      hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    },
    digest() {
      if (lowerCase !== undefined) hash.update(`\nlower_case ${lowerCase}\n`);
      if (tokenizer !== undefined) hash.update(`\ntokenizer ${tokenizer}\n`);
      return hash.digest("hex");
    },
  };
}
