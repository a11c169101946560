// What merging saves: parameters of the merged model, and of one whole BERT a task.

import { numbersBeside } from "../model/adapters/adapters";
import type { EncoderConfig } from "../model/config";
import { headParameterCount } from "../model/head-parameters";
import { overhead } from "../model/overhead";
import { embeddingParameterCount, layerParameterCount } from "../model/parameters";
import { headOf } from "../tasks/task";
import type { Manifest, MergedTask } from "./folder/manifest";

export interface Savings {
  readonly parameters: number;
  readonly separateParameters: number;
}

export function savings(manifest: Manifest, config: EncoderConfig): Savings {
  const layer = layerParameterCount(config);
  const embeddings = embeddingParameterCount(config);
  const headOfTask = (task: MergedTask) => headParameterCount(headOf(task, config));
  const heads = manifest.tasks.reduce((sum, task) => sum + headOfTask(task), 0);
  const beside = manifest.tasks.reduce(
    (sum, task) => sum + (task.adapter ? numbersBeside(task.adapter, headOfTask(task), config, task) : 0),
    0,
  );
  const unshared = manifest.tasks.filter(({ fork }) => fork === null).length;
  const separateParameters = manifest.tasks.length * (embeddings + config.numHiddenLayers * layer) + heads;
  const parameters = (1 + unshared) * embeddings + overhead(manifest).layers * layer + heads + beside;
  return { parameters, separateParameters };
}
