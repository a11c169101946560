// What holds for any tensors and any damage: briefly in the unit tests, at length in the soak.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect } from "@jest/globals";
import fc from "fast-check";
import { shardsOf } from "../../../src/checkpoints/bases/shards";
import { readSafetensors, safetensorsChunks } from "../../../src/checkpoints/formats/safetensors";
import { tensorBundle } from "../../../src/checkpoints/formats/tensor-bundle";
import { readTf1Checkpoint } from "../../../src/checkpoints/formats/tf1-checkpoint";
import { openTorch } from "../../../src/checkpoints/formats/torch";
import { ExitCode } from "../../../src/errors/errors";
import { float32, type HostTensors, int32, sizeOf } from "../../../src/model/tensors";
import { temporaryFolder } from "../../files/temporary-folder";
import { floatVariable, writeTf1Checkpoint } from "./tf1-writer";
import { fixture, maliciousPickles, readAll, writeLegacy, writeTorchZip } from "./torch-files";

async function writtenAndRead(tensors: HostTensors): Promise<HostTensors> {
  const prefix = path.join(temporaryFolder(), "variables");
  const { index, data } = tensorBundle(tensors);
  writeFileSync(`${prefix}.index`, index);
  writeFileSync(`${prefix}.data-00000-of-00001`, Buffer.concat(data));
  return readTf1Checkpoint(prefix);
}

/** Tensors that are written as a bundle come back through the reader of TensorFlow's own. */
export function bundlesComeBack() {
  const tensor = fc
    .tuple(fc.boolean(), fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 4 }))
    .map(([whole, shape]) =>
      whole
        ? int32(
            shape,
            Int32Array.from({ length: sizeOf(shape) }, (_, i) => i - 3),
          )
        : float32(
            shape,
            Float32Array.from({ length: sizeOf(shape) }, (_, i) => i / 3),
          ),
    );
  const name = fc.string({ unit: "binary", minLength: 1 }).filter((text) => text !== "__proto__");
  return fc.asyncProperty(fc.dictionary(name, tensor, { noNullPrototype: true }), async (tensors) => {
    expect(await writtenAndRead(tensors)).toEqual(tensors);
  });
}

/** One byte of an index is changed: an error, never other values. */
export function damagedIndexIsAnError(folder: string) {
  const prefix = path.join(folder, "bert_model.ckpt");
  const small = { a: floatVariable([1], [1]), b: floatVariable([1], [2]), c: floatVariable([1], [3]) };
  writeTf1Checkpoint(prefix, small);
  const good = readFileSync(`${prefix}.index`);
  return fc.asyncProperty(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
    const bad = Buffer.from(good);
    bad[at] = (bad[at] as number) ^ change;
    writeFileSync(`${prefix}.index`, bad);
    const outcome = await readTf1Checkpoint(prefix).catch((error) => error.exitCode);
    // The footer's padding and the unused metaindex carry nothing.
    if (outcome !== ExitCode.model) expect(outcome["b"].data[0]).toBe(2);
  });
}

/** Bytes that are changed: an error of one line that names the file, or tensors that are whole. */
async function expectNamedOrWhole(reading: Promise<{ readonly tensors: HostTensors }>, file: string): Promise<void> {
  const outcome = await reading.catch((error: Error) => error);
  if (outcome instanceof Error) {
    expect(outcome).toMatchObject({ name: "UserError", exitCode: ExitCode.model });
    expect(outcome.message).toMatch(/^[^\p{C}]*$/u);
    expect(outcome.message).toContain(path.basename(file));
  } else {
    for (const { shape, data } of Object.values(outcome.tensors)) expect(data).toHaveLength(sizeOf(shape));
  }
}

/** Some bytes of a file that PyTorch wrote are others. */
export function damagedTorchFilesAreNamed(folder: string) {
  const file = path.join(folder, "pytorch_model.bin");
  const whole = ["zip.bin", "legacy.bin", "kinds.bin", "kinds-legacy.bin"].map((name) => readFileSync(fixture(name)));
  const change = fc.tuple(fc.nat(), fc.nat(255));
  return fc.asyncProperty(
    fc.constantFrom(...whole),
    fc.array(change, { minLength: 1, maxLength: 6 }),
    async (good, places) => {
      const bad = Buffer.from(good);
      for (const [at, value] of places) bad[at % bad.length] = value;
      writeFileSync(file, bad);
      await expectNamedOrWhole(readAll(openTorch, file), file);
    },
  );
}

