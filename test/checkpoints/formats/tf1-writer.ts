// Writes TensorFlow checkpoints for tests, shards and faults included: an independent second half of the format.
import { writeFileSync } from "node:fs";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { maskedCrc32c } from "../../../src/checkpoints/formats/crc32c";

export interface Variable {
  readonly dtype: number;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
  readonly shard?: number;
  readonly sliced?: boolean;
}

export interface Faults {
  readonly compression?: number;
  readonly bigEndian?: boolean;
  readonly magic?: bigint;
}

export const floatVariable = (shape: readonly number[], values: readonly number[]): Variable => ({
  dtype: 1,
  shape,
  bytes: new Uint8Array(Float32Array.from(values).buffer),
});

/** Writes PREFIX.index and its shards. Keys share prefixes, and blocks hold at most three entries. */
export function writeTf1Checkpoint(prefix: string, variables: Readonly<Record<string, Variable>>, faults: Faults = {}) {
  const names = Object.keys(variables).sort();
  const shards = 1 + Math.max(0, ...names.map((name) => variables[name]?.shard ?? 0));
  const contents: Buffer[] = Array.from({ length: shards }, () => Buffer.alloc(0));
  const header = new BinaryWriter().tag(1, WireType.Varint).int32(shards);
  if (faults.bigEndian) header.tag(2, WireType.Varint).int32(1);
  const pairs: [string, Uint8Array][] = [["", header.finish()]];
  for (const name of names) {
    const variable = variables[name] as Variable;
    const shard = variable.shard ?? 0;
    pairs.push([name, entryOf(variable, (contents[shard] as Buffer).length)]);
    contents[shard] = Buffer.concat([contents[shard] as Buffer, variable.bytes]);
  }
  const digits = (n: number) => String(n).padStart(5, "0");
  for (const [shard, bytes] of contents.entries()) {
    writeFileSync(`${prefix}.data-${digits(shard)}-of-${digits(shards)}`, bytes);
  }
  writeFileSync(`${prefix}.index`, tableOf(pairs, faults));
}

function entryOf({ dtype, shape, bytes, shard = 0, sliced }: Variable, offset: number): Uint8Array {
  const shapeProto = new BinaryWriter();
  for (const size of shape)
    shapeProto.tag(2, WireType.LengthDelimited).fork().tag(1, WireType.Varint).int64(size).join();
  const entry = new BinaryWriter().tag(1, WireType.Varint).int32(dtype);
  entry.tag(2, WireType.LengthDelimited).bytes(shapeProto.finish());
  if (shard > 0) entry.tag(3, WireType.Varint).int32(shard);
  if (offset > 0) entry.tag(4, WireType.Varint).int64(offset);
  entry.tag(5, WireType.Varint).int64(bytes.length).tag(6, WireType.Bit32).fixed32(maskedCrc32c(bytes));
  if (sliced) entry.tag(7, WireType.LengthDelimited).bytes(new Uint8Array());
  return entry.finish();
}

function tableOf(
  pairs: readonly [string, Uint8Array][],
  { compression = 0, magic = 0xdb4775248b80fb57n }: Faults,
): Buffer {
  const parts: Buffer[] = [];
  let position = 0;
  const addBlock = (entries: readonly [string, Uint8Array][], type: number): Uint8Array => {
    const block = Buffer.concat([blockOf(entries), Buffer.of(type)]);
    const handle = new BinaryWriter()
      .int64(position)
      .int64(block.length - 1)
      .finish();
    const crc = Buffer.alloc(4);
    crc.writeUInt32LE(maskedCrc32c(block));
    parts.push(block, crc);
    position += block.length + 4;
    return handle;
  };
  const index: [string, Uint8Array][] = [];
  for (let at = 0; at < pairs.length; at += 3) {
    const entries = pairs.slice(at, at + 3);
    index.push([entries.at(-1)?.[0] ?? "", addBlock(entries, compression)]);
  }
  const metaindex = addBlock([], 0);
  const handles = Buffer.concat([metaindex, addBlock(index, 0)]);
  const footer = Buffer.alloc(48);
  footer.set(handles);
  footer.writeBigUInt64LE(magic, 40);
  return Buffer.concat([...parts, footer]);
}

function blockOf(entries: readonly [string, Uint8Array][]): Buffer {
  const writer = new BinaryWriter();
  let before = "";
  for (const [key, value] of entries) {
    let shared = 0;
    while (shared < Math.min(key.length, before.length) && key[shared] === before[shared]) shared++;
    const rest = Buffer.from(key.slice(shared));
    writer.uint32(shared).uint32(rest.length).uint32(value.length).raw(rest).raw(value);
    before = key;
  }
  return Buffer.concat([writer.finish(), Buffer.of(0, 0, 0, 0, 1, 0, 0, 0)]); // one restart, at 0
}
