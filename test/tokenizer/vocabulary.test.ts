// Vocabularies and tokenizer.json.

import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { ExitCode, UserError } from "../../src/errors/errors";
import { sha256Hex } from "../../src/files/hash";
import { embeddedVocabulary, parseVocabulary, settingsFromTokenizerJson } from "../../src/tokenizer/vocabulary";
import { describeWithSharedData, sharedData } from "../shared-data";

describeWithSharedData("the embedded vocabulary", () => {
  test("is bert-base-uncased's vocab.txt", () => {
    const text = readFileSync(path.join(sharedData, "bert-base-uncased/vocab.txt"), "utf8");
    expect(embeddedVocabulary()).toEqual(parseVocabulary(text));
  });
});

describe("the embedded vocabulary", () => {
  test("has the bytes of bert-base-uncased's vocab.txt", () => {
    const text = `${embeddedVocabulary().join("\n")}\n`;
    expect(sha256Hex(text)).toBe("07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3");
  });

  test("has BERT's words at BERT's ids", () => {
    const tokens = embeddedVocabulary();
    expect(tokens).toHaveLength(30_522);
    expect(new Set(tokens).size).toBe(30_522);
    expect([0, 1, 100, 101, 102, 103, 1996, 2015].map((id) => tokens[id])).toEqual(
      "[PAD] [unused0] [UNK] [CLS] [SEP] [MASK] the ##s".split(" "),
    );
  });
});

describe("vocab.txt", () => {
  test("is one word a line, whatever ends the lines; blank lines inside keep their ids", () => {
    expect(parseVocabulary("[PAD]\r\na\r\n\r\nb\u2028c\r\n\r\n")).toEqual(["[PAD]", "a", "", "b\u2028c"]);
  });
});

test("vocab.txt: a byte order mark at its start is none of its first word", () => {
  expect(parseVocabulary("\ufeff[PAD]\na")).toEqual(["[PAD]", "a"]);
});

describe("tokenizer.json", () => {
  const vocab = { "[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, a: 4, "7": 5 };
  const json = {
    truncation: { max_length: 2 },
    padding: { strategy: { Fixed: 2 } },
    added_tokens: [{ id: 0, content: "[PAD]", special: true }],
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: false,
      strip_accents: true,
      lowercase: false,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab,
    },
  };

  test("gives the words by id and the normalizer's settings; its truncation and padding are ignored", () => {
    expect(settingsFromTokenizerJson(json)).toEqual({
      tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "7"],
      lowerCase: false,
      stripAccents: true,
      tokenizeChineseChars: false,
    });
  });

  test("may leave out what has BERT's value", () => {
    const settings = settingsFromTokenizerJson({ model: { vocab }, normalizer: { strip_accents: null } });
    expect(settings).toMatchObject({ lowerCase: true, stripAccents: null, tokenizeChineseChars: true });
  });

  const model = json.model;
  test.each<[string, unknown, string]>([
    ["no object", null, "holds no model"],
    ["no model", {}, "holds no model"],
    ["another model", { ...json, model: { type: "BPE", vocab: {} } }, "a BPE model"],
    ["a list as vocabulary", { ...json, model: { type: "Unigram", vocab: [["a", 0]] } }, "a Unigram model"],
    ["another prefix", { ...json, model: { ...model, continuing_subword_prefix: "@@" } }, 'prefix is "@@"'],
    ["another unknown word", { ...json, model: { ...model, unk_token: "<unk>" } }, 'unk_token is "<unk>"'],
    ["another longest word", { ...json, model: { ...model, max_input_chars_per_word: 200 } }, "is 200"],
    ["no normalizer", { ...json, normalizer: null }, "no normalizer"],
    ["another normalizer", { ...json, normalizer: { type: "NFKC" } }, 'normalizer.type is "NFKC"'],
    ["text not cleaned", { ...json, normalizer: { ...json.normalizer, clean_text: false } }, "clean_text is false"],
    [
      "a switch that is a number",
      { ...json, normalizer: { ...json.normalizer, strip_accents: Number.POSITIVE_INFINITY } },
      "strip_accents is Infinity",
    ],
    ["a switch that is a text", { ...json, normalizer: { ...json.normalizer, lowercase: "no" } }, 'lowercase is "no"'],
    ["another split", { ...json, pre_tokenizer: { type: "ByteLevel" } }, 'pre_tokenizer.type is "ByteLevel"'],
    ["an added token without an id", { ...json, added_tokens: [{ content: "[E1]" }] }, 'an added token is "[E1]"'],
    ["a hole", { ...json, model: { ...model, vocab: { a: 0, b: 2 } } }, '"b" has the id 2'],
    ["one id twice", { ...json, model: { ...model, vocab: { a: 0, b: 0 } } }, '"b" has the id 0'],
    ["an id that is no number", { ...json, model: { ...model, vocab: { a: "0" } } }, '"a" has the id 0'],
    ["a fraction as id", { ...json, model: { ...model, vocab: { a: 0, b: 0.5 } } }, '"b" has the id 0.5'],
    ["a huge id", { ...json, model: { ...model, vocab: { a: 4_000_000_000 } } }, '"a" has the id 4000000000'],
  ])("is refused: %s", (_, given, message) => {
    const read = () => settingsFromTokenizerJson(given);
    expect(read).toThrow(message);
    expect(read).toThrow(UserError);
    expect(read).toThrow(expect.objectContaining({ exitCode: ExitCode.model }));
  });
});
