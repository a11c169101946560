// Checkpoints in the forms that people have: torch.save's files, shards, wrapped names, several TensorFlow checkpoints,
// half precision, and numbers that are none. The kinds of pytorch_model.bin and index come from TensorRT-LLM#2379,
// pytorch#9176, mlx-lm#1718 and transformers#158; those of NaN from transformers#9160 and triton#4842.

import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, test } from "@jest/globals";
import { describeBase, openBase } from "../../../src/checkpoints/bases/base";
import { writeBase } from "../../../src/checkpoints/bases/random-base";
import { readSafetensors, writeSafetensors } from "../../../src/checkpoints/formats/safetensors";
import { ExitCode } from "../../../src/errors/errors";
import { float32, type HostTensor, type HostTensors } from "../../../src/model/tensors";
import { temporaryFolder } from "../../files/temporary-folder";
import { describeEachPairOfForms, ownReference } from "../../reference";
import { copyFolder } from "../copy-folder";
import { floatVariable, writeTf1Checkpoint } from "../formats/tf1-writer";
import { fixture, writeLegacy } from "../formats/torch-files";
import { tinyBase } from "../tiny-base";

const micro = path.join(ownReference, "micro-bert");
let folder: string;
beforeEach(() => {
  folder = path.join(temporaryFolder(), "micro-bert");
  copyFolder(micro, folder);
});
const weights = () => path.join(folder, "model.safetensors");

/** Puts other files in the place of model.safetensors. */
function instead(...files: readonly (readonly [from: string, to: string])[]): void {
  rmSync(weights());
  for (const [from, to] of files) cpSync(from, path.join(folder, to));
}

function shards(name: string): void {
  instead(...readdirSync(fixture(name)).map((file) => [fixture(path.join(name, file)), file] as const));
}

const bits = ({ data }: HostTensor) => Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex");
const allBits = (tensors: HostTensors) =>
  Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, [tensor.shape, bits(tensor)]]));

async function expectTheSameBase(): Promise<void> {
  const [expected, actual] = [await openBase(micro), await openBase(folder)];
  expect(allBits(actual.tensors)).toEqual(allBits(expected.tensors));
  expect(actual.sha256).toBe(expected.sha256);
  expect((await describeBase(folder)).sha256).toBe(expected.sha256);
}

async function expectRefused(message: string | RegExp): Promise<void> {
  for (const open of [openBase, describeBase]) {
    const opening = open(folder);
    await expect(opening).rejects.toMatchObject({ name: "UserError", exitCode: ExitCode.model });
    await expect(opening).rejects.toThrow(message);
    await expect(opening).rejects.toThrow(/^[^\p{C}]+$/u);
  }
}

describe("the same base as its safetensors", () => {
  test.each(["zip.bin", "legacy.bin"])("from pytorch_model.bin, as PyTorch wrote %s", async (name) => {
    instead([fixture(name), "pytorch_model.bin"]);
    await expectTheSameBase();
  });

  test.each(["sharded-safetensors", "sharded-bin"])("from shards with an index: %s", async (name) => {
    shards(name);
    await expectTheSameBase();
  });

  test.each(["module.", "model.", "module.model.", "_orig_mod.module."])(
    "from names that begin with %s",
    async (prefix) => {
      const { tensors } = await readSafetensors(weights());
      const wrapped = Object.entries(tensors).map(([name, tensor]) => [`${prefix}${name}`, tensor] as const);
      await writeSafetensors(weights(), Object.fromEntries(wrapped));
      await expectTheSameBase();
      // Of a bare encoder too, whose names have no bert.
      const bare = Object.entries(tensors).map(
        ([name, tensor]) => [`${prefix}${name.replace(/^bert\./, "")}`, tensor] as const,
      );
      await writeSafetensors(weights(), Object.fromEntries(bare));
      await expectTheSameBase();
    },
  );

  test("safetensors go before PyTorch's files", async () => {
    writeFileSync(path.join(folder, "pytorch_model.bin"), "not looked at");
    await expectTheSameBase();
  });

  test("from config.json without what EncoderConfig has defaults for", async () => {
    const file = path.join(folder, "config.json");
    const { hidden_act, type_vocab_size, initializer_range, pad_token_id, layer_norm_eps, ...rest } = JSON.parse(
      readFileSync(file, "utf8"),
    );
    expect([hidden_act, type_vocab_size, pad_token_id]).toEqual(["gelu", 2, 0]);
    writeFileSync(file, JSON.stringify(rest));
    await expectTheSameBase();
  });
});

