// Changes of weight files that leave them whole in what lies around the change: a safetensors header of another content with
// its right length, a zip whose directory says something else.

import fc from "fast-check";
import { type Damage, damage, damaged } from "./bytes";
import { type Edit, editedJson, edits } from "./documents";

/** A safetensors file whose header has the edits. */
export function editedSafetensors(good: Uint8Array, changes: readonly Edit[]): Buffer {
  const bytes = Buffer.from(good);
  const length = Number(bytes.readBigUInt64LE(0));
  const header = Buffer.from(editedJson(JSON.parse(bytes.subarray(8, 8 + length).toString()), changes));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  return Buffer.concat([prefix, header, bytes.subarray(8 + length)]);
}

/** A number of the records at a zip's end, or one that begins a record. */
export interface ZipEdit {
  /** Which record, from the end. */
  readonly record: number;
  readonly field: number;
  readonly value: number;
  /** Whether the directory is said to be in a 64-bit record, and what that says. */
  readonly wide: readonly (readonly [field: number, value: bigint])[] | null;
}

const large = fc.oneof(
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  fc.constantFrom(0n, 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n),
);

export const zipEdit: fc.Arbitrary<ZipEdit> = fc.record({
  record: fc.nat(12),
  field: fc.nat(11),
  value: fc.oneof(fc.nat(0xffffffff), fc.constantFrom(0, 1, 8, 9, 0xffff, 0xffffffff, 0x7fffffff)),
  wide: fc.option(fc.array(fc.tuple(fc.nat(6), large), { minLength: 0, maxLength: 3 })),
});

const RECORD = Buffer.from("PK");
/** Where the fields of a directory's entry lie that say how and where its content is (APPNOTE.TXT 4.3.12). */
const FIELDS = [4, 6, 8, 10, 16, 20, 24, 28, 30, 32, 38, 42];
const END_BYTES = 22;

export function editedZip(good: Uint8Array, { record, field, value, wide }: ZipEdit): Buffer {
  const bytes = Buffer.from(good);
  if (wide) return withWideDirectory(bytes, wide);
  let at = bytes.length;
  for (let i = 0; i <= record && at > 0; i++) at = bytes.lastIndexOf(RECORD, at - 1);
  const where = Math.max(0, at) + (FIELDS[field] as number);
  if (where + 4 <= bytes.length) bytes.writeUInt32LE(value >>> 0, where);
  return bytes;
}

/** The end record says that a 64-bit one has the numbers, and that one has the directory's own but for some. */
function withWideDirectory(bytes: Buffer, changes: readonly (readonly [number, bigint])[]): Buffer {
  const end = bytes.subarray(bytes.length - END_BYTES);
  const at = bytes.length - END_BYTES;
  const record = Buffer.alloc(56);
  record.write("PK\x06\x06", "latin1");
  record.writeBigUInt64LE(44n, 4);
  const fields = [24, 32, 40, 48, 4, 16, 20];
  const own = [
    BigInt(end.readUInt16LE(8)),
    BigInt(end.readUInt16LE(10)),
    BigInt(end.readUInt32LE(12)),
    BigInt(end.readUInt32LE(16)),
  ];
  for (const [i, number] of own.entries()) record.writeBigUInt64LE(number, fields[i] as number);
  const locator = Buffer.alloc(20);
  locator.write("PK\x06\x07", "latin1");
  locator.writeBigUInt64LE(BigInt(at), 8);
  locator.writeUInt32LE(1, 16);
  for (const [field, value] of changes) {
    if (field === 4) locator.writeBigUInt64LE(value, 8);
    else record.writeBigUInt64LE(value, fields[field] as number);
  }
  const last = Buffer.from(end);
  last.writeUInt16LE(0xffff, 8);
  last.writeUInt16LE(0xffff, 10);
  last.writeUInt32LE(0xffffffff, 12);
  last.writeUInt32LE(0xffffffff, 16);
  return Buffer.concat([bytes.subarray(0, at), record, locator, last]);
}

/** What is done to a file of any kind. */
export interface Change {
  readonly edits: readonly Edit[];
  readonly damage: Damage;
  readonly zip: ZipEdit;
  /** Whether the file is changed by its format, by its bytes, or both. */
  readonly by: "format" | "bytes" | "both";
}

export const change: fc.Arbitrary<Change> = fc.record({
  edits,
  damage,
  zip: zipEdit,
  by: fc.constantFrom("format", "format", "format", "bytes", "both"),
});

/** The bytes of a file changed as `by` says, where its format has an own way. */
export function changed(
  good: Uint8Array,
  { by, damage }: Change,
  format: ((good: Uint8Array) => Uint8Array) | null,
): Uint8Array {
  const shaped = format && by !== "bytes" ? format(good) : good;
  return format && by === "format" ? shaped : damaged(shaped, damage);
}
