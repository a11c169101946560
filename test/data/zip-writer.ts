// Zips as GLUE's host serves them, for tests: one folder with its files.

import { createHash } from "node:crypto";
import { buffer } from "node:stream/consumers";
import { ZipFile } from "yazl";
import type { SourceFile } from "../../src/data/glue/sources";

export async function zipOf(entries: Readonly<Record<string, string | Buffer>>, compress = true): Promise<Buffer> {
  const zip = new ZipFile();
  for (const [name, content] of Object.entries(entries)) {
    if (name.endsWith("/")) zip.addEmptyDirectory(name);
    else zip.addBuffer(Buffer.from(content), name, { compress });
  }
  zip.end();
  return buffer(zip.outputStream as unknown as NodeJS.ReadableStream);
}

export const sha256 = (content: Buffer) => createHash("sha256").update(content).digest("hex");

export const sourceFile = (path: string, content: Buffer): SourceFile => ({
  path,
  bytes: content.length,
  sha256: sha256(content),
});
