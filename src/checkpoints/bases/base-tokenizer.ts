// The tokenizer that belongs to a checkpoint. BERT's: its vocabulary (vocab.txt, else tokenizer.json), the tokens added to it
// and whether it lower-cases. Another's: all that its tokenizer.json says.
// tokenizer.json's own truncation and padding are ignored: lengths are the task's affair.

import path from "node:path";
import { modelError, UserError, usageError } from "../../errors/errors";
import type { EncoderConfig } from "../../model/config";
import {
  type AddedToken,
  addedTokens,
  countedTokens,
  decodedTokens,
  specialContents,
} from "../../tokenizer/added-tokens";
import type { BertSettings, TokenizerSettings } from "../../tokenizer/settings";
import { readTokenizerJson } from "../../tokenizer/tokenizer-json";
import { embeddedVocabulary, parseVocabulary, switched } from "../../tokenizer/vocabulary";
import { readJson, readText } from "./json";
import { convertedTokenizer, fileSettings } from "./tokenizer-files";

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
  const file = path.join(folder, "tokenizer.json");
  const words = await readVocabulary(path.join(folder, "vocab.txt"));
  const json = (await readJson(file)) ?? (await convertedTokenizer(folder, flags, words));
  const read = json === null ? null : readFile(file, () => readTokenizerJson(json));
  if (read && "file" in read)
    return { settings: await otherSettings(folder, read.file, flags, config, lowerCase), notes };
  const fast = read?.bert ?? null;
  const tokens = words ?? fast?.tokens ?? embedded(folder, config, notes);
  requireRows(folder, tokens, config);
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
  fast: BertSettings | null,
): Promise<AddedToken[]> {
  const { added, special } = await addedBeside(folder, flags);
  return readFile(folder, () =>
    addedTokens(tokens, [{ name: "tokenizer.json", tokens: fast?.added ?? [] }, ...added], special),
  );
}

/** What files beside tokenizer.json add to a vocabulary. */
async function addedBeside(folder: string, flags: Flags) {
  const special = ["additional_special_tokens", "extra_special_tokens"].flatMap((key) => specialContents(flags[key]));
  const counted = await readJson(path.join(folder, "added_tokens.json"));
  const added = readFile(folder, () => [
    { name: "tokenizer_config.json", tokens: decodedTokens(flags["added_tokens_decoder"]) },
    { name: "added_tokens.json", tokens: countedTokens(counted, special) },
  ]);
  return { added, special };
}

async function otherSettings(
  folder: string,
  file: Flags,
  flags: Flags,
  config: EncoderConfig,
  lowerCase: boolean | undefined,
): Promise<TokenizerSettings> {
  const found = { folder, file, flags, ...(await addedBeside(folder, flags)) };
  const settings = readFile(folder, () => fileSettings(found, lowerCase));
  requireRows(folder, settings.tokens, config);
  return settings;
}

function requireRows(folder: string, tokens: readonly string[], config: EncoderConfig): void {
  if (tokens.length <= config.vocabSize) return;
  throw modelError(
    `${folder}: its vocabulary has ${tokens.length} words, its config's vocab_size is ${config.vocabSize}. Vocabulary and weights belong to different models`,
  );
}

/** What is wrong in a file or folder, with its name where the message has it not. */
function readFile<T>(place: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    const isNamed = !(error instanceof UserError) || error.message.includes(place);
    throw isNamed ? error : modelError(`${place}: ${error.message}`, error);
  }
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

function embedded(folder: string, config: EncoderConfig, notes: string[]): readonly string[] {
  const tokens = embeddedVocabulary();
  if (config.vocabSize !== tokens.length) {
    throw modelError(`${folder} has neither vocab.txt nor tokenizer.json. Put the model's vocabulary there`);
  }
  notes.push(`${folder} has no vocabulary; bert-base-uncased's, of the same ${tokens.length} words, is taken`);
  return tokens;
}
