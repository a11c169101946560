// Tokenizers that are not BERT's, as a checkpoint's folder holds them: tokenizer.json, RoBERTa's vocab.json with merges.txt,
// MPNet's vocab.txt alone; and the files that any tokenizer is written to.

import { existsSync } from "node:fs";
import path from "node:path";
import { modelError, usageError } from "../../errors/errors";
import { shown } from "../../errors/printable";
import { canonicalJson, sha256Hex } from "../../files/hash";
import { type AddedToken, addedTokens, decoderJson, listedTokens } from "../../tokenizer/added-tokens";
import { specialsOf } from "../../tokenizer/frame";
import type { BertSettings, FileSettings, TokenizerSettings } from "../../tokenizer/settings";
import { createTokenizer } from "../../tokenizer/tokenizer";
import { decidingParts, frameOf, vocabularyOf } from "../../tokenizer/tokenizer-json";
import { switched } from "../../tokenizer/vocabulary";
import { readJson, readText } from "./json";

type Json = Readonly<Record<string, unknown>>;

/** Of a folder with a tokenizer.json that is not of BERT's kind. */
export interface Found {
  readonly folder: string;
  readonly file: Json;
  /** tokenizer_config.json */
  readonly flags: Json;
  /** What other files add to the vocabulary. */
  readonly added: readonly { readonly name: string; readonly tokens: readonly AddedToken[] }[];
  readonly special: readonly string[];
}

/**
 * The settings of a tokenizer that its file says whole. tokenizer_config.json's switches for BERT's normalizer count before
 * the file's, as in transformers. Throws modelError (4) for what flexbert does not do, and usageError (2) where the file
 * says other than the user of case.
 */
export function fileSettings(found: Found, lowerCase: boolean | undefined): FileSettings {
  const { folder, flags } = found;
  const file = withAdded({ ...found.file, ...caseOf(found, lowerCase) }, found);
  const prefixed = prefixOf(file["pre_tokenizer"]);
  const wanted = switched(`${folder}: add_prefix_space`, flags["add_prefix_space"]);
  if (prefixed !== undefined && wanted !== undefined && prefixed !== wanted) {
    throw modelError(
      `${folder}: add_prefix_space is ${wanted} in tokenizer_config.json and ${prefixed} in tokenizer.json. Make them one, whichever the model was trained with`,
    );
  }
  const { tokens, added } = vocabularyOf(file);
  const settings = { tokens, file, pad: padOf(found, tokens, added) };
  createTokenizer(settings); // refuses here what could not be read later
  return settings;
}

/** BERT's normalizer with the switches of tokenizer_config.json. */
function caseOf({ folder, file, flags }: Found, lowerCase: boolean | undefined): Json {
  const { type = "WordPiece" } = Object(file["model"]) as { type?: unknown };
  if (type !== "WordPiece") {
    if (lowerCase === undefined) return {};
    throw usageError(
      `--lower-case ${lowerCase}: ${folder}/tokenizer.json says what is done with case. Leave the option out`,
    );
  }
  const normalizer = Object(file["normalizer"]) as Json;
  const flag = (key: string, own: string) => switched(`${folder}: ${key}`, flags[key]) ?? normalizer[own];
  const lowers = flag("do_lower_case", "lowercase") ?? true;
  if (lowerCase !== undefined && lowerCase !== lowers) {
    throw usageError(`--lower-case ${lowerCase}: the files in ${folder} say ${lowers}. Leave the option out`);
  }
  return {
    normalizer: {
      ...normalizer,
      lowercase: lowers,
      strip_accents: flag("strip_accents", "strip_accents") ?? null,
      handle_chinese_chars: flag("tokenize_chinese_chars", "handle_chinese_chars") ?? true,
    },
  };
}

/** The file with the tokens that files beside it add. */
function withAdded(file: Json, { folder, added, special }: Found): Json {
  const { tokens, added: own } = vocabularyOf(file);
  const files = [{ name: "tokenizer.json", tokens: listedTokens(file["added_tokens"]) }, ...added];
  const all = addedTokens(tokens, files, special, []);
  if (all.length === own.length) return file;
  const listed = Object.entries(decoderJson(all)).map(([id, token]) => ({ id: Number(id), ...Object(token) }));
  const last = tokens.length + all.filter(({ id }) => id >= tokens.length).length;
  if (listed.some(({ id }) => id >= last)) throw modelError(`${folder}: the ids of its added tokens have holes`);
  return { ...file, added_tokens: listed };
}

