// Whether weights are the branch that a run.json describes: the layers of its place on the base, and the task's head.

import { shown } from "../../errors/printable";
import { storedBeside } from "../../model/adapters/adapters";
import type { EncoderConfig } from "../../model/config";
import { branchTensors } from "../../model/parameters";
import type { Place } from "../../model/place";
import type { HostTensors } from "../../model/tensors";
import { headOf, type OfKind } from "../../tasks/task";
import { parameterShapes } from "../bases/parameter-shapes";

interface Described extends Place {
  readonly base: { readonly layers: number };
  readonly labels: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
}

/**
 * What in a branch is not as its run and the base have it, in words that follow the file's name; null where nothing is.
 * @param task with the labels that its outputs are read by
 */
export function branchProblem(
  { fork, layers, base, labels: recorded, options }: Described,
  tensors: HostTensors,
  task: OfKind,
  config: EncoderConfig,
): string | null {
  const said = "does not fit its run.json";
  if (base.layers !== config.numHiddenLayers) {
    return `${said}, which says that the base has ${base.layers} layers; it has ${config.numHiddenLayers}`;
  }
  if (recorded.length > 0 !== (task.kind.definedBy === "labels")) {
    return `${said}, whose labels are ${shown(recorded)}, of a task of ${task.kind.name}`;
  }
  const head = headOf(task, config).map(({ name, shape }) => [name, shape] as const);
  const shapes = { ...Object.fromEntries(parameterShapes(config)), ...Object.fromEntries(head) };
  const own = branchTensors<readonly number[]>(shapes, { fork, layers }, Object.keys(Object.fromEntries(head)));
  const wanted = { ...own, ...Object.fromEntries(storedBeside(config, { fork, layers }, options)) };
  const place = `${layers} layers above ${fork === null ? "embeddings of its own" : `fork ${fork}`}`;
  const other = Object.keys(tensors).find((name) => !Object.hasOwn(wanted, name));
  if (other !== undefined) return `${said}: it holds ${shown(other)}, which is no part of ${place}`;
  for (const [name, shape] of Object.entries(wanted)) {
    const found = tensors[name];
    if (!found) return `${said}: it lacks ${name} of ${place}`;
    if (String(found.shape) !== String(shape) || found.dtype !== "float32") {
      const labels = head.some(([own]) => own === name) ? ` of ${task.labels.length} labels` : "";
      return `${said}: ${name} is ${found.dtype} [${found.shape}], not float32 [${shape}]${labels}`;
    }
  }
  return null;
}
