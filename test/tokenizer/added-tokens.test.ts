// Tokens added to a vocabulary, in each form that checkpoints have them: ids of transformers.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "@jest/globals";
import { readBaseTokenizer } from "../../src/checkpoints/bases/base-tokenizer";
import { tokenizerConfigJson } from "../../src/checkpoints/bases/tokenizer-files";
import { ExitCode } from "../../src/errors/errors";
import { addedTokens, countedTokens } from "../../src/tokenizer/added-tokens";
import { createTokenizer } from "../../src/tokenizer/tokenizer";
import { tinyConfig } from "../checkpoints/tiny-base";
import { temporaryFolder } from "../files/temporary-folder";
import { ownReference } from "../reference";

interface Case {
  readonly name: string;
  readonly files: Readonly<Record<string, Record<string, unknown>>>;
  readonly ids: number[][];
}

const { texts, cases } = JSON.parse(
  readFileSync(path.join(__dirname, "../fixtures/checkpoints/added-tokens.json"), "utf8"),
) as { readonly texts: string[]; readonly cases: Case[] };
const vocabulary = readFileSync(path.join(ownReference, "tiny-bert/vocab.txt"), "utf8");
const words = vocabulary.trimEnd().split("\n");
const config = { ...tinyConfig, vocabSize: words.length };

function folderOf(files: Case["files"]): string {
  const folder = temporaryFolder();
  writeFileSync(path.join(folder, "vocab.txt"), vocabulary);
  for (const [name, content] of Object.entries(files)) {
    const model = Object(content["model"]);
    const vocab = Object.fromEntries(words.map((word, id) => [word, id]));
    const whole = name === "tokenizer.json" ? { ...content, model: { ...model, vocab } } : content;
    writeFileSync(path.join(folder, name), JSON.stringify(whole));
  }
  return folder;
}

describe.each(cases)("$name", ({ files, ids }) => {
  test.each(texts.map((text, i) => [text, ids[i] as number[]] as const))(
    "%j has transformers' ids",
    async (text, expected) => {
      const { settings } = await readBaseTokenizer(folderOf(files), "tiny", config);
      const tokenizer = createTokenizer(settings);
      expect([...tokenizer.encode(text, null, 64).ids]).toEqual(expected);
      const { ids: again, offsets } = tokenizer.encodeWithOffsets(text, null, 64);
      expect([...again]).toEqual(expected);
      for (const offset of offsets) if (offset) expect(text.slice(offset.start, offset.end)).not.toBe("");
    },
  );

  test("is the same after it was written as a merged model's files", async () => {
    const { settings } = await readBaseTokenizer(folderOf(files), "tiny", config);
    const written = folderOf({ "tokenizer_config.json": tokenizerConfigJson(settings) });
    const again = createTokenizer((await readBaseTokenizer(written, "tiny", config)).settings);
    for (const [i, text] of texts.entries()) expect([...again.encode(text, null, 64).ids]).toEqual(ids[i]);
  });
});

test("an added token's range is where the text has it, and its name is its own", async () => {
  const { settings } = await readBaseTokenizer(folderOf(cases[0]?.files ?? {}), "tiny", config);
  const tokenizer = createTokenizer(settings);
  const text = "the [E1]film";
  const { offsets } = tokenizer.encodeWithOffsets(text, null, 64);
  expect(offsets.map((offset) => offset && text.slice(offset.start, offset.end))).toEqual([
    null,
    "the",
    "[E1]",
    "film",
    null,
  ]);
  expect(tokenizer.tokenize(text)).toEqual(["the", "[e1]", "film"]);
  const { ids } = tokenizer.encode(text, null, 64);
  expect(Array.from(ids, tokenizer.token)).toEqual(["[CLS]", "the", "[e1]", "film", "[SEP]"]);
});

test("a token beyond the embedding's rows is refused by name where a model reads it, and nowhere else", async () => {
  const { settings } = await readBaseTokenizer(folderOf(cases[0]?.files ?? {}), "tiny", config);
  const tokenizer = createTokenizer(settings, config.vocabSize);
  const refused = () => tokenizer.encode("a [e1] b", null, 64);
  expect(refused).toThrow(
    `the text holds "[e1]", which was added to the vocabulary with the id ${words.length}; the model's embedding has ${words.length} rows`,
  );
  expect(refused).toThrow(expect.objectContaining({ exitCode: ExitCode.model }));
  expect(() => tokenizer.encodeWithOffsets("a", "[e1]", 64)).toThrow('"[e1]"');
  expect([...tokenizer.encode("a film [e1]", null, 4).ids]).toHaveLength(4); // cut away
  expect(() => createTokenizer(settings, config.vocabSize + 2).encode("[e1]", null, 64)).not.toThrow();
});

describe("what contradicts itself is refused by name", () => {
  const counted = (json: object, vocabulary = ["[PAD]", "a", "b"]) =>
    addedTokens(vocabulary, [{ name: "added_tokens.json", tokens: countedTokens(json, []) }]);
  test.each<[string, object, string]>([
    ["an id of another word", { c: 1 }, 'gives the added token "c" the id 1, which elsewhere is "a" in the vocabulary'],
    ["a word under another id", { a: 3 }, 'gives the added token "a" the id 3, which elsewhere is 1'],
    ["a hole", { c: 4 }, "ids go on from 3 without holes"],
    ["one id twice", { c: 3, d: 3 }, "ids go on from 3 without holes"],
    ["an id that is no number", { c: "3" }, 'an added token is "c" with the id "3"'],
    ["an empty token", { "": 3 }, 'an added token is "" with the id 3'],
  ])("%s", (_, json, message) => {
    expect(() => counted(json)).toThrow(message);
    expect(() => counted(json)).toThrow(expect.objectContaining({ exitCode: ExitCode.model }));
  });

  test("two files with other ids", () => {
    const files = [{ c: 3 }, { c: 4, d: 3 }].map((json, i) => ({ name: `file${i}`, tokens: countedTokens(json, []) }));
    expect(() => addedTokens(["a", "b", "[PAD]"], files)).toThrow(
      'file1 gives the added token "c" the id 4, which elsewhere is 3',
    );
  });

  test("BERT's own tokens and words of the vocabulary are none", () => {
    expect(counted({ "[PAD]": 0 })).toEqual([]);
    expect(counted({ a: 1 })).toMatchObject([{ content: "a", id: 1 }]);
  });
});
