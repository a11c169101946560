// TensorFlow's table files (tensorflow/core/lib/io/format.cc, block.cc; LevelDB's format): sorted key-value pairs in
// blocks, found through an index block, which a footer points to. Checkpoints are written uncompressed;
// a compressed block is an error, because no writer of checkpoints makes one.

import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { maskedCrc32c } from "./crc32c";

const FOOTER_BYTES = 48;
const TRAILER_BYTES = 5; // compression type, masked CRC-32C of block and type
const MAGIC = 0xdb4775248b80fb57n;

/** All pairs of a table in order. Throws Error with the cause where the table is damaged; the caller names the file. */
export function readTable(file: Uint8Array): [key: string, value: Uint8Array][] {
  if (file.length < FOOTER_BYTES) throw new Error(`it has ${file.length} bytes, too few for a footer`);
  const footer = file.subarray(file.length - FOOTER_BYTES);
  const magic = new DataView(footer.buffer, footer.byteOffset).getBigUint64(FOOTER_BYTES - 8, true);
  if (magic !== MAGIC) throw new Error("it does not end with a table's magic number: it is cut off or no checkpoint");
  const handles = new Cursor(footer);
  readHandle(handles); // the metaindex, which checkpoints leave empty
  const index = readBlock(file, readHandle(handles));
  return index.flatMap(([, value]) => readBlock(file, readHandle(new Cursor(value))));
}

/** A table of pairs in the order of their keys' bytes, all in one block. */
export function tableFile(pairs: readonly (readonly [key: string, value: Uint8Array])[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let position = 0;
  const addBlock = (entries: typeof pairs): Uint8Array => {
    const block = withTrailer(blockOf(entries));
    const handle = new BinaryWriter()
      .int64(position)
      .int64(block.length - TRAILER_BYTES)
      .finish();
    parts.push(block);
    position += block.length;
    return handle;
  };
  const entries = addBlock(pairs);
  const metaindex = addBlock([]);
  const index = addBlock([[pairs.at(-1)?.[0] ?? "", entries]]);
  const footer = new Uint8Array(FOOTER_BYTES);
  footer.set(metaindex);
  footer.set(index, metaindex.length);
  view(footer).setBigUint64(FOOTER_BYTES - 8, MAGIC, true);
  return Buffer.concat([...parts, footer]);
}

/** Whole keys: nothing is shared with the key before. One restart, at the first entry. */
function blockOf(entries: readonly (readonly [string, Uint8Array])[]): Uint8Array {
  const writer = new BinaryWriter();
  for (const [key, value] of entries) {
    const bytes = new TextEncoder().encode(key);
    writer.uint32(0).uint32(bytes.length).uint32(value.length).raw(bytes).raw(value);
  }
  return writer.raw(Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0)).finish();
}

/** The block, its compression (none) and the CRC of both. */
function withTrailer(block: Uint8Array): Uint8Array {
  const whole = new Uint8Array(block.length + TRAILER_BYTES);
  whole.set(block);
  view(whole).setUint32(block.length + 1, maskedCrc32c(whole.subarray(0, block.length + 1)), true);
  return whole;
}

interface BlockHandle {
  readonly offset: number;
  readonly size: number;
}

function readHandle(cursor: Cursor): BlockHandle {
  return { offset: cursor.varint(), size: cursor.varint() };
}

/** Entries of a block: keys share a prefix with the key before (block.cc). */
function readBlock(file: Uint8Array, { offset, size }: BlockHandle): [string, Uint8Array][] {
  const end = offset + size;
  if (end + TRAILER_BYTES > file.length) throw new Error(`a block at byte ${offset} reaches over its end`);
  const type = file[end];
  if (type !== 0) throw new Error(`the block at byte ${offset} is compressed (type ${type}), which is not supported`);
  const crc = view(file).getUint32(end + 1, true);
  if (crc !== maskedCrc32c(file.subarray(offset, end + 1)))
    throw new Error(`the block at byte ${offset} has a wrong CRC`);

  const block = file.subarray(offset, end);
  if (size < 4) throw new Error(`the block at byte ${offset} has ${size} bytes`);
  const restarts = view(block).getUint32(size - 4, true);
  const entriesEnd = size - 4 - 4 * restarts;
  if (entriesEnd < 0) throw new Error(`the block at byte ${offset} has ${restarts} restarts in ${size} bytes`);
  const cursor = new Cursor(block.subarray(0, entriesEnd));
  const entries: [string, Uint8Array][] = [];
  let key = new Uint8Array();
  while (!cursor.atEnd()) {
    const shared = cursor.varint();
    const unshared = cursor.varint();
    const valueBytes = cursor.varint();
    if (shared > key.length)
      throw new Error(`a key of the block at byte ${offset} shares ${shared} of ${key.length} bytes`);
    key = Uint8Array.from([...key.subarray(0, shared), ...cursor.take(unshared)]);
    entries.push([new TextDecoder().decode(key), cursor.take(valueBytes)]);
  }
  return entries;
}

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Reads forward through bytes; reading over their end is an error. */
class Cursor {
  private at = 0;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  atEnd(): boolean {
    return this.at === this.bytes.length;
  }

  /** A base-128 varint; numbers beyond 2^53 are an error. */
  varint(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.bytes[this.at++];
      if (byte === undefined) throw new Error("it ends within a number");
      value += (byte & 0x7f) * scale;
      if (value > Number.MAX_SAFE_INTEGER) throw new Error("it holds a number beyond 2^53");
      if (byte < 128) return value;
    }
  }

  take(count: number): Uint8Array {
    const end = this.at + count;
    if (end > this.bytes.length) throw new Error(`it ends within ${count} bytes`);
    const taken = this.bytes.subarray(this.at, end);
    this.at = end;
    return taken;
  }
}
