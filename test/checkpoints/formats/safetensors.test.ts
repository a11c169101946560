import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  readHashedSafetensors,
  readSafetensors,
  safetensorsChunks,
  writeSafetensors,
} from "../../../src/checkpoints/formats/safetensors";
import { readSafetensorsHeader } from "../../../src/checkpoints/formats/safetensors-header";
import { ExitCode } from "../../../src/errors/errors";
import { sha256Hex } from "../../../src/files/hash";
import { float32, type HostTensors, int32 } from "../../../src/model/tensors";
import { temporaryFolder } from "../../files/temporary-folder";
import { describeEachTinyBert } from "../../reference";

let file: string;
beforeEach(() => {
  file = path.join(temporaryFolder(), "model.safetensors");
});

/** A file of any header and data, right or wrong. */
function writeRaw(header: unknown, data: Uint8Array = Buffer.alloc(0)): void {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(file, Buffer.concat([length, json, data]));
}

const bytesOf = (values: { buffer: ArrayBufferLike }) => Buffer.from(values.buffer as ArrayBuffer);

const bits = ({ data }: { data: Float32Array | Int32Array }) =>
  Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("hex");

describe("round trip", () => {
  test("gives back names, shapes, bits and metadata, and keeps format: pt", async () => {
    const tensors: HostTensors = {
      "b.weight": float32([2, 3], Float32Array.of(1, -0, Number.NaN, Number.POSITIVE_INFINITY, 1e-45, 3.4e38)),
      "a.ids": int32([2], Int32Array.of(-(2 ** 31), 2 ** 31 - 1)),
      scalar: float32([], Float32Array.of(7)),
      empty: float32([0, 4], new Float32Array(0)),
    };
    await writeSafetensors(file, tensors, { task: "rte", step: "12" });
    const read = await readSafetensors(file);
    expect(read.metadata).toEqual({ format: "pt", task: "rte", step: "12" });
    expect(Object.keys(read.tensors).sort()).toEqual(Object.keys(tensors).sort());
    for (const [name, tensor] of Object.entries(tensors)) {
      expect(read.tensors[name]).toMatchObject({ dtype: tensor.dtype, shape: tensor.shape });
      expect(bits(read.tensors[name] as typeof tensor)).toBe(bits(tensor));
    }
    expect(readdirSync(path.dirname(file))).toEqual(["model.safetensors"]);
  });

  test("of any tensors: the same bytes in any order of insertion, data aligned to 8", async () => {
    const tensorOf = fc.float32Array({ maxLength: 5 }).map((data) => float32([data.length], data));
    const anyTensors = fc.dictionary(
      fc.string({ minLength: 1, unit: "binary" }).filter((name) => name !== "__metadata__"),
      tensorOf,
      { maxKeys: 6 },
    );
    await fc.assert(
      fc.asyncProperty(anyTensors, async (tensors) => {
        const content = Buffer.concat([...safetensorsChunks(tensors)]);
        const reversed = Object.fromEntries(Object.entries(tensors).reverse());
        expect(Buffer.concat([...safetensorsChunks(reversed)]).equals(content)).toBe(true);
        expect((8 + Number(content.readBigUInt64LE(0))) % 8).toBe(0);
        writeFileSync(file, content);
        const read = await readSafetensors(file);
        expect(Object.keys(read.tensors).sort()).toEqual(Object.keys(tensors).sort());
        for (const [name, tensor] of Object.entries(tensors))
          expect(bits(read.tensors[name] as never)).toBe(bits(tensor));
        const hashed = await readHashedSafetensors(file);
        expect(hashed).toEqual({ tensors: read.tensors, sha256: sha256Hex(content) });
      }),
      { numRuns: 60 },
    );
  });

  test("writes the part of a buffer that a tensor covers", async () => {
    const whole = Float32Array.of(0, 1, 2, 3);
    await writeSafetensors(file, { a: float32([2], whole.subarray(1, 3)) });
    expect([...((await readSafetensors(file)).tensors["a"]?.data ?? [])]).toEqual([1, 2]);
  });
});

