import { createWriteStream, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { pipeline } from "node:stream/promises";
import { beforeEach, describe, expect, test } from "@jest/globals";
import { ZipFile } from "yazl";
import { type Base, describeBase, openBase, outlineBase, withWeights } from "../../../src/checkpoints/bases/base";
import { randomBase, writeBase } from "../../../src/checkpoints/bases/random-base";
import { baseSha256 } from "../../../src/checkpoints/bases/weights";
import { writeSafetensors } from "../../../src/checkpoints/formats/safetensors";
import { ExitCode } from "../../../src/errors/errors";
import { cachedFolder, cacheFolder } from "../../../src/files/cache";
import { float32, type HostTensor, type HostTensors } from "../../../src/model/tensors";
import { embeddedVocabulary } from "../../../src/tokenizer/vocabulary";
import { temporaryFolder } from "../../files/temporary-folder";
import { describeEachPairOfForms } from "../../reference";
import { copyFolder } from "../copy-folder";
import { tinyBase, tinyConfig, tokens } from "../tiny-base";

let root: string;
let folder: string;
beforeEach(() => {
  root = temporaryFolder();
  folder = path.join(root, "tiny");
});

const bits = ({ data }: HostTensor) => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex");

function expectSameTensors(actual: HostTensors, expected: HostTensors): void {
  expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort());
  for (const [name, tensor] of Object.entries(expected)) {
    expect([name, actual[name]?.shape]).toEqual([name, tensor.shape]);
    expect([name, bits(actual[name] as HostTensor)]).toEqual([name, bits(tensor)]);
  }
}

const rewriteWeights = (tensors: HostTensors) => writeSafetensors(path.join(folder, "model.safetensors"), tensors);

function editJson(file: string, change: object): void {
  const name = path.join(folder, file);
  writeFileSync(name, JSON.stringify({ ...JSON.parse(readFileSync(name, "utf8")), ...change }));
}

async function expectModelError(opening: Promise<unknown>, message: string | RegExp): Promise<void> {
  await expect(opening).rejects.toMatchObject({ name: "UserError", exitCode: ExitCode.model });
  await expect(opening).rejects.toThrow(message);
  await expect(opening).rejects.toThrow(/^[^\n]+$/);
}

/** The base, which is the same where its weights are not kept, and where they are not looked at. */
async function openedAlike(...where: Parameters<typeof openBase>): Promise<Base> {
  const base = await openBase(...where);
  const { tensors: _, ...description } = base;
  expect(await describeBase(...where)).toEqual(description);
  const { sha256: __, ...outline } = description;
  expect(await outlineBase(...where)).toEqual(outline);
  return base;
}

/** Whether its weights are kept or not. */
async function expectRefused(where: Parameters<typeof openBase>, message: string | RegExp): Promise<void> {
  for (const open of [openBase, describeBase]) await expectModelError(open(...where), message);
}

