// A base with random weights, for tests and where no pre-trained one is to be had; and writing a base as a Hugging Face
// folder. Initialised as Google's BERT is (modeling.py): weights from a normal distribution cut at two standard deviations,
// biases 0, layer norms 1.

import path from "node:path";
import { writeFileAtomic } from "../../files/atomic";
import { makeFolder } from "../../files/folder";
import { storageFailure } from "../../files/storage-failure";
import type { EncoderConfig } from "../../model/config";
import { configJson } from "../../model/families/config-file";
import { familyOf } from "../../model/families/families";
import type { Parameter } from "../../model/families/family";
import { baseParameters } from "../../model/parameters";
import { float32, type HostTensor, sizeOf } from "../../model/tensors";
import { normals } from "../../random/draws";
import { Purpose, streamKey } from "../../random/threefry";
import type { TokenizerSettings } from "../../tokenizer/tokenizer";
import { writeSafetensors } from "../formats/safetensors";
import type { Base, BaseOutline } from "./base";
import { tokenizerFiles, tokenizerSha256 } from "./tokenizer-files";
import { baseSha256 } from "./weights";

/** Steps of the generator from here on are a base's; step 0 is a new head's (src/recipes/trial/initial-branch.ts). */
const FIRST_STEP = 1;

/** A base that is a pure function of config and seed; `folder` is "" until it is written. */
export function randomBase(name: string, config: EncoderConfig, tokenizer: TokenizerSettings, seed: number): Base {
  const tensors = Object.fromEntries(
    baseParameters(config).map(({ name: parameter, shape, begins }, site): [string, HostTensor] => [
      parameter,
      float32(shape, initialValues(begins, sizeOf(shape), config.initializerRange, seed, site)),
    ]),
  );
  return {
    name,
    folder: "",
    config,
    tensors,
    tokenizer,
    sha256: baseSha256(config, tensors, undefined, tokenizerSha256(tokenizer)),
  };
}

function initialValues(
  begins: Parameter["begins"],
  size: number,
  deviation: number,
  seed: number,
  site: number,
): Float32Array {
  if (begins === "zero") return new Float32Array(size);
  if (begins === "one") return new Float32Array(size).fill(1);
  const values = new Float32Array(size);
  let open = Array.from(values.keys());
  for (let round = 0; open.length > 0; round++) {
    const drawn = normals(streamKey(seed, Purpose.initialisation, FIRST_STEP + round, site), open.length, deviation);
    for (const [i, at] of open.entries()) values[at] = drawn[i] as number;
    open = open.filter((at) => Math.abs(values[at] as number) > 2 * deviation);
  }
  return values;
}

/** Writes config.json, model.safetensors and the tokenizer's files; config.json, last, makes it a base. */
export async function writeBase(base: Base, folder: string): Promise<void> {
  await makeFolder(folder).catch((error) => {
    throw storageFailure(error, folder);
  });
  await writeSafetensors(path.join(folder, "model.safetensors"), base.tensors);
  await writeOutline(base, folder);
}

/** What a base's folder has beside its weights: the tokenizer's files and config.json. */
export async function writeOutline(base: Pick<BaseOutline, "config" | "tokenizer">, folder: string): Promise<void> {
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  for (const [name, text] of Object.entries(tokenizerFiles(base.tokenizer))) {
    await writeFileAtomic(path.join(folder, name), text);
  }
  await writeFileAtomic(
    path.join(folder, "config.json"),
    json({ ...configJson(base.config), architectures: [`${familyOf(base.config).className}Model`] }),
  );
}
