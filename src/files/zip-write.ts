// Zips, written whole or not at all. Equal contents give equal bytes: entries have one fixed time.

import type { Readable } from "node:stream";
import { ZipFile } from "yazl";
import { writeFileAtomic } from "./atomic";

/** The first time that the zip format knows, whatever the time zone: yazl writes local time, without a zone. */
const FIXED_TIME = new Date(1980, 0, 1);

/** Throws failure (1) where the disk is full or access is denied. */
export async function writeZip(target: string, files: Readonly<Record<string, string>>): Promise<void> {
  const zip = new ZipFile();
  for (const [name, content] of Object.entries(files)) {
    zip.addBuffer(Buffer.from(content), name, { mtime: FIXED_TIME, mode: 0o100644, forceDosTimestamp: true });
  }
  zip.end();
  const chunks: Uint8Array[] = [];
  for await (const chunk of zip.outputStream) chunks.push(chunk as Uint8Array);
  await writeFileAtomic(target, chunks);
}

export interface ZippedFile {
  readonly name: string;
  readonly from: { readonly file: string } | { readonly content: Uint8Array };
}

/** A zip of files of any size, one after the other. Throws as {@link writeZip}. */
export async function writeZipOf(target: string, files: readonly ZippedFile[]): Promise<void> {
  const zip = new ZipFile();
  const attributes = { mtime: FIXED_TIME, mode: 0o100644, forceDosTimestamp: true };
  for (const { name, from } of files) {
    if ("file" in from) zip.addFile(from.file, name, attributes);
    else zip.addBuffer(Buffer.from(from.content), name, attributes);
  }
  // A file that cannot be read is told on the zip, and its stream would never end.
  const output = zip.outputStream as Readable;
  zip.on("error", (error: Error) => output.destroy(error));
  zip.end();
  await writeFileAtomic(target, output);
}