describe("dtypes", () => {
  test.each([
    [
      "F16",
      Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff, 0x8000, 0xfc00),
      [1, -2, 2 ** -24, 65504, -0, Number.NEGATIVE_INFINITY],
    ],
    ["BF16", Uint16Array.of(0x3f80, 0xc000, 0x0080, 0x7f80), [1, -2, 2 ** -126, Number.POSITIVE_INFINITY]],
    ["F64", Float64Array.of(0.1, -1e300, 2), [Math.fround(0.1), Number.NEGATIVE_INFINITY, 2]],
    ["F32", Float32Array.of(0.5, -3), [0.5, -3]],
    ["I32", Int32Array.of(-5, 6), [-5, 6]],
    ["I64", BigInt64Array.of(-(2n ** 31n), 2n ** 31n - 1n), [-(2 ** 31), 2 ** 31 - 1]],
  ])("reads %s", async (dtype, stored, expected) => {
    writeRaw({ t: { dtype, shape: [stored.length], data_offsets: [0, stored.byteLength] } }, bytesOf(stored));
    const { tensors } = await readSafetensors(file);
    expect(tensors["t"]?.dtype).toBe(dtype.startsWith("I") ? "int32" : "float32");
    expect([...(tensors["t"]?.data ?? [])]).toEqual(expected);
  });

  test("an I64 beyond int32 names file, tensor and value", async () => {
    writeRaw({ t: { dtype: "I64", shape: [1], data_offsets: [0, 8] } }, bytesOf(BigInt64Array.of(2n ** 31n)));
    await expect(readSafetensors(file)).rejects.toThrow(`${file}: tensor t holds 2147483648, which is outside int32`);
  });

  test("a dtype that is not supported matters only where its tensor is asked for", async () => {
    const header = {
      mask: { dtype: "BOOL", shape: [4], data_offsets: [0, 4] },
      t: { dtype: "F32", shape: [1], data_offsets: [4, 8] },
    };
    writeRaw(header, Buffer.concat([Buffer.alloc(4), bytesOf(Float32Array.of(9))]));
    const { tensors } = await readSafetensors(file, { select: (name) => name === "t" });
    expect(Object.keys(tensors)).toEqual(["t"]);
    expect(tensors["t"]?.data[0]).toBe(9);
    await expect(readSafetensors(file)).rejects.toThrow(`${file}: tensor mask has the dtype BOOL`);
  });
});

const f32 = (begin: number, end: number, shape = [(end - begin) / 4]) => ({
  dtype: "F32",
  shape,
  data_offsets: [begin, end],
});

