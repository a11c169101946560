// A merged folder's files as they are, past the code that reads them.

import { readFileSync } from "node:fs";
import path from "node:path";

export const readJson = (file: string) => JSON.parse(readFileSync(file, "utf8"));

/** The manifest of the current version, as its file has it. */
export const storedManifest = (folder: string) =>
  readJson(path.join(folder, "manifests", `${readJson(path.join(folder, "flexbert.json")).current}.json`));
