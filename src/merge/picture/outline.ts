// What a merged model is made of, in figures: for its picture, its card and `flexbert inspect`.

import type { DecidedExits } from "../../exits/exits";
import { formatCount } from "../../messages/quantities";
import { counted } from "../../messages/words";
import { numbersBeside } from "../../model/adapters/adapters";
import type { EncoderConfig } from "../../model/config";
import { headParameterCount } from "../../model/head-parameters";
import { overhead } from "../../model/overhead";
import { embeddingParameterCount, layerParameterCount } from "../../model/parameters";
import { headOf } from "../../tasks/task";
import type { Int8Exits } from "../folder/int8";
import type { Manifest, MergedTask } from "../folder/manifest";

/** Weights, and the bytes of the file that holds them; null where the file was not looked at. */
export interface Part {
  readonly parameters: number;
  readonly bytes: number | null;
}

export interface TaskOutline extends Part {
  readonly name: string;
  readonly kind: string;
  readonly inputs: "single" | "pair";
  /** Outputs of the head. */
  readonly outputs: number;
  /** Frozen layers under the branch; null where it has embeddings of its own. */
  readonly fork: number | null;
  readonly layers: number;
  readonly metric: string;
  /** Of the dev split, a fraction; null where it is undefined. */
  readonly score: number | null;
  /** By which its texts may leave early, and the layers that they stand on; absent where it has none. */
  readonly ramps?: Part & { readonly layers: readonly number[] };
  /** By what they leave; in int8, where the version was quantized. Absent where it has no ramps. */
  readonly exits?: { readonly rule: DecidedExits | null; readonly int8?: Pick<Int8Exits, "rule" | "why"> };
  /** What the task would cost by itself: the layers under its fork and its own, with embeddings. */
  readonly alone: { readonly layers: number; readonly parameters: number };
  /** Of frozen layers beside small tensors: the method, and how many of its parameters are its own. The others are the base's. */
  readonly adapter?: NonNullable<MergedTask["adapter"]>;
}

export interface ModelOutline extends Part {
  readonly base: { readonly name: string; readonly sha256: string; readonly layers: number };
  readonly hiddenSize: number;
  readonly embeddings: Part;
  /** The shared layers, from the bottom. */
  readonly trunk: readonly Part[];
  readonly tasks: readonly TaskOutline[];
  /** Encoder layers that all tasks together run, those shared among them, and the share of one whole base a task. */
  readonly overhead: { readonly layers: number; readonly shared: number; readonly share: number };
  /** One whole base a task. */
  readonly separate: { readonly layers: number; readonly parameters: number };
}

/** @param bytesOf of a blob; without it no bytes are told */
export function outlineModel(
  manifest: Pick<Manifest, "base" | "embeddings" | "trunk" | "tasks" | "int8">,
  config: EncoderConfig,
  bytesOf: (file: string) => number | null = () => null,
): ModelOutline {
  const layer = layerParameterCount(config);
  const embeddings: Part = {
    parameters: embeddingParameterCount(config),
    bytes: bytesOf(manifest.embeddings.file),
  };
  const trunk = manifest.trunk.map(({ file }) => ({ parameters: layer, bytes: bytesOf(file) }));
  const headOfTask = (task: MergedTask) => headParameterCount(headOf(task, config));
  const tasks = manifest.tasks.map((task): TaskOutline => {
    const { name, kind, inputs, fork, layers, metric, score, adapter } = task;
    const head = headOfTask(task);
    const beside = adapter ? numbersBeside(adapter, head, config, task) : 0;
    const own = layers * layer + beside + head + (fork === null ? embeddings.parameters : 0);
    const under = fork === null ? 0 : embeddings.parameters + fork * layer;
    const alone = { layers: (fork ?? 0) + layers, parameters: under + own };
    const outputs = kind.outputs(task).length;
    const told = { name, kind: kind.name, inputs, outputs, fork, layers, metric, score, alone };
    const ramps = task.exits && {
      layers: task.exits.layers,
      parameters: task.exits.layers.length * headOfTask(task),
      bytes: bytesOf(task.exits.ramps.file),
    };
    const int8 = manifest.int8?.tasks[name]?.exits;
    const exits = task.exits && { rule: task.exits.rule, ...(int8 ? { int8 } : {}) };
    const early = ramps && exits ? { ramps, exits } : {};
    return { ...told, ...early, ...(adapter ? { adapter } : {}), parameters: own, bytes: bytesOf(task.file) };
  });
  const parts = [embeddings, ...trunk, ...tasks, ...tasks.flatMap(({ ramps }) => ramps ?? [])];
  const whole = embeddings.parameters + config.numHiddenLayers * layer;
  return {
    base: manifest.base,
    hiddenSize: config.hiddenSize,
    embeddings,
    trunk,
    tasks,
    overhead: overhead(manifest),
    separate: {
      layers: tasks.length * config.numHiddenLayers,
      parameters: manifest.tasks.reduce((sum, task) => sum + whole + headOfTask(task), 0),
    },
    parameters: parts.reduce((sum, part) => sum + part.parameters, 0),
    bytes: parts.some(({ bytes }) => bytes === null) ? null : parts.reduce((sum, part) => sum + (part.bytes ?? 0), 0),
  };
}

/** A line each of the tasks whose layers stayed frozen: what is their own, and what is computed for them. */
export const adapterLines = (tasks: readonly Pick<TaskOutline, "name" | "layers" | "adapter">[]): string[] =>
  tasks.flatMap(({ name, layers, adapter }) =>
    adapter
      ? [
          `${name}: ${adapter.method}, ${formatCount(adapter.trained)} parameters of its own; its ${counted(layers, "layer")} are the base's, ` +
            "and run for it alone",
        ]
      : [],
  );
