// The shared inputs on which flexbert once fell short and that concern a model's folder, each with its right value. Inputs
// of our own of the same kinds: bases/forms.test.ts, bases/compare.test.ts, ../tokenizer/added-tokens.test.ts.

import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, expect, test } from "@jest/globals";
import { openBase, outlineBase } from "../../src/checkpoints/bases/base";
import { readSafetensors, writeSafetensors } from "../../src/checkpoints/formats/safetensors";
import type { HostTensor } from "../../src/model/tensors";
import { createTokenizer } from "../../src/tokenizer/tokenizer";
import { temporaryFolder } from "../files/temporary-folder";
import { describeWithSharedData, sharedData } from "../shared-data";
import { copyFolder } from "./copy-folder";
import { writeHalfSafetensors } from "./half-precision";

describeWithSharedData("field cases with tiny-bert", () => {
  const tiny = path.join(sharedData, "tiny-bert");
  const added = path.join(sharedData, "field-cases/added-tokens");
  let folder: string;
  beforeEach(() => {
    folder = path.join(temporaryFolder(), "tiny-bert");
    copyFolder(tiny, folder);
  });
  const weights = () => path.join(folder, "model.safetensors");
  const editConfig = (keys: object) => {
    const file = path.join(folder, "config.json");
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...keys }));
  };

  // FastBertTokenizer#100; ids of transformers 5.23.0
  test("added-tokens: the tokenizer gives their ids, a model refuses them by name", async () => {
    for (const name of ["added_tokens.json", "tokenizer_config.json", "vocab.txt"]) {
      copyFileSync(path.join(added, name), path.join(folder, name));
    }
    const { tokenizer, config } = await outlineBase(folder);
    const text = "[e1] jack [/e1] fell";
    const ids = [2, 2000, 1996, 2001, 48, 1890, 1146, 3];
    expect([...createTokenizer(tokenizer).encode(text, null, 64).ids]).toEqual(ids);
    expect(() => createTokenizer(tokenizer, config.vocabSize).encode(text, null, 64)).toThrow(
      'the text holds "[e1]", which was added to the vocabulary with the id 2000; the model\'s embedding has 2000 rows',
    );
  });

  // transformers#9160, triton#4842
  test("NaN and infinity in a checkpoint", async () => {
    const { tensors } = await readSafetensors(weights());
    const name = "bert.encoder.layer.1.output.dense.weight";
    (tensors[name] as HostTensor).data[3] = Number.POSITIVE_INFINITY;
    await writeSafetensors(weights(), tensors);
    await expect(openBase(folder)).rejects.toThrow(`${weights()}: ${name} is Infinity at [0,3]`);
  });

  // vllm-mlx#486, kalosm#338
  test("config keys that transformers defaults, and activations by every name", async () => {
    const { sha256 } = await openBase(tiny);
    for (const hidden_act of [undefined, "gelu_python"]) {
      editConfig({ hidden_act, layer_norm_eps: undefined, pad_token_id: undefined, type_vocab_size: undefined });
      expect((await openBase(folder)).sha256).toBe(sha256);
    }
    for (const hidden_act of ["relu", "gelu_new", "silu"]) {
      editConfig({ hidden_act });
      expect((await openBase(folder)).config.hiddenAct).toBe(hidden_act);
    }
  });

  test("half precision, and a vocab.txt with a byte order mark", async () => {
    const { tensors } = await readSafetensors(weights());
    writeHalfSafetensors(weights(), tensors, "BF16");
    const vocabulary = path.join(folder, "vocab.txt");
    writeFileSync(vocabulary, `\ufeff${readFileSync(vocabulary, "utf8")}`);
    const base = await openBase(folder);
    expect(new Set(base.dtypes?.values())).toEqual(new Set(["BF16"]));
    expect(base.tokenizer).toEqual((await openBase(tiny)).tokenizer);
  });

  test("a base whose files do not say whether to lower-case", async () => {
    rmSync(path.join(folder, "tokenizer_config.json"), { force: true });
    const [taken, cased] = [await openBase(folder), await openBase(folder, { lowerCase: false })];
    expect(taken.notes).toEqual([expect.stringContaining("Give --lower-case false if it does not")]);
    expect(cased.tokenizer).toMatchObject({ lowerCase: false });
    expect(cased.sha256).not.toBe(taken.sha256);
  });
});
