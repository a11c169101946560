// What a branch is before its first step.

import type { Base } from "../../checkpoints/bases/base";
import { parameterShapes } from "../../checkpoints/bases/parameter-shapes";
import { modelError } from "../../errors/errors";
import type { EncoderConfig } from "../../model/config";
import { inLayer, layerOf } from "../../model/families/families";
import type { Parameter } from "../../model/families/family";
import type { HeadParameter } from "../../model/head-parameters";
import { baseParameters, branchTensors, embeddingTensors, layerTensors } from "../../model/parameters";
import { ownLayers, type Place } from "../../model/place";
import { float32, type HostTensor, type HostTensors, sizeOf } from "../../model/tensors";
import { normals } from "../../random/draws";
import { Purpose, streamKey } from "../../random/threefry";
import type { Variant } from "../recipe";

/** The base's layers, and what of the head it has, under a new head; a base without a pooler gets a new one. */
export function branchOfBase(
  base: Pick<Base, "config" | "tensors">,
  place: Place,
  head: readonly HeadParameter[],
  seed: number,
): HostTensors {
  const fresh = ({ name, shape, site, fill = 0, ...own }: HeadParameter): [string, HostTensor] => {
    const size = sizeOf(shape);
    if (site === null) return [name, float32(shape, new Float32Array(size).fill(fill))];
    const key = streamKey(seed, Purpose.initialisation, 0, site);
    return [name, float32(shape, normals(key, size, own.deviation ?? base.config.initializerRange))];
  };
  const ofBase = head.filter((parameter) => parameter.ofBase);
  return {
    ...Object.fromEntries(ofBase.map(fresh)),
    ...branchTensors(base.tensors, place, namesOf(ofBase)),
    ...Object.fromEntries(head.filter((parameter) => !parameter.ofBase).map(fresh)),
  };
}

const namesOf = (head: readonly HeadParameter[]) => head.map(({ name }) => name);

/** The teacher's layers at the branch's own depth with its pooler and head; on its fork its bottommost (paper, section 2.2). */
export function branchOfTeacher(
  teacher: HostTensors,
  place: Place,
  config: EncoderConfig,
  head: readonly HeadParameter[],
): HostTensors {
  const branch = branchTensors(teacher, place, namesOf(head));
  const all = { ...named(config), ...Object.fromEntries(namesOf(head).map((name) => [name, name])) };
  const expected = Object.keys(branchTensors(all, place, namesOf(head)));
  const held = expected.filter((name) => name in branch);
  if (held.length !== expected.length) {
    const [from, to] = ownLayers(place);
    throw modelError(
      `the teacher holds ${held.length} of the ${expected.length} tensors of layers ${from} to ${to - 1}. Fine-tune it again with --force`,
    );
  }
  return branch;
}

/** A teacher's tensors and where its layers stand; a full one's are those of the whole base. */
export interface PlacedTeacher {
  readonly branch: HostTensors;
  readonly place: Place;
}

/** The whole model that a run is: the frozen part under it, which is the base's, and its own. */
export function wholeTeacher(
  { tensors }: Pick<Base, "tensors">,
  { branch, place: stands }: PlacedTeacher,
  head: readonly HeadParameter[],
): PlacedTeacher {
  const place = { fork: null, layers: ownLayers(stands)[1] };
  return { branch: branchTensors({ ...tensors, ...branch }, place, namesOf(head)), place };
}

/** The same of the base under a new head: what a whole student begins as that takes layers of the base. */
export function wholeBase(
  base: Pick<Base, "config" | "tensors">,
  head: readonly HeadParameter[],
  seed: number,
): PlacedTeacher {
  const place = { fork: null, layers: base.config.numHiddenLayers };
  return { branch: branchOfBase(base, place, head, seed), place };
}

/** A layer of a student's before its first step. */
export interface LayerStart {
  readonly from: "teacher" | "base";
  /** Of that model, counted from 0 at the bottom of the base. */
  readonly layer: number;
}

/**
 * What each layer of a student at `place` begins as, from the lowest. By depth: the teacher's layer at the same depth, and
 * the base's where the teacher has none. "bottom" and "top" are the teacher's lowest and topmost layers, "spread" layers
 * from its lowest to its topmost as evenly as whole numbers allow, as DistilBERT takes 1, 3, 5, 8, 10 and 12 of 12
 * (Sanh et al. 2019); one layer alone is the middle one.
 * @param which absent: by depth; else the teacher has at least as many layers as the student
 */
export function layerStarts(place: Place, teacher: Place, which: Variant["initLayers"]): LayerStart[] {
  const [from] = ownLayers(place);
  const [low, past] = ownLayers(teacher);
  const step = place.layers === 1 ? 0 : (teacher.layers - 1) / (place.layers - 1);
  const middle = place.layers === 1 ? (teacher.layers - 1) / 2 : 0;
  return Array.from({ length: place.layers }, (_, i): LayerStart => {
    if (which === "bottom") return { from: "teacher", layer: low + i };
    if (which === "top") return { from: "teacher", layer: past - place.layers + i };
    if (which === "spread") return { from: "teacher", layer: low + Math.round(middle + i * step) };
    const depth = from + i;
    return { from: depth >= low && depth < past ? "teacher" : "base", layer: depth };
  });
}

/**
 * A student on any fork: its layers as {@link layerStarts} says, under its teacher's pooler and head. A whole one, of a teacher
 * that is whole, has its embeddings too.
 * Tensors are in the order of a base's: sums over them, such as the gradient's norm, depend on it.
 */
export function studentOfTeacher(
  teacher: PlacedTeacher,
  base: Pick<Base, "config" | "tensors">,
  place: Place,
  head: readonly HeadParameter[],
  which?: Variant["initLayers"],
): HostTensors {
  const starts = layerStarts(place, teacher.place, which);
  const [first, past] = ownLayers(place);
  // Branches of the teacher's own layers, such as the paper's, keep the order that its file has.
  if (starts.every(({ from, layer }, i) => from === "teacher" && layer === first + i)) {
    return branchOfTeacher(teacher.branch, place, base.config, head);
  }
  const branch: Record<string, HostTensor> = place.fork === null ? embeddingTensors(teacher.branch) : {};
  for (const name of Object.keys(layerTensors(named(base.config), first, past))) {
    const depth = layerOf(name);
    const { from, layer } = starts[depth - first] as LayerStart;
    const source = from === "teacher" ? teacher.branch : base.tensors;
    const tensor = source[inLayer(name, layer)] ?? newNorm(inLayer(name, layer), name, base.config);
    if (!tensor) throw modelError(`the teacher lacks ${inLayer(name, layer)}. Fine-tune it again with --force`);
    branch[name] = tensor;
  }
  for (const { name } of head) {
    const tensor = teacher.branch[name];
    if (!tensor) throw modelError(`the teacher lacks ${name}. Fine-tune it again with --force`);
    branch[name] = tensor;
  }
  return branch;
}

/** What the layer that is taken has not in any model, as ModernBERT's bottom one has no norm, begins as in a new model. */
function newNorm(from: string, name: string, config: EncoderConfig): HostTensor | undefined {
  const parameters = baseParameters(config);
  if (parameters.some((parameter) => parameter.name === from)) return undefined;
  const { shape, begins } = parameters.find((parameter) => parameter.name === name) as Parameter;
  return float32(shape, new Float32Array(sizeOf(shape)).fill(begins === "one" ? 1 : 0));
}

/** Every parameter's name, by itself. */
const named = (config: EncoderConfig) =>
  Object.fromEntries([...parameterShapes(config).keys()].map((name) => [name, name]));
