// A merged folder's files as they are, past the code that reads them.

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

export const readJson = (file: string) => JSON.parse(readFileSync(file, "utf8"));

/** The manifest of the current version, as its file has it. */
export const storedManifest = (folder: string) =>
  readJson(path.join(folder, "manifests", `${readJson(path.join(folder, "flexbert.json")).current}.json`));

/** Makes a manifest the current version, under its own hash, whatever it says. */
export function storeManifest(folder: string, manifest: object): string {
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  const id = createHash("sha256").update(text).digest("hex").slice(0, 8);
  writeFileSync(path.join(folder, "manifests", `${id}.json`), text);
  const pointer = readJson(path.join(folder, "flexbert.json"));
  const log = [...pointer.log, { version: id, time: new Date().toISOString(), command: "by hand", note: null }];
  writeFileSync(path.join(folder, "flexbert.json"), JSON.stringify({ ...pointer, current: id, log }));
  return id;
}
