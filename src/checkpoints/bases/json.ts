// The small text files of a model's folder.

import { existsSync } from "node:fs";
import { modelError, oneLine } from "../../errors/errors";
import { parseJson } from "../../files/json";
import { readWhole } from "../../files/read-whole";
import { storageFailure } from "../../files/storage-failure";
import { requireContent } from "../formats/placeholder";

/** A parsed JSON file, or null where there is none. Throws modelError (4) naming the file for anything but JSON. */
export async function readJson(file: string): Promise<unknown> {
  const text = await readText(file);
  if (text === null) return null;
  try {
    return parseJson(text);
  } catch (error) {
    throw modelError(`${file} is damaged: it is no JSON (${oneLine(error)}). Fetch it again`, error);
  }
}

/** A file's text without a byte order mark, or null where there is none. Throws modelError (4) for what stands in its place. */
export async function readText(file: string): Promise<string | null> {
  if (!existsSync(file)) return null;
  const text = (
    await readWhole(file).catch((error) => {
      throw storageFailure(error, file, "cannot read");
    })
  ).toString("utf8");
  requireContent(text, file);
  return text.replace(/^\ufeff/, "");
}