test("another activation is another base, and is part of its config", async () => {
  const file = path.join(folder, "config.json");
  const hashes = new Set([(await openBase(folder)).sha256]);
  for (const hidden_act of ["relu", "silu", "gelu_new", "gelu_pytorch_tanh", "gelu_python"]) {
    writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), hidden_act }));
    hashes.add((await openBase(folder)).sha256);
  }
  expect(hashes.size).toBe(4);
});

describe("an index that cannot be followed is refused by name", () => {
  const index = () => path.join(folder, "model.safetensors.index.json");
  const rewrite = (change: (map: Record<string, unknown>) => unknown) => {
    const json = JSON.parse(readFileSync(index(), "utf8"));
    writeFileSync(index(), JSON.stringify({ ...json, weight_map: change(json.weight_map) }));
  };
  const named = (file: unknown) => () => rewrite((map) => ({ ...map, "bert.pooler.dense.bias": file }));

  test.each<[string, () => void, RegExp]>([
    [
      "a missing shard",
      () => rmSync(path.join(folder, "model-00002-of-00003.safetensors")),
      /index\.json names 1 of 3 files that are not there: model-00002-of-00003\.safetensors\. Fetch them too/,
    ],
    [
      "a path above",
      named("../../../etc/model.safetensors"),
      /gives "\.\.\/\.\.\/\.\.\/etc\/model\.safetensors" as the file of bert\.pooler\.dense\.bias/,
    ],
    ["an absolute path", named("/etc/model.safetensors"), /where only a file beside it is read/],
    ["a path of Windows", named("..\\model.safetensors"), /where only a file beside it is read/],
    ["a drive", named("C:model.safetensors"), /where only a file beside it is read/],
    ["two dots", named("..safetensors"), /where only a file beside it is read/],
    ["another kind of file", named("config.json"), /where only a file beside it is read/],
    ["a number", named(3), /gives 3 as the file/],
    ["a control character", named("\u001b[2Jx.safetensors"), /where only a file beside it is read/],
    [
      "a tensor that its shard has not",
      () => rewrite((map) => ({ ...map, "bert.pooler.dense.bias": "model-00001-of-00003.safetensors" })),
      /model-00001-of-00003\.safetensors has no tensor bert\.pooler\.dense\.bias, which model\.safetensors\.index\.json lists for it/,
    ],
    [
      "a tensor that is not listed",
      () => rewrite(({ "bert.pooler.dense.bias": _, ...map }) => map),
      /lacks 1 of 39 tensors of a BERT of 2 layers: bert\.pooler\.dense\.bias/,
    ],
    ["no map", () => writeFileSync(index(), "{}"), /is no index of weights: it has no weight_map/],
    ["a list", () => rewrite(() => []), /it has no weight_map/],
    ["an empty map", () => rewrite(() => ({})), /its weight_map is empty/],
    [
      "thousands of shards",
      () => rewrite(() => Object.fromEntries(Array.from({ length: 9_999 }, (_, i) => [`t${i}`, `x${i}.safetensors`]))),
      /it names 9999 files/,
    ],
    ["no JSON", () => writeFileSync(index(), "weights"), /is damaged: it is no JSON/],
  ])("%s", async (_, damage, message) => {
    shards("sharded-safetensors");
    damage();
    await expectRefused(message);
  });

  test("a shard that holds more than tensors", async () => {
    shards("sharded-bin");
    writeLegacy(
      path.join(folder, "pytorch_model-00003-of-00003.bin"),
      Buffer.from("80026373797374656d0a726d0a2e", "hex"),
    );
    await expectRefused(/pytorch_model-00003-of-00003\.bin: it asks for system\.rm, which no weights need/);
  });
});

describe("numbers that are none are refused, naming file, tensor and place", () => {
  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])("%s in safetensors", async (value) => {
    const { tensors } = await readSafetensors(weights());
    const words = tensors["bert.embeddings.word_embeddings.weight"] as HostTensor;
    words.data[5] = value;
    await writeSafetensors(weights(), tensors);
    await expectRefused(`${weights()}: bert.embeddings.word_embeddings.weight is ${value} at [1,1]`);
  });

  test("in a TensorFlow checkpoint", async () => {
    rmSync(weights());
    writeTf1Checkpoint(path.join(folder, "bert_model.ckpt"), {
      "bert/pooler/dense/bias": floatVariable([4], [0, 0, Number.NaN, 0]),
    });
    await expectRefused(`${folder}: bert/pooler/dense/bias is NaN at [2]`);
  });

  test("in the classifier", async () => {
    const { tensors } = await readSafetensors(weights());
    await writeSafetensors(weights(), {
      ...tensors,
      "classifier.bias": float32([3], Float32Array.of(0, Number.NaN, 0)),
    });
    await expectRefused("classifier.bias is NaN at [1]");
  });

  test("the largest finite numbers are numbers", async () => {
    const { tensors } = await readSafetensors(weights());
    (tensors["bert.embeddings.word_embeddings.weight"] as HostTensor).data.fill(3.4028234e38);
    await writeSafetensors(weights(), tensors);
    expect((await openBase(folder)).sha256).toMatch(/^[0-9a-f]{64}$/);
  });
});

