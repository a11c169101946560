// export tfjs: a GraphModel for browsers and Node, which `tf.loadGraphModel` loads. The shared layers are in it once, and
// `execute` runs what the outputs that are asked for need.

import { existsSync } from "node:fs";
import path from "node:path";
import { tokenInputNames } from "../../batches/token-inputs";
import { toGraphModel } from "../../compile/tensorflow/graph-model";
import { modelError } from "../../errors/errors";
import { licenceForCallers } from "../../merge/folder/licence";
import { forCallers } from "../../merge/folder/manifest";
import { withHeads } from "../../tasks/task";
import { checkExport } from "../check/check-export";
import type { ExportFormat, ExportSource } from "../format";
import { sidecars } from "../sidecars";
import { writeFiles } from "../target";
import { traceMerged, typesOf } from "../traced";

const MODEL = "model.json";

export const tfjs: ExportFormat = {
  name: "tfjs",
  title: "a tfjs model",
  precisions: [],
  isExport: (folder) => existsSync(path.join(folder, MODEL)),
  contents({ manifest, config }) {
    const clash = manifest.tasks.find(({ name }) => (tokenInputNames(config) as readonly string[]).includes(name));
    if (clash) {
      throw modelError(
        `a task named ${clash.name} cannot be an output of a tfjs model, whose input has that name. Name the task otherwise`,
      );
    }
    return { outputs: manifest.tasks.map(({ name }) => name) };
  },
  async write(folder, source) {
    const { json, shards } = await graphModel(source);
    await writeFiles(folder, {
      [MODEL]: json,
      ...shards,
      ...sidecars(source),
    });
  },
  check(folder, out, source, tools) {
    return checkExport(source, { folder, out, file: MODEL, runtime: "tfjs" }, source.manifest.tasks, tools);
  },
};

async function graphModel({ manifest, config, readTensors }: ExportSource) {
  const weights = await readTensors(manifest.tasks);
  const { graph, symbols } = traceMerged(typesOf(weights), await withHeads(manifest.tasks, config), config);
  const { name, sha256 } = manifest.base;
  const metadata = {
    base: { name, sha256, license: licenceForCallers(name) },
    tasks: manifest.tasks.map(forCallers),
  };
  return toGraphModel(graph, { symbols, weights, metadata });
}
