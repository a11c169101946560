// SHA-256 of bytes, files and plain values. Values are hashed as canonical JSON: keys sorted by UTF-16 code units,
// no white space, numbers as JavaScript prints them (RFC 8785 without its rule for -0, which is refused here).

import { createHash } from "node:crypto";
import { open } from "node:fs/promises";

/** Hex digest of the parts one after the other; strings count as UTF-8. */
export function sha256Hex(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

/** Awaited before each step of long work, by who has other work that must not wait for it. */
export type Pace = () => Promise<void>;

export async function sha256File(path: string, pace?: Pace): Promise<string> {
  return digestFile(path, "sha256", "hex", pace);
}

/** Digest of a file by any algorithm that a server may announce. */
export async function digestFile(
  path: string,
  algorithm: "sha256" | "md5",
  encoding: "hex" | "base64",
  pace?: Pace,
): Promise<string> {
  const hash = createHash(algorithm);
  // One buffer for the whole file: a stream makes one a chunk, and a process that hashes often carries them until it collects them.
  const buffer = Buffer.allocUnsafe(CHUNK);
  const file = await open(path);
  try {
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, CHUNK);
      if (bytesRead === 0) return hash.digest(encoding);
      await pace?.();
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}

const CHUNK = 1 << 20;

/**
 * One text for one value. Properties that are undefined count as absent.
 * What JSON would blur is refused: NaN, infinities, -0, undefined in arrays, functions, symbols, bigints, class instances.
 */
export function canonicalJson(value: unknown): string {
  return encode(value, "value");
}

/** The first 8 hex digits of the SHA-256 of the canonical JSON: the id of a run. */
export function id8(value: unknown): string {
  return sha256Hex(canonicalJson(value)).slice(0, 8);
}

function encode(value: unknown, at: string): string {
  if (value === null || typeof value === "boolean" || typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") {
    if (!Number.isFinite(value) || Object.is(value, -0))
      throw new Error(`${at} is ${Object.is(value, -0) ? "-0" : value}: it has no canonical JSON`);
    return String(value);
  }
  if (Array.isArray(value)) return `[${value.map((item, i) => encode(item, `${at}[${i}]`)).join(",")}]`;
  if (typeof value !== "object" || !isPlain(value))
    throw new Error(`${at} is ${describe(value)}: it has no canonical JSON`);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${encode(member, `${at}.${key}`)}`);
  return `{${members.join(",")}}`;
}

/** Object literals, also those of another realm (Jest, vm): their prototype has no prototype of its own. */
function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

const describe = (value: unknown) =>
  typeof value === "object" && value !== null ? `a ${value.constructor?.name ?? "object"}` : String(typeof value);
