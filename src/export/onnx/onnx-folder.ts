// export onnx: the graph of all tasks, or of some without the others' layers, in a folder that needs nothing else: its
// weights are in the file as far as the format lets them, beside it beyond that.

import { existsSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import path from "node:path";
import { tokenizerConfigJson } from "../../checkpoints/bases/base-tokenizer";
import { makeFolder } from "../../files/folder";
import { BLOBS, blobsOf, readTensors } from "../../merge/folder/blobs";
import { forCallers } from "../../merge/folder/manifest";
import { checkModel } from "../check/model-check";
import type { ExportFormat } from "../format";
import { writeFiles } from "../target";
import { onnxModelFile } from "./onnx-model";

const MODEL = "model.onnx";

export const onnxFolder: ExportFormat = {
  name: "onnx",
  title: "an ONNX model",
  isExport: (folder) => existsSync(path.join(folder, MODEL)) && existsSync(path.join(folder, "tasks.json")),
  contents: ({ manifest }) => ({ outputs: manifest.tasks.map(({ name }) => name) }),
  async write(folder, { model, manifest, config, tokenizer }) {
    const { chunks, weights } = await onnxModelFile(model, manifest, config);
    await writeFiles(folder, {
      [MODEL]: chunks,
      "tasks.json": `${JSON.stringify(manifest.tasks.map(forCallers), null, 2)}\n`,
      "vocab.txt": `${tokenizer.tokens.join("\n")}\n`,
      "tokenizer_config.json": `${JSON.stringify(tokenizerConfigJson(tokenizer), null, 2)}\n`,
    });
    if (weights === "inside") return;
    await makeFolder(path.join(folder, BLOBS));
    const { shared, own } = blobsOf(manifest, manifest.tasks);
    for (const { file } of [...shared, ...own]) await copyFile(path.join(model, file), path.join(folder, file));
  },
  check(folder, out, { model, manifest, config, tokenizer }, tools) {
    const checked = {
      path: path.join(folder, MODEL),
      name: path.join(out, MODEL),
      runtime: "onnxruntime",
      advice: "Nothing was left there. Please report it",
      tasks: manifest.tasks,
      config,
      tokenizer,
      tensorsOf: (task: (typeof manifest.tasks)[number]) => readTensors(model, manifest, [task]),
    };
    return checkModel(checked, tools);
  },
};
