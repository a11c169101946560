// Opens a base model: a Hugging Face folder, a folder or zip of Google's TensorFlow 1 checkpoints, or a name in the cache;
// with its weights, with their hash alone, or without either. Downloads nothing.

import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { modelError } from "../../errors/errors";
import { cachedFolder } from "../../files/cache";
import { extractZip } from "../../files/zip";
import type { EncoderConfig, FamilyName } from "../../model/config";
import { parseConfig } from "../../model/families/config-file";
import type { HostTensors } from "../../model/tensors";
import type { TokenizerSettings } from "../../tokenizer/tokenizer";
import { readBaseTokenizer } from "./base-tokenizer";
import { SOURCE_FILE } from "./cached";
import { readJson } from "./json";
import { otherContent } from "./other-content";
import { tokenizerSha256 } from "./tokenizer-files";
import { baseSha256, hashWeights, readWeights } from "./weights";

/** What a base is beside its weights. */
export interface BaseOutline {
  /** What commands and run folders call it: its name in the cache, or its folder's name. */
  readonly name: string;
  readonly folder: string;
  readonly config: EncoderConfig;
  readonly tokenizer: TokenizerSettings;
  /** Label names by class id of a fine-tuned folder, where its config.json gives names of its own. */
  readonly labels?: readonly string[];
  /** Whether it lower-cases, where the user has said so and it is other than what would have been taken. */
  readonly lowerCase?: boolean;
  /** What was assumed about the tokenizer because no file says it; for the log. */
  readonly notes?: readonly string[];
  /** config.json and tokenizer_config.json as they are, for those who must know what else stands there. */
  readonly declared?: { readonly config: unknown; readonly tokenizer: unknown };
}

/** A base that is known by its weights, which are not held. */
export interface BaseDescription extends BaseOutline {
  /**
   * Over the config and every embeddings, encoder and pooler tensor, over `lowerCase` where it is there, and over a tokenizer
   * that is not of BERT's kind; not over the rest of BERT's and the classifier.
   */
  readonly sha256: string;
}

export interface Base extends BaseDescription {
  /** Embeddings, encoder and, where the checkpoint has them, pooler and classifier. */
  readonly tensors: HostTensors;
  /** In what formats those lay there that were not float32. */
  readonly dtypes?: ReadonlyMap<string, string>;
}

/** What a run's record says of the base that it was trained on. */
export interface RecordedBase {
  readonly name: string;
  readonly sha256: string;
  readonly layers: number;
  /** Absent for BERT. */
  readonly family?: FamilyName;
  /** See {@link BaseOutline}; the base is opened with it again. */
  readonly lowerCase?: boolean;
}

export const recordedBase = ({ name, sha256, config, lowerCase }: BaseDescription): RecordedBase => ({
  name,
  sha256,
  layers: config.numHiddenLayers,
  ...(config.family ? { family: config.family } : {}),
  ...(lowerCase === undefined ? {} : { lowerCase }),
});

/** Google's largest BERT unpacks to 1.3 GB. */
export const LARGEST_ZIP_CONTENT = 4e9;

export interface OpenOptions {
  readonly cache?: string;
  /** Whether it lower-cases its input, of a base whose files do not say. */
  readonly lowerCase?: boolean | undefined;
}

/**
 * Opens a base by folder, zip or name, with its weights.
 * Throws modelError (4) naming file, tensor and cause where it is damaged or no BERT, and `Run: flexbert pull NAME` where
 * a name is not in the cache.
 */
export function openBase(nameOrFolder: string, options: OpenOptions = {}): Promise<Base> {
  return inFolder(nameOrFolder, options, async (folder, name) => {
    const outline = await readOutline(folder, name, options);
    const { tensors, dtypes } = await readWeights(folder, outline.config);
    const sha256 = baseSha256(outline.config, tensors, outline.lowerCase, tokenizerSha256(outline.tokenizer));
    return { ...outline, tensors, sha256, ...(dtypes.size > 0 ? { dtypes } : {}) };
  });
}

/**
 * The same base, known by its hash: its weights are read and checked, a tensor at a time, and none is kept. Throws as
 * {@link openBase}.
 */
export function describeBase(nameOrFolder: string, options: OpenOptions = {}): Promise<BaseDescription> {
  return inFolder(nameOrFolder, options, async (folder, name) => {
    const outline = await readOutline(folder, name, options);
    const { config, lowerCase, tokenizer } = outline;
    return { ...outline, sha256: await hashWeights(folder, config, lowerCase, tokenizerSha256(tokenizer)) };
  });
}

