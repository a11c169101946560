// Opens a base model: a Hugging Face folder, a folder or zip of Google's TensorFlow 1 checkpoints, or a name in the cache.
// Whatever the form, tensors have our names, orientation and float32, and equal weights have equal hashes. Downloads nothing.

import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { modelError } from "../../errors/errors";
import { cachedFolder } from "../../files/cache";
import { canonicalJson, sha256Hex } from "../../files/hash";
import { extractZip } from "../../files/zip";
import { type BertConfig, parseBertConfig } from "../../model/config";
import { float32, type HostTensor, type HostTensors } from "../../model/tensors";
import type { TokenizerSettings } from "../../tokenizer/tokenizer";
import { readSafetensors } from "../formats/safetensors";
import { readTf1Checkpoint } from "../formats/tf1-checkpoint";
import { readBaseTokenizer, readJson } from "./base-tokenizer";
import { nameFromHuggingFace, nameFromTensorFlow } from "./names";
import { checkParameters, isClassifier, isSurplusLayer, parameterShapes } from "./parameter-shapes";

export interface Base {
  /** What commands and run folders call it: its name in the cache, or its folder's name. */
  readonly name: string;
  readonly folder: string;
  readonly config: BertConfig;
  /** Embeddings, encoder and, where the checkpoint has them, pooler and classifier. */
  readonly tensors: HostTensors;
  readonly tokenizer: TokenizerSettings;
  /** Over the config and every embeddings, encoder and pooler tensor; not over the tokenizer and the classifier. */
  readonly sha256: string;
  /** Label names by class id of a fine-tuned folder, where its config.json gives names of its own. */
  readonly labels?: readonly string[];
  /** What was assumed about the tokenizer because no file says it; for the log. */
  readonly notes?: readonly string[];
}

/** Google's largest BERT unpacks to 1.3 GB. */
export const LARGEST_ZIP_CONTENT = 4e9;

/**
 * Opens a base by folder, zip or name.
 * Throws modelError (4) naming file, tensor and cause where it is damaged or no BERT, and `Run: flexbert pull NAME` where
 * a name is not in the cache.
 */
export async function openBase(nameOrFolder: string, options: { readonly cache?: string } = {}): Promise<Base> {
  if (isZip(nameOrFolder)) return openZip(nameOrFolder);
  const resolved = path.resolve(nameOrFolder);
  if (configFile(resolved)) return openFolder(resolved, path.basename(resolved));
  const cached = cachedFolder(nameOrFolder, options.cache);
  if (configFile(cached)) return openFolder(cached, nameOrFolder);
  if (existsSync(resolved)) {
    throw modelError(`${nameOrFolder} has neither config.json nor bert_config.json. Give the folder of a BERT model`);
  }
  if (looksLikePath(nameOrFolder)) throw modelError(`${nameOrFolder} does not exist. Give a folder or a model's name`);
  throw modelError(`the base ${nameOrFolder} is not in the cache. Run: flexbert pull ${nameOrFolder}`);
}

const isZip = (name: string) => /\.zip$/i.test(name) && existsSync(name);

const looksLikePath = (name: string) => /^[./~]|\\|\/.*\/|\.zip$/.test(name);

function configFile(folder: string): string | undefined {
  return ["config.json", "bert_config.json"].map((name) => path.join(folder, name)).find((file) => existsSync(file));
}

async function openZip(zip: string): Promise<Base> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "flexbert-zip-"));
  try {
    await extractZip(zip, folder, { target: modelFileOfZip, maxBytes: LARGEST_ZIP_CONTENT });
    if (!configFile(folder))
      throw modelError(`${zip} holds neither bert_config.json nor config.json: it is no model's zip`);
    return { ...(await openFolder(folder, path.basename(zip).replace(/\.zip$/i, ""))), folder: path.resolve(zip) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Google's zips hold one folder or none; in Hugging Face's, folders below the top are other modules. */
export function modelFileOfZip(entry: string): string | null {
  const name = path.posix.basename(entry);
  const depth = entry.split("/").length - 1;
  if (depth <= 1 && /^(bert_config\.json|vocab\.txt|bert_model\.ckpt\.(index|data-\d+-of-\d+))$/.test(name))
    return name;
  return depth === 0 && /^(config\.json|model\.safetensors|tokenizer(_config)?\.json)$/.test(name) ? name : null;
}

async function openFolder(folder: string, name: string): Promise<Base> {
  const file = configFile(folder) as string;
  const json = await readJson(file);
  const config = parseBertConfig(json, file);
  const tensors = await readWeights(folder, config);
  const { settings, notes } = await readBaseTokenizer(folder, name, config);
  const labels = labelNames(json);
  return {
    name,
    folder,
    config,
    tensors,
    tokenizer: settings,
    sha256: baseSha256(config, tensors),
    ...(labels ? { labels } : {}),
    ...(notes.length > 0 ? { notes } : {}),
  };
}

async function readWeights(folder: string, config: BertConfig): Promise<HostTensors> {
  const weights = path.join(folder, "model.safetensors");
  const files = await readdir(folder);
  const isTensorFlow = files.some((name) => name.endsWith(".index"));
  if (!existsSync(weights) && !isTensorFlow) {
    const found = files.includes("pytorch_model.bin")
      ? "only pytorch_model.bin, which flexbert does not read"
      : "no weights";
    throw modelError(`${folder} has ${found}. It needs model.safetensors or a TensorFlow checkpoint (NAME.index)`);
  }
  const tensors = existsSync(weights) ? await readHuggingFace(weights, config) : await readTensorFlow(folder, config);
  checkParameters(tensors, config, existsSync(weights) ? weights : folder);
  return tensors;
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

function renamed(tensors: readonly [string, HostTensor][], source: string): HostTensors {
  const byName = new Map<string, HostTensor>();
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
  const names = Object.keys(tensors).filter((name) => !isClassifier(name));
  const parts = names.sort().flatMap((name) => {
    const { dtype, shape, data } = tensors[name] as HostTensor;
    const header = `\n${name} ${dtype} ${JSON.stringify(shape)}\n`;
    return [header, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)];
  });
  return sha256Hex(canonicalJson(config), ...parts);
}

/** config.json's id2label, unless it is missing, has holes or says only LABEL_0, LABEL_1, ... */
function labelNames(json: unknown): readonly string[] | null {
  const byId = (json as { id2label?: unknown }).id2label;
  if (typeof byId !== "object" || byId === null) return null;
  const labels = Object.keys(byId).map((_, id) => (byId as Record<string, unknown>)[String(id)]);
  const named =
    labels.every((label) => typeof label === "string") && labels.some((label, id) => label !== `LABEL_${id}`);
  return named ? (labels as string[]) : null;
}
