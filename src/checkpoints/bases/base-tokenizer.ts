// The tokenizer that belongs to a checkpoint: its vocabulary (vocab.txt, else tokenizer.json), the
// tokens added to it and whether it lower-cases.
// tokenizer.json's own truncation and padding are ignored: lengths are the task's affair.

import path from "node:path";
import { modelError, UserError, usageError } from "../../errors/errors";
import type { EncoderConfig } from "../../model/config";
import {
  type AddedToken,
  addedTokens,
  countedTokens,
  decodedTokens,
  decoderJson,
  specialContents,
} from "../../tokenizer/added-tokens";
import type { TokenizerSettings } from "../../tokenizer/tokenizer";
import { embeddedVocabulary, parseVocabulary, settingsFromTokenizerJson, switched } from "../../tokenizer/vocabulary";
import { readJson, readText } from "./json";

export interface BaseTokenizer {
  readonly settings: TokenizerSettings;
  /** Whether it lower-cases, where the user has said so and it is other than what would have been taken. */
  readonly lowerCase?: boolean;
  /** What was assumed because no file says it; for the log. */
  readonly notes: readonly string[];
}

type Flags = Readonly<Record<string, unknown>>;

/**
 * Reads the tokenizer of a checkpoint's folder; `name` is what the base is called, for its "cased" or "uncased", and
 * `lowerCase` what the user says of it. Throws modelError (4) where there is no vocabulary, it has more words than the
 * config, or added tokens contradict it; usageError (2) where a file says the opposite of the user.
 */
export async function readBaseTokenizer(
  folder: string,
  name: string,
  config: EncoderConfig,
  lowerCase?: boolean,
): Promise<BaseTokenizer> {
  const notes: string[] = [];
  const flagsFile = path.join(folder, "tokenizer_config.json");
  const flags = await readFlags(flagsFile);
  const flag = (key: string) => switched(`${flagsFile}: ${key}`, flags[key]);
  const fast = await readTokenizerJson(path.join(folder, "tokenizer.json"));
  const tokens =
    (await readVocabulary(path.join(folder, "vocab.txt"))) ?? fast?.tokens ?? embedded(folder, config, notes);
  if (tokens.length > config.vocabSize) {
    throw modelError(
      `${folder}: its vocabulary has ${tokens.length} words, its config's vocab_size is ${config.vocabSize}. Vocabulary and weights belong to different models`,
    );
  }
  const said = flag("do_lower_case") ?? fast?.lowerCase;
  const taken = said ?? caseOfName(name) ?? true;
  if (said !== undefined && lowerCase !== undefined && said !== lowerCase) {
    throw usageError(`--lower-case ${lowerCase}: the files in ${folder} say ${said}. Leave the option out`);
  }
  if (said === undefined && lowerCase === undefined && caseOfName(name) === undefined) {
    notes.push(
      `${name}: no file says whether it lower-cases its input; it is taken to. Give --lower-case false if it does not`,
    );
  }
  const stripAccents = flag("strip_accents") ?? fast?.stripAccents;
  const tokenizeChineseChars = flag("tokenize_chinese_chars") ?? fast?.tokenizeChineseChars;
  const added = await readAddedTokens(folder, tokens, flags, fast);
  const settings: TokenizerSettings = {
    tokens,
    lowerCase: lowerCase ?? taken,
    ...(stripAccents === undefined ? {} : { stripAccents }),
    ...(tokenizeChineseChars === undefined ? {} : { tokenizeChineseChars }),
    ...(added.length > 0 ? { added } : {}),
  };
  return { settings, notes, ...(lowerCase === undefined || lowerCase === taken ? {} : { lowerCase }) };
}

async function readAddedTokens(
  folder: string,
  tokens: readonly string[],
  flags: Flags,
  fast: TokenizerSettings | null,
): Promise<AddedToken[]> {
  const special = ["additional_special_tokens", "extra_special_tokens"].flatMap((key) => specialContents(flags[key]));
  const counted = await readJson(path.join(folder, "added_tokens.json"));
  try {
    const files = [
      { name: "tokenizer.json", tokens: fast?.added ?? [] },
      { name: "tokenizer_config.json", tokens: decodedTokens(flags["added_tokens_decoder"]) },
      { name: "added_tokens.json", tokens: countedTokens(counted, special) },
    ];
    return addedTokens(tokens, files, special);
  } catch (error) {
    throw error instanceof UserError ? modelError(`${folder}: ${error.message}`, error) : error;
  }
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
    ...(settings.added ? { added_tokens_decoder: decoderJson(settings.added) } : {}),
  };
}

/** Google names its checkpoints uncased_L-12_..., multi_cased_L-12_...; others follow. */
function caseOfName(name: string): boolean | undefined {
  const found = /(?:^|[^a-z])(un)?cased(?:[^a-z]|$)/i.exec(name);
  return found ? found[1] !== undefined : undefined;
}

async function readFlags(file: string): Promise<Flags> {
  const json = (await readJson(file)) ?? {};
  if (typeof json === "object" && !Array.isArray(json)) return json as Flags;
  throw modelError(`${file} is damaged: it is no JSON object. Fetch it again`);
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

function embedded(folder: string, config: EncoderConfig, notes: string[]): readonly string[] {
  const tokens = embeddedVocabulary();
  if (config.vocabSize !== tokens.length) {
    throw modelError(`${folder} has neither vocab.txt nor tokenizer.json. Put the model's vocabulary there`);
  }
  notes.push(`${folder} has no vocabulary; bert-base-uncased's, of the same ${tokens.length} words, is taken`);
  return tokens;
}
