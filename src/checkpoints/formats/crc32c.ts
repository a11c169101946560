// CRC-32C (Castagnoli) by slicing-by-8, and TensorFlow's masking of it. node:zlib has only the other polynomial.

const POLYNOMIAL = 0x82f63b78;

/** tables[k * 256 + b]: the CRC of byte b followed by k zero bytes. */
let tables: Int32Array | undefined;

function buildTables(): Int32Array {
  const built = new Int32Array(8 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    built[byte] = crc;
  }
  for (let i = 256; i < built.length; i++) {
    const previous = built[i - 256] as number;
    built[i] = (previous >>> 8) ^ (built[previous & 0xff] as number);
  }
  return built;
}

/** Unsigned CRC-32C of the bytes. */
export function crc32c(bytes: Uint8Array): number {
  tables ??= buildTables();
  const t = tables;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const whole = bytes.length - (bytes.length % 8);
  let crc = -1;
  for (let at = 0; at < whole; at += 8) {
    const low = view.getInt32(at, true) ^ crc;
    const high = view.getInt32(at + 4, true);
    crc =
      (t[1792 + (low & 0xff)] as number) ^
      (t[1536 + ((low >>> 8) & 0xff)] as number) ^
      (t[1280 + ((low >>> 16) & 0xff)] as number) ^
      (t[1024 + (low >>> 24)] as number) ^
      (t[768 + (high & 0xff)] as number) ^
      (t[512 + ((high >>> 8) & 0xff)] as number) ^
      (t[256 + ((high >>> 16) & 0xff)] as number) ^
      (t[high >>> 24] as number);
  }
  for (let at = whole; at < bytes.length; at++) {
    crc = (crc >>> 8) ^ (t[(crc ^ (bytes[at] as number)) & 0xff] as number);
  }
  return ~crc >>> 0;
}

/** TensorFlow stores rotated CRCs, so that the CRC of bytes that hold CRCs stays good (lib/hash/crc32c.h). */
export function maskedCrc32c(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
