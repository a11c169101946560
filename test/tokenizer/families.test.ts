// Tokenizers of all families: ids, types and offsets of the native library, on the reference cases of the shared data and on
// two small tokenizers of the clone's own (bench/peers/tokenizer_reference.py); how folders hold them, and what is refused.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, jest, test } from "@jest/globals";
import { readBaseTokenizer } from "../../src/checkpoints/bases/base-tokenizer";
import { tokenizerFiles, tokenizerSha256 } from "../../src/checkpoints/bases/tokenizer-files";
import { ExitCode } from "../../src/errors/errors";
import { createTokenizer, type Tokenizer } from "../../src/tokenizer/tokenizer";
import { tinyConfig } from "../checkpoints/tiny-base";
import { temporaryFolder } from "../files/temporary-folder";
import { describeWithSharedData, sharedData } from "../shared-data";

interface Case {
  readonly text: string;
  readonly pair: string | null;
  /** The longest; 48 in the shared data. */
  readonly length?: number;
  readonly ids: number[];
  readonly types: number[];
  /** In code points, [0, 0] for a special token. */
  readonly offsets: [number, number][];
}

type Json = Readonly<Record<string, unknown>>;

const config = { ...tinyConfig, vocabSize: 1_000_000 };
const json = (file: string): unknown => JSON.parse(readFileSync(file, "utf8"));

const codePoints = (text: string, units: number) => Array.from(text.slice(0, units)).length;

function expectNative(tokenizer: Tokenizer, { text, pair, length = 48, ids, types, offsets }: Case): void {
  const encoding = tokenizer.encodeWithOffsets(text, pair, length);
  const places = encoding.offsets.map((offset) => {
    const whole = offset?.text === 1 ? (pair as string) : text;
    return offset ? [codePoints(whole, offset.start), codePoints(whole, offset.end)] : [0, 0];
  });
  expect({ ids: [...encoding.ids], types: [...encoding.typeIds], offsets: places }).toEqual({ ids, types, offsets });
  expect([...tokenizer.encode(text, pair, length).ids]).toEqual(ids);
}

function folderOf(files: Readonly<Record<string, unknown>>): string {
  const folder = temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(path.join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
  }
  return folder;
}

const settingsOf = async (files: Readonly<Record<string, unknown>>, lowerCase?: boolean) =>
  (await readBaseTokenizer(folderOf(files), "tiny", config, lowerCase)).settings;

interface Own {
  readonly file: Json;
  readonly cases: readonly Case[];
}

const ownTokenizer = (name: string) => json(path.join(__dirname, `../fixtures/tokenizers/${name}.json`)) as Own;

const own = { bytes: ownTokenizer("bytes"), pieces: ownTokenizer("pieces") };

const families = ["distilbert", "electra", "mobilebert", "mpnet", "roberta", "xlm-roberta", "modernbert"];

describeWithSharedData("the reference cases of", () => {
  test.each(families)("%s", async (family) => {
    const folder = path.join(sharedData, "encoders", family);
    const { settings } = await readBaseTokenizer(folder, family, config);
    const { tokenizer_cases: cases } = json(path.join(folder, "expected.json")) as { tokenizer_cases: Case[] };
    const { pad_token_id: padId } = json(path.join(folder, "config.json")) as { pad_token_id: number };
    const tokenizer = createTokenizer(settings);
    expect(cases.length).toBeGreaterThan(50);
    for (const one of cases) expectNative(tokenizer, one);
    expect(tokenizer.padId).toBe(padId);
  });

  test.each(families)("%s, after its files were written again", async (family) => {
    const folder = path.join(sharedData, "encoders", family);
    const { settings } = await readBaseTokenizer(folder, family, config);
    const { tokenizer_cases: cases } = json(path.join(folder, "expected.json")) as { tokenizer_cases: Case[] };
    const again = createTokenizer(await settingsOf(tokenizerFiles(settings)));
    for (const one of cases) expectNative(again, one);
  });

  test("MPNet, from its vocabulary alone; RoBERTa, from vocab.json and merges.txt", async () => {
    const read = (family: string) =>
      json(path.join(sharedData, "encoders", family, "tokenizer.json")) as {
        model: { vocab: Record<string, number>; merges: [string, string][] };
      };
    const cases = (family: string) =>
      (json(path.join(sharedData, "encoders", family, "expected.json")) as { tokenizer_cases: Case[] }).tokenizer_cases;
    const words = Object.entries(read("mpnet").model.vocab).sort(([, a], [, b]) => a - b);
    const mpnet = createTokenizer(await settingsOf({ "vocab.txt": words.map(([word]) => word).join("\n") }));
    for (const one of cases("mpnet")) expectNative(mpnet, one);
    const { vocab, merges } = read("roberta").model;
    const lines = ["#version: 0.2", ...merges.map((pair) => pair.join(" ")), ""].join("\n");
    const roberta = createTokenizer(await settingsOf({ "vocab.json": vocab, "merges.txt": lines }));
    // The shared file's mask leaves the space before it alone.
    const mask = { "tokenizer_config.json": { mask_token: { content: "<mask>", lstrip: false } } };
    const files = { "vocab.json": vocab, "merges.txt": lines, ...mask };
    const bare = createTokenizer(await settingsOf(files));
    for (const one of cases("roberta")) expectNative(bare, one);
    expect([mpnet.padId, roberta.padId]).toEqual([1, 1]);
    const { offsets } = roberta.encodeWithOffsets("a  <mask>", null, 9);
    expect(offsets.at(-2)).toEqual({ text: 0, start: 3, end: 9 });
  });
});

