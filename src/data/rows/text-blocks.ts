// Bytes of a text file -> blocks of whole lines, in memory that depends on the longest line alone. Lines end at \n, and
// one \r before it goes. Nothing else ends a line: texts hold U+2028, U+0085 and lone \r, at which node's readline cuts.
// UTF-8 with or without a byte order mark, UTF-16 with one.

import { isUtf8 } from "node:buffer";
import { dataError } from "../../errors/errors";
import { isPointer, packedAdvice, pointerAdvice } from "./strange";

/** Where bytes come from, file or stdin, and what errors call it. */
export interface ByteSource {
  readonly name: string;
  open(): AsyncIterable<Buffer>;
}

/** Whole lines, each ended by \n; the last line of the source may have no end. */
export interface TextBlock {
  readonly text: string;
  /** Of its first line, from 1. */
  readonly line: number;
}

/** Bytes of a line, or characters of a row: beyond that it is no text for a model, and soon no string for Node. */
export const LONGEST = 1 << 26;

const LINE_FEED = 0x0a;

type Encoding = "utf-8" | "utf-16le" | "utf-16be";

/** Throws dataError (3) for bytes that are no text, with their line and place, and for a line without an end. */
export async function* textBlocks({ name, open }: ByteSource): AsyncGenerator<TextBlock, void, undefined> {
  let line = 1;
  let encoding: Encoding | null = null;
  let held: Buffer[] = [];
  let size = 0;
  let offset = 0;
  const decode = (bytes: Buffer): TextBlock => {
    if (offset === 0 && isPointer(bytes.subarray(0, 64))) throw dataError(`${name}: ${pointerAdvice}`);
    const text = decoded(bytes, encoding ?? "utf-8", { name, line, offset });
    const block = { text: (offset === 0 ? text.replace(/^\uFEFF/, "") : text).replaceAll("\r\n", "\n"), line };
    line += countLines(text);
    offset += bytes.length;
    return block;
  };
  for await (const chunk of open()) {
    held.push(chunk);
    size += chunk.length;
    if (size > LONGEST) throw tooLong(name, line);
    if (size < 2 || !chunk.includes(LINE_FEED)) continue;
    const bytes = held.length === 1 ? chunk : Buffer.concat(held, size);
    encoding ??= encodingOf(bytes);
    const end = endOfLines(bytes, encoding);
    if (end > 0) yield decode(bytes.subarray(0, end));
    held = [bytes.subarray(end)];
    size = bytes.length - end;
  }
  if (size === 0) return;
  const rest = Buffer.concat(held, size);
  encoding ??= encodingOf(rest);
  const last = decode(rest);
  const text = last.text.replace(/\r$/, ""); // a file that was cut between \r and \n
  if (text !== "") yield { ...last, text };
}

/** The lines of a source, each without its end. */
export async function* linesOf(source: ByteSource): AsyncGenerator<string, void, undefined> {
  for await (const { text } of textBlocks(source)) yield* splitLines(text);
}

/** The lines of a block. */
export function splitLines(text: string): string[] {
  const lines = text.split("\n");
  if (text.endsWith("\n")) lines.pop();
  return lines;
}

export function countLines(text: string): number {
  let count = 0;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

function encodingOf(bytes: Buffer): Encoding {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le";
  return bytes[0] === 0xfe && bytes[1] === 0xff ? "utf-16be" : "utf-8";
}

/** Where the last whole line ends; 0 where there is none. */
function endOfLines(bytes: Buffer, encoding: Encoding): number {
  if (encoding === "utf-8") return bytes.lastIndexOf(LINE_FEED) + 1; // never part of a longer character
  const high = encoding === "utf-16le" ? 1 : 0;
  for (let at = bytes.length - (bytes.length % 2) - 2; at >= 0; at -= 2) {
    if (bytes[at + high] === 0 && bytes[at + 1 - high] === LINE_FEED) return at + 2;
  }
  return 0;
}

interface Place {
  readonly name: string;
  readonly line: number;
  readonly offset: number;
}

function decoded(bytes: Buffer, encoding: Encoding, place: Place): string {
  if (encoding === "utf-8") {
    if (!isUtf8(bytes)) throw notUtf8(bytes, place);
    return bytes.toString("utf8");
  }
  if (bytes.length % 2 === 1) throw notUtf16(bytes.toString("utf16le"), "ends in half a character", place);
  const text = (encoding === "utf-16be" ? Buffer.from(bytes).swap16() : bytes).toString("utf16le");
  const lone = text.search(/\p{Cs}/u);
  if (lone >= 0) throw notUtf16(text.slice(0, lone), "has half a surrogate pair", place);
  return text;
}

const hex = (byte: number | undefined) => `0x${(byte ?? 0).toString(16).padStart(2, "0")}`;

function notUtf8(bytes: Buffer, { name, line, offset }: Place): Error {
  const packed = offset === 0 ? packedAdvice(bytes) : null;
  if (packed !== null) return dataError(`${name}: ${packed}`);
  const at = firstInvalid(bytes);
  const lineStart = bytes.subarray(0, at).lastIndexOf(LINE_FEED) + 1;
  const where = line + countLines(bytes.subarray(0, lineStart).toString("latin1"));
  return dataError(
    `${name}: line ${where} is not UTF-8: byte ${at - lineStart + 1} of the line is ${hex(bytes[at])} ` +
      `(byte ${offset + at + 1} of the file); save the file as UTF-8`,
  );
}

const notUtf16 = (before: string, what: string, { name, line }: Place): Error =>
  dataError(`${name}: line ${line + countLines(before)} ${what}: it is no UTF-16; save the file as UTF-8`);

/** The first byte that belongs to no character: by lines, then by characters. */
function firstInvalid(bytes: Buffer): number {
  let at = 0;
  for (;;) {
    const end = bytes.indexOf(LINE_FEED, at);
    if (end < 0 || !isUtf8(bytes.subarray(at, end))) break;
    at = end + 1;
  }
  for (;;) {
    const length = [1, 2, 3, 4].find((bytesOf) => isUtf8(bytes.subarray(at, at + bytesOf)));
    if (length === undefined) return at;
    at += length;
  }
}

const tooLong = (name: string, line: number): Error =>
  dataError(`${name}: line ${line} is longer than ${LONGEST / 2 ** 20} MiB; is it a file of rows?`);