function prefixOf(json: unknown): boolean | undefined {
  const { type, pretokenizers, add_prefix_space: prefixed } = Object(json) as Record<string, unknown>;
  if (type === "ByteLevel") return prefixed !== false;
  return [pretokenizers ?? []]
    .flat()
    .map(prefixOf)
    .find((one) => one !== undefined);
}

/** tokenizer.json does not say which token it is; names that all families share do. */
function padOf({ folder, flags }: Found, tokens: readonly string[], added: readonly AddedToken[]): string {
  const named = contentOf(flags["pad_token"]);
  if (named !== undefined) return named;
  const usual = ["[PAD]", "<pad>"];
  const found =
    usual.find((token) => added.some(({ content }) => content === token)) ??
    usual.find((token) => tokens.includes(token));
  if (found !== undefined) return found;
  throw modelError(`${folder}: no file says which token fills rows. Name it in tokenizer_config.json, as pad_token`);
}

/** A token of tokenizer_config.json: its text, or an object with it. */
function contentOf(token: unknown): string | undefined {
  const content = typeof token === "string" ? token : Object(token ?? {}).content;
  return typeof content === "string" && content !== "" ? content : undefined;
}

/**
 * What a tokenizer.json would say of a folder that has none: RoBERTa's two files, or MPNet's vocab.txt; null for BERT's.
 * Throws modelError (4) for SentencePiece's own file, which only its library reads.
 */
export async function convertedTokenizer(
  folder: string,
  flags: Json,
  words: readonly string[] | null,
): Promise<Json | null> {
  const token = (key: string, usual: string) => contentOf(flags[key]) ?? usual;
  const names = {
    ...{ bos: token("bos_token", "<s>"), pad: token("pad_token", "<pad>"), eos: token("eos_token", "</s>") },
    ...{ cls: token("cls_token", "<s>"), sep: token("sep_token", "</s>"), mask: token("mask_token", "<mask>") },
    // As in transformers' converters, unless the file says otherwise.
    spaced: Object(flags["mask_token"] ?? {}).lstrip !== false,
  };
  if (words) {
    if (words[0] !== "<s>" || !["<pad>", "</s>", "[UNK]"].every((word) => words.includes(word))) return null;
    const unknown = token("unk_token", "[UNK]");
    const vocab = Object.fromEntries(words.map((word, id) => [word, id]));
    return {
      ...frameJson(folder, vocab, { ...names, unknown }, false),
      normalizer: {
        type: "BertNormalizer",
        clean_text: true,
        handle_chinese_chars: true,
        strip_accents: null,
        lowercase: true,
      },
      pre_tokenizer: { type: "BertPreTokenizer" },
      decoder: { type: "WordPiece", prefix: "##", cleanup: true },
      model: {
        type: "WordPiece",
        unk_token: unknown,
        continuing_subword_prefix: "##",
        max_input_chars_per_word: 100,
        vocab,
      },
    };
  }
  const vocab = await readJson(path.join(folder, "vocab.json"));
  const merges = await readText(path.join(folder, "merges.txt"));
  if (vocab !== null && merges !== null) {
    const prefixed = switched(`${folder}: add_prefix_space`, flags["add_prefix_space"]) ?? false;
    const bytes = { type: "ByteLevel", add_prefix_space: prefixed, trim_offsets: true, use_regex: true };
    return {
      ...frameJson(folder, Object(vocab), { ...names, unknown: token("unk_token", "<unk>") }, prefixed),
      normalizer: null,
      pre_tokenizer: bytes,
      decoder: { ...bytes, add_prefix_space: true },
      model: {
        type: "BPE",
        dropout: null,
        unk_token: null,
        continuing_subword_prefix: "",
        end_of_word_suffix: "",
        fuse_unk: false,
        vocab,
        merges: mergesOf(merges),
      },
    };
  }
  const lone = [
    "sentencepiece.bpe.model",
    "spm.model",
    "spiece.model",
    "tokenizer.model",
    "vocab.json",
    "merges.txt",
  ].find((name) => existsSync(path.join(folder, name)));
  if (lone === undefined) return null;
  throw modelError(
    `${folder} has ${lone} and no tokenizer.json, of which flexbert reads none. Write one there: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER) of transformers does`,
  );
}