describe("a Hugging Face folder", () => {
  test("that writeBase wrote opens as the same base", async () => {
    const base = tinyBase();
    await writeBase(base, folder);
    const opened = await openedAlike(folder);
    expect(opened).toMatchObject({ name: "tiny", folder, config: base.config, sha256: base.sha256 });
    expect(opened.tokenizer).toMatchObject({ tokens, lowerCase: true });
    expectSameTensors(opened.tensors, base.tensors);
  });

  test("that was described gives its weights to all who ask, and to none once they are others", async () => {
    const base = tinyBase();
    await writeBase(base, folder);
    const description = { ...(await describeBase(folder)), name: "org/tiny" };
    const weights = await withWeights(description);
    expect(weights).toMatchObject(description);
    expectSameTensors(weights.tensors, base.tensors);
    expect(await withWeights(description)).toBe(weights);
    expect(await withWeights(base)).toBe(base);

    const again = await describeBase(folder);
    await rewriteWeights({ ...base.tensors, "bert.pooler.dense.bias": float32([8], new Float32Array(8).fill(1)) });
    await expectModelError(withWeights(again), `${folder} has changed since this command began`);
  });

  test("without the prefix bert., with gamma and beta, position_ids and pre-training heads is the same base", async () => {
    const base = tinyBase();
    await writeBase(base, folder);
    const old = Object.entries(base.tensors).map(([name, tensor]) => [
      name
        .replace(/^bert\./, "")
        .replace("LayerNorm.weight", "LayerNorm.gamma")
        .replace("LayerNorm.bias", "LayerNorm.beta"),
      tensor,
    ]);
    await rewriteWeights({
      ...Object.fromEntries(old),
      "embeddings.position_ids": { dtype: "int32", shape: [1, 2], data: Int32Array.of(0, 1) },
      "cls.predictions.bias": float32([1], Float32Array.of(1)),
    });
    const opened = await openedAlike(folder);
    expect(opened.sha256).toBe(base.sha256);
    expectSameTensors(opened.tensors, base.tensors);
  });

  test("with a classifier keeps it, and its labels, outside the hash", async () => {
    const base = tinyBase();
    await writeBase(base, folder);
    const head = {
      "classifier.weight": float32([3, 8], new Float32Array(24)),
      "classifier.bias": float32([3], new Float32Array(3)),
    };
    await rewriteWeights({ ...base.tensors, ...head });
    editJson("config.json", { id2label: { 0: "entailment", 1: "neutral", 2: "contradiction" } });
    const opened = await openedAlike(folder);
    expect(opened.sha256).toBe(base.sha256);
    expect(opened.tensors["classifier.weight"]?.shape).toEqual([3, 8]);
    expect(opened.labels).toEqual(["entailment", "neutral", "contradiction"]);
    editJson("config.json", { id2label: { 0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2" } });
    expect((await openedAlike(folder)).labels).toBeUndefined();
  });

  test("may lack the pooler as a whole", async () => {
    await writeBase(tinyBase(), folder);
    const rest = Object.entries(tinyBase().tensors).filter(([name]) => !name.startsWith("bert.pooler."));
    await rewriteWeights(Object.fromEntries(rest));
    expect(Object.keys((await openedAlike(folder)).tensors)).not.toContain("bert.pooler.dense.weight");
    await rewriteWeights(Object.fromEntries([...rest, ["pooler.dense.bias", float32([8], new Float32Array(8))]]));
    await expectRefused([folder], "lacks 1 of 39 tensors of a BERT of 2 layers: bert.pooler.dense.weight");
  });

  test.each<[string, (tensors: HostTensors) => HostTensors, string]>([
    [
      "a missing layer",
      (tensors) => Object.fromEntries(Object.entries(tensors).filter(([name]) => !name.includes("layer.1."))),
      "lacks 16 of 39 tensors of a BERT of 2 layers: bert.encoder.layer.1.attention.self.query.weight, ",
    ],
    [
      "another shape",
      (tensors) => ({
        ...tensors,
        "bert.encoder.layer.0.output.dense.weight": float32([16, 8], new Float32Array(128)),
      }),
      "bert.encoder.layer.0.output.dense.weight has the shape [16,8], its config gives [8,16]",
    ],
    [
      "a surplus layer",
      (tensors) => ({ ...tensors, "encoder.layer.2.output.dense.bias": float32([8], new Float32Array(8)) }),
      "holds encoder.layer.2.output.dense.bias, its config gives 2 layers",
    ],
    [
      "a tensor under two names",
      (tensors) => ({ ...tensors, "pooler.dense.bias": float32([8], new Float32Array(8)) }),
      "holds bert.pooler.dense.bias twice",
    ],
    [
      "integers for weights",
      (tensors) => ({ ...tensors, "bert.pooler.dense.bias": { dtype: "int32", shape: [8], data: new Int32Array(8) } }),
      "bert.pooler.dense.bias holds integers",
    ],
    [
      "a classifier of another width",
      (tensors) => ({ ...tensors, "classifier.weight": float32([2, 4], new Float32Array(8)) }),
      "classifier.weight has the shape [2,4], its config gives [2,8]",
    ],
  ])("with %s is refused (exit 4)", async (_, damage, message) => {
    const base = tinyBase();
    await writeBase(base, folder);
    await rewriteWeights(damage(base.tensors));
    await expectRefused([folder], message);
  });

  test("without weights says which files it may have", async () => {
    await writeBase(tinyBase(), folder);
    rmSync(path.join(folder, "model.safetensors"));
    await expectRefused(
      [folder],
      "has no weights. It needs one of model.safetensors, model.safetensors.index.json, pyt",
    );
    writeFileSync(path.join(folder, "pytorch_model.bin"), "");
    await expectRefused([folder], `${path.join(folder, "pytorch_model.bin")} is empty`);
  });

  test("whose config is no JSON names the file", async () => {
    await writeBase(tinyBase(), folder);
    writeFileSync(path.join(folder, "config.json"), "{");
    await expectRefused([folder], `${path.join(folder, "config.json")} is damaged: it is no JSON`);
  });
});

describe("the tokenizer", () => {
  const tokenizerJson = {
    truncation: { max_length: 4 },
    padding: { strategy: { Fixed: 4 } },
    normalizer: { type: "BertNormalizer", lowercase: false, strip_accents: null, handle_chinese_chars: true },
    model: { type: "WordPiece", vocab: Object.fromEntries(tokens.map((token, id) => [token, id])) },
  };

  test.each<[string, string, () => void, boolean]>([
    [
      "tokenizer_config.json's do_lower_case",
      "uncased",
      () => writeIn("tokenizer_config.json", { do_lower_case: false }),
      false,
    ],
    ["tokenizer.json's normalizer", "uncased", () => writeIn("tokenizer.json", tokenizerJson), false],
    ["the name: cased", "bert-base-cased", () => {}, false],
    ["the name: uncased", "uncased_L-2_H-8_A-2", () => {}, true],
    ["the default", "mine", () => {}, true],
  ])("lower-cases by %s", async (_, name, write, lowerCase) => {
    folder = path.join(root, name);
    await writeBase(tinyBase(), folder);
    rmSync(path.join(folder, "tokenizer_config.json"));
    write();
    const { tokenizer, notes } = await openedAlike(folder);
    expect(tokenizer).toMatchObject({ tokens, lowerCase });
    expect(notes ?? []).toEqual(
      name === "mine" ? [expect.stringContaining("no file says whether it lower-cases")] : [],
    );
  });

  test.each<[string, object, string]>([
    ["a switch that is a text", { do_lower_case: "false" }, 'do_lower_case is "false"; it must be true or false'],
    ["a list", [], "is no JSON object"],
  ])("has a tokenizer_config.json that is refused: %s", async (_, config, message) => {
    await writeBase(tinyBase(), folder);
    writeIn("tokenizer_config.json", config);
    await expectRefused([folder], message);
  });

  test("comes from tokenizer.json where there is no vocab.txt", async () => {
    await writeBase(tinyBase(), folder);
    rmSync(path.join(folder, "vocab.txt"));
    writeIn("tokenizer.json", tokenizerJson);
    expect((await openedAlike(folder)).tokenizer.tokens).toEqual(tokens);
  });

  test("with more words than the config gives is refused", async () => {
    await writeBase(tinyBase(), folder);
    writeFileSync(path.join(folder, "vocab.txt"), Array.from({ length: 13 }, (_, i) => `w${i}`).join("\n"));
    await expectRefused([folder], "its vocabulary has 13 words, its config's vocab_size is 12");
  });

  test("is bert-base-uncased's only for a model of its size that has none", async () => {
    await writeBase(tinyBase(), folder);
    rmSync(path.join(folder, "vocab.txt"));
    await expectRefused([folder], "has neither vocab.txt nor tokenizer.json");
    const config = { ...tinyConfig, vocabSize: 30522 };
    await writeBase(randomBase("tiny", config, { tokens, lowerCase: true }, 1), folder);
    rmSync(path.join(folder, "vocab.txt"));
    const { tokenizer, notes } = await openedAlike(folder);
    expect(tokenizer.tokens).toEqual(embeddedVocabulary());
    expect(notes).toEqual([expect.stringContaining("has no vocabulary")]);
  });

  const writeIn = (file: string, json: object) => writeFileSync(path.join(folder, file), JSON.stringify(json));
});

describe("names and paths", () => {
  test("a name is looked up in the cache, with / as --", async () => {
    await writeBase(tinyBase(), path.join(root, "org--tiny"));
    expect(await openedAlike("org/tiny", { cache: root })).toMatchObject({
      name: "org/tiny",
      folder: path.join(root, "org--tiny"),
    });
  });

  test("a name that is not there says what to run (exit 4)", async () => {
    await expectModelError(
      openBase("google-bert/bert-base-uncased", { cache: root }),
      /is not in the cache\. Run: flexbert pull google-bert\/bert-base-uncased$/,
    );
  });

  test("a path that is not there, and a folder that is no model, are no names to pull", async () => {
    await expectRefused(["./nowhere", { cache: root }], "./nowhere does not exist");
    await expectRefused([path.join(root, "x.zip"), { cache: root }], "x.zip does not exist");
    mkdirSync(folder);
    await expectRefused([folder, { cache: root }], "has neither config.json nor bert_config.json");
  });

  test("the cache is FLEXBERT_CACHE, else in XDG_CACHE_HOME, else the platform's", () => {
    const saved = { ...process.env };
    try {
      process.env["FLEXBERT_CACHE"] = root;
      expect(cacheFolder()).toBe(root);
      expect(cachedFolder("a/b")).toBe(path.join(root, "a--b"));
      process.env["FLEXBERT_CACHE"] = "";
      process.env["XDG_CACHE_HOME"] = root;
      expect(cacheFolder()).toBe(path.join(root, "flexbert"));
      process.env["XDG_CACHE_HOME"] = "relative";
      expect(cacheFolder().startsWith(os.homedir())).toBe(true);
      delete process.env["XDG_CACHE_HOME"];
      expect(cacheFolder().startsWith(os.homedir())).toBe(true);
    } finally {
      process.env = saved;
    }
  });
});

describe("randomBase", () => {
  test("is a function of its seed, within two standard deviations", () => {
    const [one, again, two] = [tinyBase(1), tinyBase(1), tinyBase(2)];
    expectSameTensors(again.tensors, one.tensors);
    expect(two.sha256).not.toBe(one.sha256);
    const config = { ...tinyConfig, vocabSize: 2000 };
    const words = randomBase("x", config, { tokens, lowerCase: true }, 1).tensors[
      "bert.embeddings.word_embeddings.weight"
    ];
    const values = [...(words?.data ?? [])];
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(0.04 * 1.0001);
    const variance = values.reduce((sum, value) => sum + value * value, 0) / values.length;
    expect(Math.sqrt(variance) / 0.02).toBeCloseTo(0.8796, 1); // a normal cut at 2 deviations
    expect(new Set(values).size).toBeGreaterThan(0.99 * values.length);
  });

  test("has biases of 0 and layer norms of 1", () => {
    for (const [name, { data }] of Object.entries(tinyBase().tensors)) {
      if (name.endsWith(".bias")) expect(new Set(data)).toEqual(new Set([0]));
      if (name.endsWith("LayerNorm.weight")) expect(new Set(data)).toEqual(new Set([1]));
    }
  });

  test("its hash covers every value and the config", () => {
    const { config, tensors } = tinyBase();
    const hash = baseSha256(config, tensors);
    for (const [name, tensor] of Object.entries(tensors)) {
      const data = Float32Array.from(tensor.data);
      data[data.length - 1] = 0.5;
      expect(baseSha256(config, { ...tensors, [name]: float32(tensor.shape, data) })).not.toBe(hash);
    }
    expect(baseSha256({ ...config, layerNormEps: 1e-5 }, tensors)).not.toBe(hash);
    expect(baseSha256(config, Object.fromEntries(Object.entries(tensors).reverse()))).toBe(hash);
  });
});

describeEachPairOfForms("the BERT of the reference values", ({ huggingFace, tensorFlow }) => {
  const withoutClassifier = ({ tensors }: Base) =>
    Object.fromEntries(Object.entries(tensors).filter(([name]) => !name.startsWith("classifier.")));

  test("is the same base in Hugging Face's and in TensorFlow's form: tensor by tensor, and by hash", async () => {
    const [ours, theirs] = [await openedAlike(huggingFace), await openedAlike(tensorFlow)];
    expectSameTensors(theirs.tensors, withoutClassifier(ours));
    expect(ours.tensors["classifier.weight"]?.shape).toEqual([3, ours.config.hiddenSize]);
    expect(theirs.config).toEqual(ours.config);
    expect(theirs.tokenizer).toEqual(ours.tokenizer);
    expect(theirs.sha256).toBe(ours.sha256);
    expect(ours.sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  test.each([[""], ["uncased_L-4_H-64_A-4/"]])("opens from Google's zip, its files under %j", async (top) => {
    const zip = new ZipFile();
    for (const name of readdirSync(tensorFlow)) zip.addFile(path.join(tensorFlow, name), `${top}${name}`);
    zip.addBuffer(Buffer.from("graph"), `${top}bert_model.ckpt.meta`);
    zip.end();
    const file = path.join(root, "uncased_L-4_H-64_A-4.zip");
    await pipeline(zip.outputStream, createWriteStream(file));
    const opened = await openedAlike(file);
    expect(opened).toMatchObject({ name: "uncased_L-4_H-64_A-4", folder: file });
    expect(opened.sha256).toBe((await openedAlike(huggingFace)).sha256);
  });

  test("a zip without a model says so", async () => {
    const zip = new ZipFile();
    zip.addBuffer(Buffer.from("x"), "readme.txt");
    zip.end();
    const file = path.join(root, "a.zip");
    await pipeline(zip.outputStream, createWriteStream(file));
    await expectRefused([file], `${file} holds neither bert_config.json nor config.json`);
  });

  test("a TensorFlow checkpoint that lacks a variable's layer in its config names both", async () => {
    copyFolder(tensorFlow, folder);
    const layers = (await openedAlike(folder)).config.numHiddenLayers;
    editJson("bert_config.json", { num_hidden_layers: layers - 1 });
    await expectRefused([folder], `its config gives ${layers - 1} layers`);
    editJson("bert_config.json", { num_hidden_layers: layers + 1 });
    const tensors = 7 + 16 * (layers + 1); // embeddings' and pooler's, and each layer's
    await expectRefused([folder], `lacks 16 of ${tensors} tensors of a BERT of ${layers + 1} layers`);
  });
});
