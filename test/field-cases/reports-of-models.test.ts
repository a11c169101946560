// What users of other tools reported in public of models' folders, tried on folders of our own: repository and number, what
// went wrong there, and what is right here. Labels of an import: ../recipes/import.test.ts; files of rows: reports-of-rows.test.ts.

import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, test } from "@jest/globals";
import { describeBase, openBase } from "../../src/checkpoints/bases/base";
import { writeBase } from "../../src/checkpoints/bases/random-base";
import { ExitCode } from "../../src/errors/errors";
import { temporaryFolder } from "../files/temporary-folder";
import { tinyBase } from "../tiny";

let folder: string;
const at = (name: string) => path.join(folder, name);
beforeEach(async () => {
  folder = path.join(temporaryFolder(), "model");
  await writeBase(tinyBase(), folder);
});

async function expectRefused(message: string): Promise<void> {
  for (const open of [openBase, describeBase]) {
    const error = await open(folder).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ exitCode: ExitCode.model, message: expect.stringMatching(/^[^\p{C}]+$/u) });
    expect((error as Error).message).toContain(message);
  }
}

const index = JSON.stringify({ weight_map: { "bert.pooler.dense.bias": "model-00001-of-00001.safetensors" } });

// microsoft/OmniParser#34, huggingface/transformers#27923, codefuse-ai/MFTCoder#20: a clone without git-lfs has pointers in the
// place of files, of which a reader of safetensors says that their header is too large
describe("a pointer of git-lfs is named, wherever it lies", () => {
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${"4d7a".repeat(16)}\nsize 438955024\n`;
  test.each([
    ["model.safetensors", ""],
    ["pytorch_model.bin", ""],
    ["model-00001-of-00001.safetensors", index],
    ["model.safetensors.index.json", ""],
    ["config.json", ""],
    ["vocab.txt", ""],
    ["tokenizer.json", ""],
    ["tokenizer_config.json", ""],
  ])("%s", async (name, indexed) => {
    if (/^(model|pytorch)/.test(name)) rmSync(at("model.safetensors"));
    if (indexed !== "") writeFileSync(at("model.safetensors.index.json"), indexed);
    writeFileSync(at(name), pointer);
    await expectRefused(`${name} is a pointer of git-lfs, its content was not fetched. Run git lfs pull there`);
  });

  test("and so is a web page that a server sent", async () => {
    for (const name of ["model.safetensors", "config.json"]) {
      writeFileSync(at(name), "<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n");
      await expectRefused(`${name} is a web page, which a server sent instead of the file`);
    }
  });
});

// lm-sys/FastChat#502: the folder that training an adapter leaves has no config.json, and loading it says that alone
test.each(["config.json", "model.safetensors"])(
  "an adapter without %s is no whole model, and called so",
  async (missing) => {
    rmSync(at(missing));
    writeFileSync(at("adapter_config.json"), JSON.stringify({ peft_type: "LORA" }));
    await expectRefused("It holds an adapter, which is no whole model: merge it into its base first");
  },
);

test.each(["tf_model.h5", "flax_model.msgpack", "model.onnx", "model.gguf"])("%s alone is named", async (name) => {
  rmSync(at("model.safetensors"));
  writeFileSync(at(name), "");
  await expectRefused(`${name} is not read: save_pretrained of transformers writes model.safetensors`);
});

// The layout of sentence-transformers before 2020, and the folder that holds a Trainer's checkpoints.
test.each(["0_Transformer", "checkpoint-500"])("a model in %s is pointed at", async (below) => {
  mkdirSync(at(below));
  for (const name of ["config.json", "model.safetensors", "vocab.txt", "tokenizer_config.json"]) {
    renameSync(at(name), path.join(at(below), name));
  }
  await expectRefused(`A model lies below it: give ${at(below)}`);
  expect((await openBase(at(below))).sha256).toBe(tinyBase().sha256);
});

// mljar/mljar-supervised#245, fastai/fastai#3945: more than ten classes in the order of their numbers as text
test("label names of config.json are in the order of their ids, however the keys are ordered", async () => {
  const ids = Array.from({ length: 12 }, (_, id) => String(id)).sort();
  const written = ids.map((id) => `"${id}": "class ${id}"`).join(", ");
  const config = readFileSync(at("config.json"), "utf8").replace("{", `{ "id2label": { ${written} }, `);
  writeFileSync(at("config.json"), config);
  expect((await openBase(folder)).labels).toEqual(Array.from({ length: 12 }, (_, id) => `class ${id}`));
});
