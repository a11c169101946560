// What a branch of frozen layers is trained from: the base's layers stay beside the step, and small tensors, the head and, by the method,
// norms are what AdamW sees. What is stored is the whole branch, so that whatever reads runs reads it.

import type { Base } from "../../checkpoints/bases/base";
import type { Adapter, AdapterOptions, SmallTensor } from "../../model/adapters/adapter";
import { smallTensors, trainedNorms } from "../../model/adapters/adapters";
import { layerOf } from "../../model/families/families";
import { float32, type HostTensor, type HostTensors, sizeOf } from "../../model/tensors";
import { normals } from "../../random/draws";
import { Purpose, streamKey } from "../../random/threefry";
import { headOf } from "../../tasks/task";
import { labelLoss } from "../losses";
import type { TrialSettings, TrialWork } from "../recipe";
import { branchOfBase } from "../trial/initial-branch";

type Trial = Pick<TrialSettings, "task" | "place" | "seed" | "options"> & {
  readonly base: Pick<Base, "config" | "tensors">;
};

export async function adaptedWork({ task, base, place, seed, options }: Trial, adapter: Adapter): Promise<TrialWork> {
  const { config } = base;
  const whole = branchOfBase(base, place, headOf(task, config), seed);
  const norms = new Set(trainedNorms(adapter, config, place));
  const isFrozen = (name: string) => !Number.isNaN(layerOf(name)) && !norms.has(name);
  const own = Object.entries(whole).filter(([name]) => !isFrozen(name));
  const frozen = Object.fromEntries(Object.entries(whole).filter(([name]) => isFrozen(name)));
  const small = smallTensors(adapter, config, place, options);
  return {
    initial: { ...Object.fromEntries(own), ...Object.fromEntries(small.map((tensor, i) => begins(tensor, i, seed))) },
    loss: labelLoss(await task.kind.head(config)),
    beside: { frozen: { ...frozen, ...adapter.constants?.(options as AdapterOptions) } },
    stored: (trained: HostTensors): HostTensors => {
      const branch = { ...whole, ...trained };
      return adapter.folded?.(branch, options as AdapterOptions) ?? branch;
    },
  };
}

/** Sites of small tensors' values among those of initialisation: heads have the first ones. Part of the format of runs: never renumber. */
const FIRST_SITE = 2 ** 20;

function begins({ name, shape, deviation }: SmallTensor, index: number, seed: number): [string, HostTensor] {
  const size = sizeOf(shape);
  if (deviation === 0) return [name, float32(shape, new Float32Array(size))];
  const key = streamKey(seed, Purpose.initialisation, 0, FIRST_SITE + index);
  return [name, float32(shape, normals(key, size, deviation))];
}
