// Folders that people give for a model's and that hold something near to it: what lies there, and what to give instead.

import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import path from "node:path";
import { printable } from "../../errors/printable";

const configs = ["config.json", "bert_config.json"];

/** Weights in forms that are not read. */
const otherWeights = /\.(h5|msgpack|onnx|gguf|ot|pt|pth|ckpt|tflite|mlmodel)$/i;

/** A sentence about a folder without a model's config or weights, to stand behind another; "" where nothing is known. */
export async function otherContent(folder: string): Promise<string> {
  const names = await readdir(folder).catch(() => []);
  if (names.some((name) => /^adapter_(config\.json|model\.(safetensors|bin))$/.test(name))) {
    return ". It holds an adapter, which is no whole model: merge it into its base first (merge_and_unload in peft)";
  }
  const below = names.find((name) => configs.some((file) => existsSync(path.join(folder, name, file))));
  if (below !== undefined) return `. A model lies below it: give ${printable(path.join(folder, below))}`;
  const other = names.find((name) => otherWeights.test(name));
  if (other === undefined) return "";
  return `. ${printable(other)} is not read: save_pretrained of transformers writes model.safetensors`;
}