describeEachPairOfForms("a TensorFlow run's folder", ({ huggingFace, tensorFlow }) => {
  /** Three checkpoints of a run, of which the second is the model's; others are no BERT at all. */
  function runFolder(): string {
    const run = path.join(temporaryFolder(), "run");
    mkdirSync(run);
    for (const name of readdirSync(tensorFlow)) {
      writeFileSync(
        path.join(run, name.replace("bert_model.ckpt", "model.ckpt-20")),
        readFileSync(path.join(tensorFlow, name)),
      );
    }
    for (const step of [10, 30])
      writeTf1Checkpoint(path.join(run, `model.ckpt-${step}`), { x: floatVariable([1], [step]) });
    return run;
  }

  test("is the checkpoint that its file checkpoint names, whatever machine wrote it", async () => {
    const run = runFolder();
    const lines = [
      'model_checkpoint_path: "/home/somebody/out/model.ckpt-20"',
      'all_model_checkpoint_paths: "model.ckpt-30"',
    ];
    writeFileSync(path.join(run, "checkpoint"), `${lines.join("\n")}\n`);
    expect((await openBase(run)).sha256).toBe((await openBase(huggingFace)).sha256);
    writeFileSync(path.join(run, "checkpoint"), 'model_checkpoint_path: "C:\\\\out\\\\model.ckpt-20"\r\n');
    expect((await openBase(run)).sha256).toBe((await openBase(huggingFace)).sha256);
  });

  test("is refused where that names none of them, or is not there", async () => {
    const run = runFolder();
    await expect(openBase(run)).rejects.toThrow("and no file checkpoint that names one. Give a folder with one");
    writeFileSync(path.join(run, "checkpoint"), 'model_checkpoint_path: "../other/model.ckpt-40"\n');
    await expect(openBase(run)).rejects.toThrow("and its file checkpoint names model.ckpt-40");
  });
});

describe("--lower-case", () => {
  async function silentBase(name = "mine"): Promise<string> {
    const silent = path.join(path.dirname(folder), name);
    await writeBase(tinyBase(), silent);
    rmSync(path.join(silent, "tokenizer_config.json"));
    return silent;
  }

  test("says what no file says, and is part of the base's identity where it changes anything", async () => {
    const silent = await silentBase();
    const [taken, agreed, cased] = [
      await openBase(silent),
      await openBase(silent, { lowerCase: true }),
      await openBase(silent, { lowerCase: false }),
    ];
    const cases = [taken, agreed, cased].map(({ tokenizer }) => tokenizer);
    expect(cases).toMatchObject([{ lowerCase: true }, { lowerCase: true }, { lowerCase: false }]);
    expect(taken.notes).toEqual([expect.stringContaining("Give --lower-case false if it does not")]);
    expect(agreed.notes).toBeUndefined();
    expect([taken.sha256, agreed.sha256]).toEqual([tinyBase().sha256, tinyBase().sha256]);
    expect(cased.sha256).not.toBe(taken.sha256);
    expect(cased.lowerCase).toBe(false);
    expect((await describeBase(silent, { lowerCase: false })).sha256).toBe(cased.sha256);
  });

  test("goes before a name that says cased or uncased", async () => {
    const silent = await silentBase("bert-base-cased");
    expect(await openBase(silent, { lowerCase: true })).toMatchObject({
      lowerCase: true,
      tokenizer: { lowerCase: true },
    });
    expect((await openBase(silent, { lowerCase: false })).sha256).toBe(tinyBase().sha256);
  });

  test("that contradicts a file is refused (exit 2)", async () => {
    const said = path.join(path.dirname(folder), "said");
    await writeBase(tinyBase(), said);
    const opening = openBase(said, { lowerCase: false });
    await expect(opening).rejects.toMatchObject({ exitCode: ExitCode.usage });
    await expect(opening).rejects.toThrow(`--lower-case false: the files in ${said} say true. Leave the option out`);
    expect((await openBase(said, { lowerCase: true })).sha256).toBe(tinyBase().sha256);
  });
});

test("vocab.txt and the JSON files may begin with a byte order mark", async () => {
  for (const name of ["vocab.txt", "config.json"]) {
    const file = path.join(folder, name);
    writeFileSync(file, `\ufeff${readFileSync(file, "utf8")}`);
  }
  await expectTheSameBase();
  expect((await openBase(folder)).tokenizer).toEqual((await openBase(micro)).tokenizer);
});
