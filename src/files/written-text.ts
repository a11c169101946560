// A text file that a user wrote by hand (YAML, a table of scores): UTF-8, or UTF-16 with a byte order mark, as editors and
// shells on Windows write it.

import { isUtf8 } from "node:buffer";

/** The text without its mark; null for bytes that are no text. */
export function decodeText(bytes: Buffer): string | null {
  const wide = bytes.length >= 2 && bytes.length % 2 === 0 ? bytes.readUInt16BE() : 0;
  if (wide === 0xfffe) return bytes.subarray(2).toString("utf16le");
  if (wide === 0xfeff) return Buffer.from(bytes.subarray(2)).swap16().toString("utf16le");
  if (!isUtf8(bytes) || bytes.includes(0)) return null;
  return bytes.toString("utf8").replace(/^\ufeff/, "");
}