const opened = new WeakMap<BaseDescription, Promise<Base>>();

/**
 * A base with its weights: as it is where it has them, else read once for all who ask. Throws modelError (4) where they are
 * no longer those that it was described by.
 */
export function withWeights(base: BaseDescription | Base): Promise<Base> {
  if ("tensors" in base) return Promise.resolve(base);
  const opening = opened.get(base) ?? readAgain(base);
  opened.set(base, opening);
  return opening;
}

async function readAgain({ folder, name, sha256, lowerCase }: BaseDescription): Promise<Base> {
  const base = await openBase(folder, { lowerCase });
  if (base.sha256 === sha256) return { ...base, name };
  throw modelError(`${folder} has changed since this command began: it is no longer ${name}. Run it again`);
}

/** Its config and tokenizer alone; its weights are not looked at. Throws as {@link openBase}. */
export function outlineBase(nameOrFolder: string, options: OpenOptions = {}): Promise<BaseOutline> {
  return inFolder(nameOrFolder, options, (folder, name) => readOutline(folder, name, options));
}

/** Does something with the folder of a base, and its name. Of a zip that is a copy, which is gone afterwards. */
async function inFolder<B extends BaseOutline>(
  nameOrFolder: string,
  { cache }: OpenOptions,
  read: (folder: string, name: string) => Promise<B>,
): Promise<B> {
  if (isZip(nameOrFolder)) return inUnpackedZip(nameOrFolder, read);
  const resolved = path.resolve(nameOrFolder);
  if (configFile(resolved)) return read(resolved, path.basename(resolved));
  const cached = cachedFolder(nameOrFolder, cache);
  if (configFile(cached)) return read(cached, nameOrFolder);
  if (existsSync(resolved)) {
    const instead = (await otherContent(resolved)) || ". Give the folder of an encoder such as BERT";
    throw modelError(`${nameOrFolder} has neither config.json nor bert_config.json${instead}`);
  }
  if (looksLikePath(nameOrFolder)) throw modelError(`${nameOrFolder} does not exist. Give a folder or a model's name`);
  throw modelError(`the base ${nameOrFolder} is not in the cache. Run: flexbert pull ${nameOrFolder}`);
}

const isZip = (name: string) => /\.zip$/i.test(name) && existsSync(name);

const looksLikePath = (name: string) => /^[./~]|\\|\/.*\/|\.zip$/.test(name);

function configFile(folder: string): string | undefined {
  return ["config.json", "bert_config.json"].map((name) => path.join(folder, name)).find((file) => existsSync(file));
}

async function inUnpackedZip<B extends BaseOutline>(
  zip: string,
  read: (folder: string, name: string) => Promise<B>,
): Promise<B> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "flexbert-zip-"));
  try {
    await extractZip(zip, folder, { target: modelFileOfZip, maxBytes: LARGEST_ZIP_CONTENT });
    if (!configFile(folder))
      throw modelError(`${zip} holds neither bert_config.json nor config.json: it is no model's zip`);
    return { ...(await read(folder, path.basename(zip).replace(/\.zip$/i, ""))), folder: path.resolve(zip) };
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
  return depth === 0 &&
    /^(config\.json|tokenizer(_config)?\.json|added_tokens\.json|vocab\.(txt|json)|merges\.txt|(pytorch_)?model[\w-]*\.(safetensors|bin)(\.index\.json)?)$/.test(
      name,
    )
    ? name
    : null;
}

async function readOutline(folder: string, name: string, options: OpenOptions): Promise<BaseOutline> {
  const file = configFile(folder) as string;
  const json = await readJson(file);
  const config = parseConfig(json, file);
  const said = options.lowerCase ?? (await recordedCase(folder));
  const { settings, notes, lowerCase } = await readBaseTokenizer(folder, name, config, said);
  const labels = labelNames(json);
  return {
    name,
    folder,
    config,
    tokenizer: settings,
    declared: { config: json, tokenizer: await readJson(path.join(folder, "tokenizer_config.json")) },
    ...(lowerCase === undefined ? {} : { lowerCase }),
    ...(labels ? { labels } : {}),
    ...(notes.length > 0 ? { notes } : {}),
  };
}

/** What `flexbert pull --lower-case` has written beside a base in the cache. */
async function recordedCase(folder: string): Promise<boolean | undefined> {
  const { lowerCase } = Object(await readJson(path.join(folder, SOURCE_FILE))) as { lowerCase?: unknown };
  return typeof lowerCase === "boolean" ? lowerCase : undefined;
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
