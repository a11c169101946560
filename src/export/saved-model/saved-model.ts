// A merged folder as a TensorFlow SavedModel, for TensorFlow Serving and others: the graph of all tasks with the shared
// layers once, its weights in a checkpoint. The default signature gives every task; one a task runs only what it needs.

import { existsSync } from "node:fs";
import path from "node:path";
import { tensorBundle } from "../../checkpoints/formats/tensor-bundle";
import { joinGelus } from "../../compile/tensorflow/passes";
import { DEFAULT_SIGNATURE, SAVED_MODEL, VARIABLES } from "../../compile/tensorflow/saved-model";
import { toStoredModel } from "../../compile/tensorflow/tensorflow";
import { modelError } from "../../errors/errors";
import { licenceForCallers } from "../../merge/folder/licence";
import type { TaskHead } from "../../model/multi-head";
import type { HostTensors } from "../../model/tensors";
import { withHeads } from "../../tasks/task";
import { checkExport } from "../check/check-export";
import type { ExportFormat, ExportSource } from "../format";
import { jsonFile, sidecars } from "../sidecars";
import { writeFiles } from "../target";
import { traceMerged, typesOf } from "../traced";

export const savedModel: ExportFormat = {
  name: "saved-model",
  title: "a SavedModel",
  precisions: [],
  isExport: (folder) => existsSync(path.join(folder, SAVED_MODEL)),
  contents: (source) => ({ signatures: Object.keys(signaturesOf(source)) }),
  write: writeSavedModel,
  check(folder, out, source, tools) {
    return checkExport(source, { folder, out, file: ".", runtime: "TensorFlow" }, source.manifest.tasks, tools);
  },
};

/** The outputs of each signature. */
function signaturesOf({ manifest: { tasks } }: ExportSource): Record<string, string[]> {
  const clash = tasks.find(({ name }) => name === DEFAULT_SIGNATURE);
  if (clash) throw modelError(`a task named ${clash.name} cannot have a signature of its own. Name the task otherwise`);
  const all = tasks.map(({ name }) => name);
  return { [DEFAULT_SIGNATURE]: all, ...Object.fromEntries(all.map((name) => [name, [name]])) };
}

async function writeSavedModel(folder: string, source: ExportSource): Promise<void> {
  const { manifest } = source;
  const tensors = await source.readTensors(manifest.tasks);
  const { index, data } = tensorBundle(tensors);
  const { name, sha256 } = manifest.base;
  await writeFiles(folder, {
    [SAVED_MODEL]: graphOf(tensors, source, await withHeads(manifest.tasks, source.config)),
    [`${VARIABLES}.index`]: index,
    [`${VARIABLES}.data-00000-of-00001`]: data,
    // Servers leave this folder alone.
    ...inFolder("assets.extra", {
      "base.json": jsonFile({ name, sha256, license: licenceForCallers(name) }),
      ...sidecars(source),
    }),
  });
}

const inFolder = (folder: string, files: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(files).map(([name, content]) => [`${folder}/${name}`, content]));

function graphOf(tensors: HostTensors, source: ExportSource, tasks: readonly TaskHead[]): Uint8Array {
  const types = typesOf(tensors);
  const { graph, symbols } = traceMerged(types, tasks, source.config);
  const reads = new Map(Object.keys(types).map((name) => [name, name]));
  const step = {
    name: "logits",
    graph: joinGelus(graph),
    symbols,
    reads,
    writes: new Map(),
    compile: "nothing",
  } as const;
  return toStoredModel(types, step, signaturesOf(source));
}