describe.each(["bytes", "pieces"] as const)("the clone's own tokenizer of %s", (name) => {
  const { file, cases } = own[name];

  test("has the native library's ids, types and offsets", async () => {
    const tokenizer = createTokenizer(await settingsOf({ "tokenizer.json": file }));
    expect(cases).toHaveLength(150);
    for (const one of cases) expectNative(tokenizer, one);
  });

  test("ignores the file's truncation and padding, and is the same when it was written again", async () => {
    const cut = { ...file, truncation: { max_length: 3 }, padding: { strategy: { Fixed: 9 }, pad_id: 2 } };
    const settings = await settingsOf({ "tokenizer.json": cut });
    const again = await settingsOf(tokenizerFiles(settings));
    for (const one of cases.slice(0, 40)) expectNative(createTokenizer(again), one);
    expect(tokenizerSha256(again)).toBe(tokenizerSha256(settings));
    expect(again).toEqual(settings);
  });

  test("reads a lone half of a pair as U+FFFD", async () => {
    const tokenizer = createTokenizer(await settingsOf({ "tokenizer.json": file }));
    expect(tokenizer.tokenize("a\ud800b")).toEqual(tokenizer.tokenize("a\ufffdb"));
  });

  test("reads words and texts longer than a call may have arguments", async () => {
    const tokenizer = createTokenizer(await settingsOf({ "tokenizer.json": file }));
    const { ids, truncated } = tokenizer.encodeWithOffsets("q1".repeat(100_000), null, 16);
    expect(ids).toHaveLength(16);
    expect(truncated).toBeGreaterThan(100_000);
  });
});

