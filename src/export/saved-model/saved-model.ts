// A merged folder as a TensorFlow SavedModel, for TensorFlow Serving and others: the graph of all tasks with the shared
// layers once, its weights in a checkpoint. The default signature gives every task; one a task runs only what it needs.

import { existsSync } from "node:fs";
import path from "node:path";
import { tokenizerConfigJson } from "../../checkpoints/bases/base-tokenizer";
import { tensorBundle } from "../../checkpoints/formats/tensor-bundle";
import { joinGelus } from "../../compile/tensorflow/passes";
import { DEFAULT_SIGNATURE, SAVED_MODEL, VARIABLES } from "../../compile/tensorflow/saved-model";
import { toStoredModel } from "../../compile/tensorflow/tensorflow";
import { modelError } from "../../errors/errors";
import { licenceForCallers } from "../../merge/folder/licence";
import { forCallers } from "../../merge/folder/manifest";
import type { TaskHead } from "../../model/multi-head";
import type { HostTensors } from "../../model/tensors";
import { withHeads } from "../../tasks/task";
import { checkModel } from "../check/model-check";
import type { ExportFormat, ExportSource } from "../format";
import { writeFiles } from "../target";
import { traceMerged } from "../traced";

export const savedModel: ExportFormat = {
  name: "saved-model",
  title: "a SavedModel",
  precisions: [],
  isExport: (folder) => existsSync(path.join(folder, SAVED_MODEL)),
  contents: (source) => ({ signatures: Object.keys(signaturesOf(source)) }),
  write: writeSavedModel,
  check(folder, out, { manifest, config, tokenizer, readTensors }, tools) {
    const checked = {
      path: folder,
      name: out,
      runtime: "TensorFlow",
      advice: "Nothing was left there. Please report it",
      tasks: manifest.tasks,
      config,
      tokenizer,
      tensorsOf: (task: (typeof manifest.tasks)[number]) => readTensors([task]),
    };
    return checkModel(checked, tools);
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
  const { manifest, tokenizer } = source;
  const tensors = await source.readTensors(manifest.tasks);
  const { index, data } = tensorBundle(tensors);
  const { name, sha256 } = manifest.base;
  await writeFiles(folder, {
    [SAVED_MODEL]: graphOf(tensors, source, await withHeads(manifest.tasks)),
    [`${VARIABLES}.index`]: index,
    [`${VARIABLES}.data-00000-of-00001`]: data,
    // Servers leave this folder alone.
    "assets.extra/base.json": `${JSON.stringify({ name, sha256, license: licenceForCallers(name) }, null, 2)}\n`,
    "assets.extra/tasks.json": `${JSON.stringify(manifest.tasks.map(forCallers), null, 2)}\n`,
    "assets.extra/vocab.txt": `${tokenizer.tokens.join("\n")}\n`,
    "assets.extra/tokenizer_config.json": `${JSON.stringify(tokenizerConfigJson(tokenizer), null, 2)}\n`,
  });
}

function graphOf(tensors: HostTensors, source: ExportSource, tasks: readonly TaskHead[]): Uint8Array {
  const types = Object.fromEntries(
    Object.entries(tensors).map(([name, { shape, dtype }]) => [name, { shape: [...shape], dtype }]),
  );
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