/** Pickles of any operations, and of pieces of malicious ones. */
export function anyPickleIsNamed(folder: string) {
  const file = path.join(folder, "pytorch_model.bin");
  const codes = Buffer.from("(.0)2NKJMX}]us)tR\x85\x86\x87qhcbQ\x88\x89\x8a\x8c\x93\x94\x81\x80ae1ld", "latin1");
  const operation = fc.oneof(
    fc.constantFrom(...codes).map((code) => Buffer.from([code])),
    fc
      .constantFrom("ccollections\nOrderedDict\n", "ctorch._utils\n_rebuild_tensor_v2\n", "ctorch\nFloatStorage\n")
      .map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes)),
    fc.tuple(fc.constantFrom(...maliciousPickles.values()), fc.nat(), fc.nat(60)).map(([pickle, at, length]) => {
      const from = pickle.length === 0 ? 0 : at % pickle.length;
      return pickle.subarray(from, from + length);
    }),
  );
  return fc.asyncProperty(fc.array(operation, { maxLength: 30 }), fc.boolean(), async (operations, legacy) => {
    const pickle = Buffer.concat([Buffer.from([128, 2]), ...operations, Buffer.from(".")]);
    if (legacy) writeLegacy(file, pickle);
    else await writeTorchZip(file, { pickle, storages: { "0": new Uint8Array(16) } });
    await expectNamedOrWhole(readAll(openTorch, file), file);
  });
}

/** An index of shards with any content: an error of one line that names it, or files that lie beside it. */
export function anyShardIndexIsNamed() {
  const index = "/models/model.safetensors.index.json";
  const name = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom(
      "a.safetensors",
      "b.bin",
      "../a.bin",
      "/a.bin",
      "a/../b.bin",
      "C:a.bin",
      "..bin",
      "a..bin",
      "\u0000.bin",
    ),
  );
  const map = fc.oneof(fc.dictionary(fc.string(), fc.oneof(name, fc.jsonValue())), fc.jsonValue());
  return fc.property(fc.oneof(fc.record({ weight_map: map }), fc.jsonValue()), (json) => {
    try {
      for (const file of shardsOf(json, index).keys()) {
        expect(path.dirname(path.resolve("/models", file))).toBe("/models");
        expect(file).toMatch(/^[\w-][\w.-]*$/);
      }
    } catch (error) {
      expect(error).toMatchObject({ name: "UserError", exitCode: ExitCode.model });
      expect((error as Error).message).toMatch(/^[^\p{C}]*$/u);
    }
  });
}

/** An index of a TensorFlow checkpoint of any bytes, or with many others, and a file `checkpoint` of any text. */
export function anyTf1IndexIsNamed(folder: string) {
  const prefix = path.join(folder, "model.ckpt-1");
  writeTf1Checkpoint(prefix, { a: floatVariable([2, 2], [1, 2, 3, 4]), b: floatVariable([1], [2]) });
  writeFileSync(path.join(folder, "model.ckpt-2.index"), "another");
  const good = readFileSync(`${prefix}.index`);
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((some) => Buffer.from(some)),
    fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 8 }).map((places) => {
      const bad = Buffer.from(good);
      for (const [at, value] of places) bad[at] = value;
      return bad;
    }),
  );
  const named = fc.oneof(fc.constant('model_checkpoint_path: "model.ckpt-1"'), fc.string({ unit: "binary" }));
  return fc.asyncProperty(bytes, named, async (index, text) => {
    writeFileSync(`${prefix}.index`, index);
    writeFileSync(path.join(folder, "checkpoint"), text);
    await expectNamedOrWhole(
      readTf1Checkpoint(folder).then((tensors) => ({ tensors })),
      folder,
    );
  });
}

/** A TensorFlow checkpoint whose index is whole and says anything of its variables. */
export function anyTf1VariableIsNamed(folder: string) {
  const prefix = path.join(folder, "bert_model.ckpt");
  const sizes = fc.array(fc.oneof(fc.integer(), fc.nat(4), fc.constant(2 ** 40)), { maxLength: 4 });
  const variable = fc.record({
    dtype: fc.nat(25),
    shape: sizes,
    bytes: fc.uint8Array({ maxLength: 64 }),
    shard: fc.nat(3),
  });
  return fc.asyncProperty(variable, fc.boolean(), async (given, sliced) => {
    writeTf1Checkpoint(prefix, { a: { ...given, sliced } });
    await expectNamedOrWhole(
      readTf1Checkpoint(prefix).then((tensors) => ({ tensors })),
      prefix,
    );
  });
}

/** Some bytes of a safetensors file are others: an error of one line that names the file, or tensors that are whole. */
export function damagedSafetensorsAreNamed(folder: string) {
  const file = path.join(folder, "model.safetensors");
  const tensors = { a: float32([2, 3], new Float32Array(6)), b: int32([1], Int32Array.of(1)) };
  const good = Buffer.concat([...safetensorsChunks(tensors)]);
  const changes = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
  return fc.asyncProperty(changes, async (places) => {
    const bad = Buffer.from(good);
    for (const [at, value] of places) bad[at] = value;
    writeFileSync(file, bad);
    await expectNamedOrWhole(readSafetensors(file), file);
  });
}
