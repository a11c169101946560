// export onnx: the graph of all tasks, or of some without the others' layers, in a folder that needs nothing else: its
// weights are in the file as far as the format lets them, beside it beyond that.

import { existsSync } from "node:fs";
import path from "node:path";
import { tokenizerConfigJson } from "../../checkpoints/bases/base-tokenizer";
import { blobsOf } from "../../merge/folder/blobs";
import { forCallers } from "../../merge/folder/manifest";
import { checkModel } from "../check/model-check";
import type { ExportFormat, ExportSource } from "../format";
import { writeFiles } from "../target";
import { onnxModelFile, weightsInBlobs } from "./onnx-model";

const MODEL = "model.onnx";

/** Readers refuse protobuf messages of 2 GiB; the graph itself takes some of them. */
const MOST_INSIDE = 2 ** 31 - 2 ** 26;

export const onnxFolder: ExportFormat = {
  name: "onnx",
  title: "an ONNX model",
  isExport: (folder) => existsSync(path.join(folder, MODEL)) && existsSync(path.join(folder, "tasks.json")),
  contents: ({ manifest }) => ({ outputs: manifest.tasks.map(({ name }) => name) }),
  async write(folder, source) {
    const { manifest, config, tokenizer } = source;
    const weights =
      source.bytes <= MOST_INSIDE ? await source.readTensors(manifest.tasks) : await besideIt(folder, source);
    await writeFiles(folder, {
      [MODEL]: await onnxModelFile(manifest, config, weights),
      "tasks.json": `${JSON.stringify(manifest.tasks.map(forCallers), null, 2)}\n`,
      "vocab.txt": `${tokenizer.tokens.join("\n")}\n`,
      "tokenizer_config.json": `${JSON.stringify(tokenizerConfigJson(tokenizer), null, 2)}\n`,
    });
  },
  check(folder, out, { manifest, config, tokenizer, readTensors }, tools) {
    const checked = {
      path: path.join(folder, MODEL),
      name: path.join(out, MODEL),
      runtime: "onnxruntime",
      advice: "Nothing was left there. Please report it",
      tasks: manifest.tasks,
      config,
      tokenizer,
      tensorsOf: (task: (typeof manifest.tasks)[number]) => readTensors([task]),
    };
    return checkModel(checked, tools);
  },
};

/** The blobs beside the graph, and where in them the weights lie. */
async function besideIt(folder: string, { manifest, readBytes }: ExportSource) {
  const { shared, own } = blobsOf(manifest, manifest.tasks);
  for (const blob of [...shared, ...own]) await writeFiles(folder, { [blob.file]: await readBytes(blob) });
  return weightsInBlobs(folder, manifest);
}
