// What a branch is before its first step.

import type { Base } from "../../checkpoints/bases/base";
import { parameterShapes } from "../../checkpoints/bases/parameter-shapes";
import { modelError } from "../../errors/errors";
import type { BertConfig } from "../../model/config";
import type { HeadParameter } from "../../model/head-parameters";
import { branchTensors } from "../../model/parameters";
import { ownLayers, type Place } from "../../model/place";
import { float32, type HostTensor, type HostTensors, sizeOf } from "../../model/tensors";
import { normals } from "../../random/draws";
import { Purpose, streamKey } from "../../random/threefry";

/** The base's layers, and what of the head it has, under a new head; a base without a pooler gets a new one. */
export function branchOfBase(
  base: Pick<Base, "config" | "tensors">,
  place: Place,
  head: readonly HeadParameter[],
  seed: number,
): HostTensors {
  const fresh = ({ name, shape, site }: HeadParameter): [string, HostTensor] => {
    const size = sizeOf(shape);
    if (site === null) return [name, float32(shape, new Float32Array(size))];
    const key = streamKey(seed, Purpose.initialisation, 0, site);
    return [name, float32(shape, normals(key, size, base.config.initializerRange))];
  };
  const ofBase = head.filter((parameter) => parameter.ofBase);
  return {
    ...Object.fromEntries(ofBase.map(fresh)),
    ...branchTensors(base.tensors, place, namesOf(ofBase)),
    ...Object.fromEntries(head.filter((parameter) => !parameter.ofBase).map(fresh)),
  };
}

const namesOf = (head: readonly HeadParameter[]) => head.map(({ name }) => name);

/** The teacher's bottommost layers with its pooler and head (paper, section 2.2). */
export function branchOfTeacher(
  teacher: HostTensors,
  place: Place,
  config: BertConfig,
  head: readonly HeadParameter[],
): HostTensors {
  const branch = branchTensors(teacher, place, namesOf(head));
  const names = [...parameterShapes(config).keys(), ...namesOf(head)];
  const named = Object.fromEntries(names.map((name) => [name, name]));
  const expected = Object.keys(branchTensors(named, place, namesOf(head)));
  const held = expected.filter((name) => name in branch);
  if (held.length !== expected.length) {
    const [from, to] = ownLayers(place);
    throw modelError(
      `the teacher holds ${held.length} of the ${expected.length} tensors of layers ${from} to ${to - 1}. Fine-tune it again with --force`,
    );
  }
  return branch;
}
