// What a branch is before its first step.

import type { Base } from "../../checkpoints/bases/base";
import { classifierNames, parameterShapes } from "../../checkpoints/bases/parameter-shapes";
import { modelError } from "../../errors/errors";
import type { BertConfig } from "../../model/config";
import { branchTensors } from "../../model/parameters";
import { ownLayers, type Place } from "../../model/place";
import { float32, type HostTensors } from "../../model/tensors";
import { normals } from "../../random/draws";
import { Purpose, streamKey } from "../../random/threefry";

/** Sites of the generator for initial weights. Part of the format of runs: never renumber. */
const Site = { classifier: 0, pooler: 1 } as const;

/** The base's layers and pooler under a new head; a base without a pooler gets a new one. */
export function branchOfBase(
  base: Pick<Base, "config" | "tensors">,
  place: Place,
  outputs: number,
  seed: number,
): HostTensors {
  const { hiddenSize: hidden, initializerRange } = base.config;
  const fresh = (site: number, rows: number) =>
    float32([rows, hidden], normals(streamKey(seed, Purpose.initialisation, 0, site), rows * hidden, initializerRange));
  const branch: HostTensors = {
    "bert.pooler.dense.weight": fresh(Site.pooler, hidden),
    "bert.pooler.dense.bias": float32([hidden], new Float32Array(hidden)),
    ...branchTensors(base.tensors, place),
  };
  branch["classifier.weight"] = fresh(Site.classifier, outputs);
  branch["classifier.bias"] = float32([outputs], new Float32Array(outputs));
  return branch;
}

/** The teacher's bottommost layers with its pooler and head (paper, section 2.2). */
export function branchOfTeacher(teacher: HostTensors, place: Place, config: BertConfig): HostTensors {
  const branch = branchTensors(teacher, place);
  const names = [...parameterShapes(config).keys(), ...classifierNames];
  const expected = Object.keys(branchTensors(Object.fromEntries(names.map((name) => [name, name])), place));
  const held = expected.filter((name) => name in branch);
  if (held.length !== expected.length) {
    const [from, to] = ownLayers(place);
    throw modelError(
      `the teacher holds ${held.length} of the ${expected.length} tensors of layers ${from} to ${to - 1}. Fine-tune it again with --force`,
    );
  }
  return branch;
}
