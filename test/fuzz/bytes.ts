// Changes of a file as bytes: cut off, flipped, spliced, in another encoding. They know nothing of the format.

import fc from "fast-check";
import { hostileText } from "./hostile";

export interface Damage {
  readonly kind: string;
  readonly at: number;
  readonly length: number;
  readonly text: string;
  readonly flips: readonly (readonly [at: number, value: number])[];
}

const kinds = [
  ...[
    "cut",
    "flip",
    "flip",
    "flip",
    "insert",
    "insert",
    "insert",
    "remove",
    "repeat",
    "zeros",
    "ones",
    "empty",
    "mark",
  ],
  ...["wide", "latin", "crlf", "twice", "end", "word"],
];

export const damage = fc.record({
  kind: fc.constantFrom(...kinds),
  at: fc.nat(),
  length: fc.oneof(fc.nat(16), fc.nat(4_096)),
  text: hostileText,
  flips: fc.array(fc.tuple(fc.nat(), fc.oneof(fc.nat(255), fc.constantFrom(0, 0x7f, 0x80, 0xff))), {
    minLength: 1,
    maxLength: 6,
  }),
});

/** The bytes of a file with the damage. */
export function damaged(good: Uint8Array, { kind, at, length, text, flips }: Damage): Buffer {
  const bytes = Buffer.from(good);
  const place = bytes.length === 0 ? 0 : at % bytes.length;
  const [head, tail] = [bytes.subarray(0, place), bytes.subarray(place)];
  const inserted = Buffer.from(text.slice(0, 4_096));
  const change: Record<string, () => Buffer> = {
    cut: () => head,
    flip: () => {
      for (const [where, value] of flips) if (bytes.length > 0) bytes[where % bytes.length] = value;
      return bytes;
    },
    insert: () => Buffer.concat([head, inserted, tail]),
    remove: () => Buffer.concat([head, tail.subarray(length)]),
    repeat: () => Buffer.concat([head, tail.subarray(0, length), tail]),
    zeros: () => Buffer.concat([head, Buffer.alloc(length), tail.subarray(length)]),
    ones: () => Buffer.concat([head, Buffer.alloc(length, 0xff), tail.subarray(length)]),
    word: () => {
      // A number of a binary format, at a place where numbers mostly stand.
      const where = Math.min(place - (place % 4), Math.max(0, bytes.length - 8));
      if (bytes.length >= 8) bytes.writeBigUInt64LE(BigInt(flips[0]?.[1] ?? 0) << BigInt(length % 56), where);
      return bytes;
    },
    empty: () => Buffer.alloc(0),
    mark: () => Buffer.concat([Buffer.from("\ufeff"), bytes]),
    wide: () => Buffer.from(`\ufeff${bytes.toString()}`, "utf16le"),
    latin: () => Buffer.concat([head, Buffer.of(0xe9, 0xff, 0xc3), tail]),
    crlf: () => Buffer.from(bytes.toString("latin1").replaceAll("\n", at % 2 ? "\r" : "\r\n"), "latin1"),
    twice: () => Buffer.concat([bytes, bytes]),
    end: () => Buffer.concat([bytes, inserted]),
  };
  return (change[kind] as () => Buffer)();
}
