import { readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { crc32c, maskedCrc32c } from "../../../src/checkpoints/formats/crc32c";
import { readTf1Checkpoint } from "../../../src/checkpoints/formats/tf1-checkpoint";
import { ExitCode } from "../../../src/errors/errors";
import { temporaryFolder } from "../../files/temporary-folder";
import { describeEachPairOfForms } from "../../reference";
import { copyFolder } from "../copy-folder";
import { damagedIndexIsAnError } from "./properties";
import { floatVariable, type Variable, writeTf1Checkpoint } from "./tf1-writer";

let folder: string;
let prefix: string;
beforeEach(() => {
  folder = temporaryFolder();
  prefix = path.join(folder, "bert_model.ckpt");
});

describe("crc32c", () => {
  // RFC 3720, B.4, and the usual check value.
  test.each([
    ["123456789", Buffer.from("123456789"), 0xe3069283],
    ["32 zeros", Buffer.alloc(32), 0x8a9136aa],
    ["32 x ff", Buffer.alloc(32, 0xff), 0x62a8ab43],
    ["0 to 31", Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
    ["nothing", Buffer.alloc(0), 0],
  ])("of %s", (_, bytes, crc) => {
    expect(crc32c(bytes)).toBe(crc);
  });

  test("does not depend on alignment or on how bytes fall into groups of eight", () => {
    const bitwise = (bytes: Uint8Array) => {
      let crc = 0xffffffff;
      for (const byte of bytes) {
        crc ^= byte;
        for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
      }
      return ~crc >>> 0;
    };
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), fc.nat(7), (bytes, skip) => {
        expect(crc32c(bytes.subarray(skip))).toBe(bitwise(bytes.subarray(skip)));
      }),
    );
  });

  test("is masked as TensorFlow does (lib/hash/crc32c.h)", () => {
    expect(maskedCrc32c(Buffer.alloc(0))).toBe(0xa282ead8);
    const crc = 0xe3069283;
    expect(maskedCrc32c(Buffer.from("123456789"))).toBe((((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
  });
});

const raw = (dtype: number, values: { buffer: ArrayBufferLike; length: number }): Variable => ({
  dtype,
  shape: [values.length],
  bytes: new Uint8Array(values.buffer as ArrayBuffer),
});

describe("readTf1Checkpoint", () => {
  test("reads shards, shared key prefixes, several blocks and every dtype", async () => {
    writeTf1Checkpoint(prefix, {
      "bert/a": floatVariable([2, 2], [1, 2, 3, 4]),
      "bert/ab": { ...floatVariable([3], [5, 6, 7]), shard: 1 },
      "bert/abc": floatVariable([], [8]),
      double: raw(2, Float64Array.of(0.5)),
      global_step: { ...raw(9, BigInt64Array.of(1234n)), shape: [] },
      half: raw(19, Uint16Array.of(0x3c00)),
      bfloat: raw(14, Uint16Array.of(0x4000)),
      int: { ...raw(3, Int32Array.of(-7)), shard: 1 },
    });
    const tensors = await readTf1Checkpoint(folder);
    const values = Object.fromEntries(
      Object.entries(tensors).map(([name, t]) => [name, [t.dtype, t.shape, [...t.data]]]),
    );
    expect(values).toEqual({
      "bert/a": ["float32", [2, 2], [1, 2, 3, 4]],
      "bert/ab": ["float32", [3], [5, 6, 7]],
      "bert/abc": ["float32", [], [8]],
      double: ["float32", [1], [0.5]],
      global_step: ["int32", [], [1234]],
      half: ["float32", [1], [1]],
      bfloat: ["float32", [1], [2]],
      int: ["int32", [1], [-7]],
    });
  });

  test("takes a prefix as well as a folder, and reads what is selected only", async () => {
    writeTf1Checkpoint(prefix, { a: floatVariable([1], [1]), b: { dtype: 7, shape: [1], bytes: Buffer.from("text") } });
    expect(Object.keys(await readTf1Checkpoint(prefix, { select: (name) => name === "a" }))).toEqual(["a"]);
    await expect(readTf1Checkpoint(prefix)).rejects.toThrow("variable b has TensorFlow's data type 7");
  });

  test.each<[string, () => void, string]>([
    ["no checkpoint", () => rmSync(`${prefix}.index`), "has no checkpoint (NAME.index)"],
    [
      "two checkpoints",
      () => writeFileSync(path.join(folder, "b.index"), ""),
      "has several checkpoints: b.index, bert_model.ckpt.index",
    ],
    ["an empty index", () => writeFileSync(`${prefix}.index`, ""), "it has 0 bytes, too few for a footer"],
    ["an index that is cut off", () => truncateSync(`${prefix}.index`, 60), "magic number"],
    ["another magic number", () => rewrite({ magic: 1n }), "magic number"],
    ["a compressed block", () => rewrite({ compression: 1 }), "is compressed (type 1)"],
    ["big-endian bytes", () => rewrite({ bigEndian: true }), "big-endian machine"],
    ["a flipped bit in the index", () => flip(`${prefix}.index`, 20), "has a wrong CRC"],
    [
      "a flipped bit in a shard",
      () => flip(`${prefix}.data-00000-of-00001`, 5),
      "variable b is damaged: its CRC is wrong",
    ],
    [
      "a shard that is cut off",
      () => truncateSync(`${prefix}.data-00000-of-00001`, 10),
      "variable c is cut off: the file ends 2 bytes early",
    ],
    ["a missing shard", () => rmSync(`${prefix}.data-00000-of-00001`), "data-00000-of-00001 does not exist"],
    [
      "a sliced variable",
      () => writeTf1Checkpoint(prefix, { a: { ...floatVariable([1], [1]), sliced: true } }),
      "variable a is partitioned",
    ],
    [
      "a size against the shape",
      () => writeTf1Checkpoint(prefix, { a: { ...floatVariable([1], [1]), shape: [2] } }),
      "variable a has 4 bytes, F32 [2] needs 8",
    ],
  ])("%s is one line that names the file (exit 4)", async (_, damage, cause) => {
    writeTf1Checkpoint(prefix, small);
    damage();
    const read = readTf1Checkpoint(folder);
    await expect(read).rejects.toMatchObject({ name: "UserError", exitCode: ExitCode.model });
    await expect(read).rejects.toThrow(cause);
    await expect(read).rejects.toThrow(new RegExp(`^${folder}[^\n]*$`));
  });

  test("an index of any damage is an error, never other values", async () => {
    await fc.assert(damagedIndexIsAnError(folder), { numRuns: 200 });
  });
});

const small = { a: floatVariable([1], [1]), b: floatVariable([1], [2]), c: floatVariable([1], [3]) };
const rewrite = (faults: object) => writeTf1Checkpoint(prefix, small, faults);

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] as number) ^ 1;
  writeFileSync(file, bytes);
}

describeEachPairOfForms("a checkpoint that TensorFlow wrote", ({ tensorFlow }) => {
  test("has Google's variable names, kernels as [in, out]", async () => {
    const tensors = await readTf1Checkpoint(tensorFlow);
    const config = JSON.parse(readFileSync(path.join(tensorFlow, "bert_config.json"), "utf8"));
    const top = config.num_hidden_layers - 1;
    expect(Object.keys(tensors)).toContain(`bert/encoder/layer_${top}/attention/self/query/kernel`);
    expect(tensors["bert/encoder/layer_0/intermediate/dense/kernel"]?.shape).toEqual([
      config.hidden_size,
      config.intermediate_size,
    ]);
  });

  test("with one bit flipped anywhere in its data names the variable", async () => {
    copyFolder(tensorFlow, folder);
    const shard = path.join(folder, "bert_model.ckpt.data-00000-of-00001");
    const size = readFileSync(shard).length;
    await fc.assert(
      fc.asyncProperty(fc.nat(size - 1), async (at) => {
        flip(shard, at);
        await expect(readTf1Checkpoint(folder)).rejects.toThrow(/variable \S+ is damaged: its CRC is wrong/);
        flip(shard, at);
      }),
      { numRuns: 10 },
    );
  });
});