describe("a tokenizer that is not BERT's", () => {
  const { file } = own.bytes;
  const model = file["model"] as Json;
  const pieces = own.pieces.file;

  test("tells bases apart, as BERT's does not", async () => {
    const one = await settingsOf({ "tokenizer.json": file });
    const other = await settingsOf({ "tokenizer.json": { ...file, normalizer: null } });
    expect(tokenizerSha256(one)).toMatch(/^[0-9a-f]{64}$/);
    expect(tokenizerSha256(other)).not.toBe(tokenizerSha256(one));
    expect(tokenizerSha256({ tokens: ["[PAD]"], lowerCase: true })).toBeUndefined();
  });

  test("takes the library from the first such text on, and BERT's never", () => {
    const loads = { count: 0 };
    jest.isolateModules(() => {
      jest.doMock("@huggingface/tokenizers", () => {
        loads.count++;
        return jest.requireActual("@huggingface/tokenizers");
      });
      const { createTokenizer: create } = require("../../src/tokenizer/tokenizer") as {
        createTokenizer: typeof createTokenizer;
      };
      const tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"];
      expect([...create({ tokens, lowerCase: true }).encode("a b", null, 8).ids]).toEqual([2, 4, 1, 3]);
      expect(loads.count).toBe(0);
      const settings = { tokens: Object.keys(Object(model["vocab"])), file, pad: "[PAD]" };
      const ordered = settings.tokens.sort((a, b) => Object(model["vocab"])[a] - Object(model["vocab"])[b]);
      expect(create({ ...settings, tokens: ordered }).tokenize("café").length).toBeGreaterThan(0);
      expect(loads.count).toBe(1);
    });
    jest.dontMock("@huggingface/tokenizers");
  });

  test("has the tokens that files beside it add, and its padding token from them", async () => {
    const size = Object.keys(Object(model["vocab"])).length + 6;
    const settings = await settingsOf({
      "tokenizer.json": file,
      "tokenizer_config.json": { pad_token: { content: "[UNK]" }, additional_special_tokens: ["<new>"] },
    });
    const tokenizer = createTokenizer(settings);
    expect(tokenizer.padId).toBe(Object(model["vocab"])["[UNK]"]);
    expect(tokenizer.tokenize("a<new>b")).toEqual(["a", "<new>", "b"]);
    expect(Math.max(...tokenizer.encode("<new>", null, 8).ids)).toBe(size);
  });

  test("says its own special tokens where a length has no room for them", async () => {
    const tokenizer = createTokenizer(await settingsOf({ "tokenizer.json": pieces }));
    expect(tokenizer.encode("a", "b", 4).ids).toHaveLength(4);
    expect(() => tokenizer.encode("a", "b", 3)).toThrow("has no room for <s> and </s>. Give at least 4");
  });

  test.each<[string, unknown, string]>([
    ["a normalizer", { ...file, normalizer: { type: "Nmt" } }, "the normalizer Nmt"],
    [
      "one in a sequence",
      { ...file, normalizer: { type: "Sequence", normalizers: [{ type: "StripAccents" }] } },
      "StripAccents",
    ],
    ["a pattern", { ...pieces, normalizer: { type: "Replace", pattern: { Regex: "(a|b)" }, content: "" } }, "replaces"],
    ["a damaged map", { ...pieces, normalizer: { type: "Precompiled", precompiled_charsmap: "AAAA" } }, "is damaged"],
    ["a pre-tokenizer", { ...file, pre_tokenizer: { type: "Digits" } }, "the pre-tokenizer Digits"],
    ["none", { ...file, pre_tokenizer: null }, "no pre-tokenizer"],
    ["a post-processor", { ...file, post_processor: { type: "Other" } }, "the post_processor Other"],
    ["a unit that has a text of its own", { ...file, model: { ...model, unk_token: { toString: 1 } } }, "unk_token"],
    ["a type that has one", { ...file, model: { ...model, type: { toString: 1 } } }, "flexbert reads WordPiece, BPE"],
    ["no special tokens", { ...file, post_processor: null }, "puts no special token around"],
    [
      "another id",
      { ...pieces, post_processor: { type: "RobertaProcessing", sep: ["</s>", 9], cls: ["<s>", 0] } },
      "the id 9",
    ],
    ["dropout", { ...file, model: { ...model, dropout: 0.1 } }, "model.dropout is 0.1"],
    ["a suffix", { ...file, model: { ...model, end_of_word_suffix: "</w>" } }, "end_of_word_suffix"],
    ["characters", { ...file, pre_tokenizer: { type: "Metaspace" } }, "BPE model of characters"],
    ["a strange merge", { ...file, model: { ...model, merges: ["zz qq"] } }, "which its vocabulary has not"],
    ["a word model", { ...file, model: { type: "WordLevel", vocab: {} } }, "a WordLevel model"],
    ["byte fallback", { ...pieces, model: { ...Object(pieces["model"]), byte_fallback: true } }, "byte_fallback"],
    ["no unknown piece", { ...pieces, model: { ...Object(pieces["model"]), unk_id: null } }, "unk_id"],
  ])("is refused by name: %s", async (_, given, message) => {
    const refused = expect(settingsOf({ "tokenizer.json": given })).rejects;
    await refused.toThrow(message);
    await expect(settingsOf({ "tokenizer.json": given })).rejects.toMatchObject({ exitCode: ExitCode.model });
  });

  test("a number that no file can hold is refused", async () => {
    const text = JSON.stringify({ ...file, pre_tokenizer: { ...Object(file["pre_tokenizer"]), more: "?" } });
    const refused = settingsOf({ "tokenizer.json": text.replace('"?"', "1e999") });
    await expect(refused).rejects.toMatchObject({
      exitCode: ExitCode.model,
      message: expect.stringContaining("pre_tokenizer.more is no finite number"),
    });
  });

  test("a folder with SentencePiece's model alone says what to do", async () => {
    const refused = settingsOf({ "sentencepiece.bpe.model": "binary" });
    await expect(refused).rejects.toMatchObject({ exitCode: ExitCode.model });
    await expect(settingsOf({ "sentencepiece.bpe.model": "binary" })).rejects.toThrow("save_pretrained");
  });

  test("does not take the user's word on case where its file says", async () => {
    await expect(settingsOf({ "tokenizer.json": file }, true)).rejects.toMatchObject({ exitCode: ExitCode.usage });
  });

  test("is refused where two files contradict each other on the space before a text", async () => {
    const files = { "tokenizer.json": file, "tokenizer_config.json": { add_prefix_space: true } };
    await expect(settingsOf(files)).rejects.toThrow("add_prefix_space is true in tokenizer_config.json");
  });
});
