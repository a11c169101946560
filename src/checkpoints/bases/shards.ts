// The index of weights that lie in several files (model.safetensors.index.json, pytorch_model.bin.index.json): which file
// holds which tensor. Files are named relative to the index, and only those beside it are opened.

import { existsSync } from "node:fs";
import path from "node:path";
import { modelError } from "../../errors/errors";
import { printable, shown } from "../../errors/printable";
import { readJson } from "./json";

/** All of them lie open at once, and the largest models have fewer. */
const MOST_SHARDS = 500;

/**
 * The tensors listed for each file, by the file's path. Throws modelError (4) naming the index and what is wrong with it,
 * and a file that is missing.
 */
export async function readShardIndex(index: string): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const shards = new Map<string, Set<string>>();
  for (const [name, tensors] of shardsOf(await readJson(index), index)) {
    shards.set(path.join(path.dirname(index), name), tensors);
  }
  const missing = [...shards.keys()].filter((file) => !existsSync(file));
  if (missing.length > 0) {
    const names = missing.slice(0, 3).map((file) => printable(path.basename(file)));
    throw modelError(
      `${index} names ${missing.length} of ${shards.size} files that are not there: ${names.join(", ")}${missing.length > 3 ? ", ..." : ""}. Fetch them too`,
    );
  }
  return shards;
}

/** The tensors listed for each file, by its name. */
export function shardsOf(json: unknown, index: string): ReadonlyMap<string, Set<string>> {
  const fail = (cause: string) => modelError(`${index} is no index of weights: ${cause}. Fetch it again`);
  const map = Object(json).weight_map as unknown;
  if (typeof map !== "object" || map === null || Array.isArray(map)) throw fail("it has no weight_map");
  const shards = new Map<string, Set<string>>();
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== "string" || !isBeside(file)) {
      throw fail(`it gives ${shown(file)} as the file of ${printable(tensor)}, where only a file beside it is read`);
    }
    const listed = shards.get(file) ?? new Set();
    shards.set(file, listed.add(tensor));
  }
  if (shards.size === 0) throw fail("its weight_map is empty");
  if (shards.size > MOST_SHARDS) throw fail(`it names ${shards.size} files`);
  return shards;
}

/** A plain name of a weight file: no folder, no drive, no parent. */
const isBeside = (file: string) => /^[\w-][\w.-]*\.(safetensors|bin)$/.test(file) && !file.includes("..");
