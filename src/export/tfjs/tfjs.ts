// export tfjs: a GraphModel for browsers and Node, which `tf.loadGraphModel` loads. The shared layers are in it once, and
// `execute` runs what the outputs that are asked for need.

import { existsSync } from "node:fs";
import path from "node:path";
import { tokenizerConfigJson } from "../../checkpoints/bases/base-tokenizer";
import { toGraphModel } from "../../compile/tensorflow/graph-model";
import { modelError } from "../../errors/errors";
import { licenceForCallers } from "../../merge/folder/licence";
import { forCallers, tokenInputNames } from "../../merge/folder/manifest";
import { withHeads } from "../../tasks/task";
import { checkModel } from "../check/model-check";
import type { ExportFormat, ExportSource } from "../format";
import { writeFiles } from "../target";
import { traceMerged } from "../traced";

const MODEL = "model.json";

export const tfjs: ExportFormat = {
  name: "tfjs",
  title: "a tfjs model",
  precisions: [],
  isExport: (folder) => existsSync(path.join(folder, MODEL)),
  contents({ manifest }) {
    const clash = manifest.tasks.find(({ name }) => (tokenInputNames as readonly string[]).includes(name));
    if (clash) {
      throw modelError(
        `a task named ${clash.name} cannot be an output of a tfjs model, whose input has that name. Name the task otherwise`,
      );
    }
    return { outputs: manifest.tasks.map(({ name }) => name) };
  },
  async write(folder, source) {
    const { tokenizer, manifest } = source;
    const { json, shards } = await graphModel(source);
    await writeFiles(folder, {
      [MODEL]: json,
      ...shards,
      "tasks.json": `${JSON.stringify(manifest.tasks.map(forCallers), null, 2)}\n`,
      "vocab.txt": `${tokenizer.tokens.join("\n")}\n`,
      "tokenizer_config.json": `${JSON.stringify(tokenizerConfigJson(tokenizer), null, 2)}\n`,
    });
  },
  check(folder, out, { manifest, config, tokenizer, readTensors }, tools) {
    const checked = {
      path: path.join(folder, MODEL),
      name: path.join(out, MODEL),
      runtime: "tfjs",
      advice: "Nothing was left there. Please report it",
      tasks: manifest.tasks,
      config,
      tokenizer,
      tensorsOf: (task: (typeof manifest.tasks)[number]) => readTensors([task]),
    };
    return checkModel(checked, tools);
  },
};

async function graphModel({ manifest, config, readTensors }: ExportSource) {
  const weights = await readTensors(manifest.tasks);
  const types = Object.fromEntries(
    Object.entries(weights).map(([name, { shape, dtype }]) => [name, { shape: [...shape], dtype }]),
  );
  const { graph, symbols } = traceMerged(types, await withHeads(manifest.tasks), config);
  const { name, sha256 } = manifest.base;
  const metadata = {
    base: { name, sha256, license: licenceForCallers(name) },
    tasks: manifest.tasks.map(forCallers),
  };
  return toGraphModel(graph, { symbols, weights, metadata });
}
