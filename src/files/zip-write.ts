// A zip of a few small files, written whole. Equal contents give equal bytes: entries have one fixed time.

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