interface Names {
  readonly bos: string;
  readonly pad: string;
  readonly eos: string;
  readonly cls: string;
  readonly sep: string;
  readonly mask: string;
  readonly unknown: string;
  /** Whether the mask takes the space before it. */
  readonly spaced: boolean;
}

/** What stands around texts, and the special tokens. */
function frameJson(folder: string, vocab: Json, names: Names, prefixed: boolean): Json {
  const idOf = (token: string) => {
    const id = vocab[token];
    if (typeof id === "number") return id;
    throw modelError(
      `${folder}: its vocabulary has no ${shown(token)}. Name its special tokens in tokenizer_config.json`,
    );
  };
  const { cls, sep, mask } = names;
  const special = [...new Set([names.bos, names.pad, names.eos, cls, sep, names.unknown, mask])];
  const added = special
    .map((content) => ({ id: idOf(content), content }))
    .sort((a, b) => a.id - b.id)
    .map((token) => ({
      ...token,
      ...{ single_word: false, lstrip: token.content === mask && names.spaced, rstrip: false },
      ...{ normalized: false, special: true },
    }));
  const around = { type: "RobertaProcessing", sep: [sep, idOf(sep)], cls: [cls, idOf(cls)] };
  return {
    ...{ version: "1.0", truncation: null, padding: null, added_tokens: added },
    post_processor: { ...around, trim_offsets: true, add_prefix_space: prefixed },
  };
}

/** merges.txt: a pair a line in order of rank, below a line with its version. */
function mergesOf(text: string): [string, string][] {
  const lines = text.split("\n").map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line));
  return lines.flatMap((line, i): [string, string][] => {
    if (line === "" || (i === 0 && line.startsWith("#version"))) return [];
    const [left = "", right = "", ...more] = line.split(" ");
    if (left !== "" && right !== "" && more.length === 0) return [[left, right]];
    throw modelError(`merges.txt: line ${i + 1} is ${shown(line)}, no pair of pieces. Fetch it again`);
  });
}

/** The keys of tokenizer_config.json for a tokenizer; transformers and readBaseTokenizer take them. */
export function tokenizerConfigJson(settings: TokenizerSettings): Record<string, unknown> {
  return "file" in settings ? fileConfig(settings) : bertConfig(settings);
}

const bertConfig = (settings: BertSettings): Record<string, unknown> => ({
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
});

/** The class that takes a tokenizer.json as it is: a family's own makes a tokenizer of its own of the file's vocabulary. */
function fileConfig({ file, tokens, pad }: FileSettings): Record<string, unknown> {
  const { added } = vocabularyOf(file);
  const frame = frameOf(file, tokens, added);
  const [cls] = specialsOf(frame);
  const unknown = [Object(file["model"]).unk_token, tokens[Object(file["model"]).unk_id], "<unk>", "[UNK]"].find(
    (token) => typeof token === "string" && (tokens.includes(token) || added.some(({ content }) => content === token)),
  );
  const mask = added.find(({ content }) => /^(\[MASK\]|<mask>)$/.test(content));
  const isUntyped = frame.pair.every(({ type }) => type === 0);
  return {
    tokenizer_class: "PreTrainedTokenizerFast",
    ...(unknown === undefined ? {} : { unk_token: unknown }),
    sep_token: specialsOf(frame).at(-1),
    pad_token: pad,
    cls_token: cls,
    ...(mask ? { mask_token: mask.content } : {}),
    clean_up_tokenization_spaces: false,
    ...(isUntyped ? { model_input_names: ["input_ids", "attention_mask"] } : {}),
  };
}

/** The text of each file of a tokenizer. @param more keys of tokenizer_config.json */
export function tokenizerFiles(settings: TokenizerSettings, more: Json = {}): Readonly<Record<string, string>> {
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  return {
    ...("file" in settings
      ? { "tokenizer.json": json(settings.file) }
      : { "vocab.txt": `${settings.tokens.join("\n")}\n` }),
    "tokenizer_config.json": json({ ...tokenizerConfigJson(settings), ...more }),
  };
}

/** Tells apart tokenizers that are not BERT's; undefined for BERT's, whose vocabulary no base is known by. */
export function tokenizerSha256(settings: TokenizerSettings): string | undefined {
  const parts = decidingParts(settings);
  return parts === null ? undefined : sha256Hex(canonicalJson(parts));
}