describe("damage: one line that names file and cause (exit 4)", () => {
  const data = Buffer.alloc(16);
  test.each<[string, () => void, string]>([
    ["no bytes", () => writeFileSync(file, ""), "it has 0 bytes, too few for a header"],
    [
      "a header of 2^60 bytes",
      () => writeFileSync(file, bytesOf(BigUint64Array.of(2n ** 60n))),
      "its header would have",
    ],
    [
      "a header of 100,000,001 bytes",
      () => writeFileSync(file, bytesOf(BigUint64Array.of(100_000_001n))),
      "at most 100000000",
    ],
    [
      "a header beyond the end",
      () => writeFileSync(file, bytesOf(BigUint64Array.of(50n))),
      "its header has 50 bytes, the file only 8",
    ],
    ["a header that is no JSON", () => writeRaw("{"), "its header is no JSON"],
    [
      "a header that is no UTF-8",
      () => writeFileSync(file, Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 0xff])),
      "its header is no JSON",
    ],
    ["a header that is a list", () => writeRaw([]), "its header is no JSON object"],
    ["metadata that is no text", () => writeRaw({ __metadata__: { step: 1 } }), "its __metadata__ is no map of texts"],
    [
      "an unknown dtype",
      () => writeRaw({ t: { ...f32(0, 16), dtype: "F31" } }, data),
      'tensor t has the unknown dtype "F31"',
    ],
    [
      "a prototype's name as dtype",
      () => writeRaw({ t: { ...f32(0, 16), dtype: "toString" } }, data),
      "the unknown dtype",
    ],
    ["no dtype", () => writeRaw({ t: { shape: [4], data_offsets: [0, 16] } }, data), "tensor t has the unknown dtype"],
    ["null for a tensor", () => writeRaw({ t: null }, data), "tensor t has the unknown dtype"],
    ["a negative dimension", () => writeRaw({ t: f32(0, 16, [-2, -2]) }, data), "tensor t has the shape [-2,-2]"],
    ["a fraction as dimension", () => writeRaw({ t: f32(0, 16, [1.5]) }, data), "tensor t has the shape [1.5]"],
    [
      "a huge shape",
      () => writeRaw({ t: f32(0, 16, [2 ** 40, 2 ** 40]) }, data),
      "tensor t, F32 [1099511627776,1099511627776], needs",
    ],
    [
      "three offsets",
      () => writeRaw({ t: { ...f32(0, 16), data_offsets: [0, 8, 16] } }, data),
      "tensor t has the data_offsets",
    ],
    [
      "offsets that run backwards",
      () => writeRaw({ t: { ...f32(0, 16), data_offsets: [16, 0] } }, data),
      "data_offsets give -16",
    ],
    [
      "a shape of another size",
      () => writeRaw({ t: f32(0, 16, [3]) }, data),
      "tensor t, F32 [3], needs 12 bytes, its data_offsets give 16",
    ],
    [
      "an overlap",
      () => writeRaw({ a: f32(0, 8), b: f32(4, 16) }, data),
      "tensor b overlaps the one before it by 4 bytes",
    ],
    [
      "a tensor twice",
      () => writeRaw({ a: f32(0, 16), b: f32(0, 16) }, data),
      "overlaps the one before it by 16 bytes",
    ],
    ["a hole", () => writeRaw({ a: f32(0, 4), b: f32(8, 16) }, data), "there is a hole of 4 bytes before tensor b"],
    ["a hole at the start", () => writeRaw({ a: f32(8, 16) }, data), "there is a hole of 8 bytes before tensor a"],
    ["missing data", () => writeRaw({ a: f32(0, 16) }, data.subarray(0, 15)), "tensor a ends at byte"],
    ["surplus data", () => writeRaw({ a: f32(0, 12) }, data), "4 bytes follow the last tensor"],
  ])("%s", async (_, damage, cause) => {
    damage();
    const read = readSafetensors(file);
    await expect(read).rejects.toMatchObject({ name: "UserError", exitCode: ExitCode.model });
    await expect(read).rejects.toThrow(cause);
    await expect(read).rejects.toThrow(new RegExp(`^${file} is damaged: [^\n]+$`));
  });

  test("cut off at any byte", async () => {
    await writeSafetensors(file, { a: float32([2, 3], new Float32Array(6)), b: int32([1], Int32Array.of(1)) });
    const whole = readFileSync(file);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), async (length) => {
        writeFileSync(file, whole.subarray(0, length));
        await expect(readSafetensors(file)).rejects.toMatchObject({ exitCode: ExitCode.model });
      }),
    );
  });

  test("a file that does not exist", async () => {
    await expect(readSafetensors(file)).rejects.toThrow(`${file} does not exist`);
  });
});

describeEachTinyBert("a file that safetensors' own writer made", (folder) => {
  const tiny = path.join(folder, "model.safetensors");

  test("is read, and written again holds the same tensors", async () => {
    const { tensors, metadata } = await readSafetensors(tiny);
    expect(metadata).toEqual({ format: "pt" });
    await writeSafetensors(file, tensors);
    const [ours, theirs] = [await readSafetensorsHeader(file), await readSafetensorsHeader(tiny)];
    expect([...ours.tensors.keys()].sort()).toEqual([...theirs.tensors.keys()].sort());
    const again = (await readSafetensors(file)).tensors;
    for (const [name, tensor] of Object.entries(tensors)) {
      expect(again[name]?.shape).toEqual(tensor.shape);
      expect(bits(again[name] as never)).toBe(bits(tensor));
    }
  });
});
