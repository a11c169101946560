// The tokenizer that belongs to a checkpoint: its vocabulary (vocab.txt, else tokenizer.json) and whether it lower-cases.
// tokenizer.json's own truncation and padding are ignored: lengths are the task's affair.

import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { modelError, oneLine, UserError } from "../../errors/errors";
import { storageFailure } from "../../files/storage-failure";
import type { BertConfig } from "../../model/config";
import type { TokenizerSettings } from "../../tokenizer/tokenizer";
import { embeddedVocabulary, parseVocabulary, settingsFromTokenizerJson } from "../../tokenizer/vocabulary";

export interface BaseTokenizer {
  readonly settings: TokenizerSettings;
  /** What was assumed because no file says it; for the log. */
  readonly notes: readonly string[];
}

/**
 * Reads the tokenizer of a checkpoint's folder; `name` is what the base is called, for its "cased" or "uncased".
 * Throws modelError (4) where there is no vocabulary or it has more words than the config.
 */
export async function readBaseTokenizer(folder: string, name: string, config: BertConfig): Promise<BaseTokenizer> {
  const notes: string[] = [];
  const flags = (await readJson(path.join(folder, "tokenizer_config.json"))) as Readonly<
    Record<string, unknown>
  > | null;
  const fast = await readTokenizerJson(path.join(folder, "tokenizer.json"));
  const tokens =
    (await readVocabulary(path.join(folder, "vocab.txt"))) ?? fast?.tokens ?? embedded(folder, config, notes);
  if (tokens.length > config.vocabSize) {
    throw modelError(
      `${folder}: its vocabulary has ${tokens.length} words, its config's vocab_size is ${config.vocabSize}. Vocabulary and weights belong to different models`,
    );
  }
  const given = flag(flags, "do_lower_case") ?? fast?.lowerCase ?? caseOfName(name);
  if (given === undefined) notes.push(`${name}: no file says whether it lower-cases its input; it is taken to`);
  const stripAccents = flag(flags, "strip_accents") ?? fast?.stripAccents;
  const tokenizeChineseChars = flag(flags, "tokenize_chinese_chars") ?? fast?.tokenizeChineseChars;
  const settings: TokenizerSettings = {
    tokens,
    lowerCase: given ?? true,
    ...(stripAccents === undefined ? {} : { stripAccents }),
    ...(tokenizeChineseChars === undefined ? {} : { tokenizeChineseChars }),
  };
  return { settings, notes };
}

/** The keys of tokenizer_config.json for a tokenizer; transformers and readBaseTokenizer take them. */
export function tokenizerConfigJson(settings: TokenizerSettings): Record<string, unknown> {
  return {
    tokenizer_class: "BertTokenizer",
    do_lower_case: settings.lowerCase,
    strip_accents: settings.stripAccents ?? null,
    tokenize_chinese_chars: settings.tokenizeChineseChars ?? true,
    unk_token: "[UNK]",
    sep_token: "[SEP]",
    pad_token: "[PAD]",
    cls_token: "[CLS]",
    mask_token: "[MASK]",
  };
}

function flag(flags: Readonly<Record<string, unknown>> | null, key: string): boolean | undefined {
  const value = flags?.[key];
  return typeof value === "boolean" ? value : undefined;
}

/** Google names its checkpoints uncased_L-12_..., multi_cased_L-12_...; others follow. */
function caseOfName(name: string): boolean | undefined {
  const found = /(?:^|[^a-z])(un)?cased(?:[^a-z]|$)/i.exec(name);
  return found ? found[1] !== undefined : undefined;
}

async function readVocabulary(file: string): Promise<string[] | null> {
  const text = await readText(file);
  return text === null ? null : parseVocabulary(text);
}

async function readTokenizerJson(file: string): Promise<TokenizerSettings | null> {
  const json = await readJson(file);
  if (json === null) return null;
  try {
    return settingsFromTokenizerJson(json);
  } catch (error) {
    throw error instanceof UserError ? modelError(`${file}: ${error.message}`, error) : error;
  }
}

function embedded(folder: string, config: BertConfig, notes: string[]): readonly string[] {
  const tokens = embeddedVocabulary();
  if (config.vocabSize !== tokens.length) {
    throw modelError(`${folder} has neither vocab.txt nor tokenizer.json. Put the model's vocabulary there`);
  }
  notes.push(`${folder} has no vocabulary; bert-base-uncased's, of the same ${tokens.length} words, is taken`);
  return tokens;
}

/** A parsed JSON file, or null where there is none. Throws modelError (4) naming the file for anything but JSON. */
export async function readJson(file: string): Promise<unknown> {
  const text = await readText(file);
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw modelError(`${file} is damaged: it is no JSON (${oneLine(error)}). Fetch it again`, error);
  }
}

async function readText(file: string): Promise<string | null> {
  if (!existsSync(file)) return null;
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw storageFailure(error, file, "cannot read");
  }
}
