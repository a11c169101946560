// Weights of a model as a file holds them, and back: an int8 weight is two tensors or three, whose names say what they are
// (model/int8.ts), and several that one product reads are stored joined (joined.ts). In memory or by where they lie.

import { type Int8Codes, int8Names, memberNames, partMatrices } from "../../model/int8";
import type { HostTensor, Int8Tensor } from "../../model/tensors";
import type { Shape } from "../graph/graph";
import { type ExternalTensor, type Int8Weight, int8Parts, type JoinedPart } from "./constants";
import type { HeldInt8 } from "./packed";
import type { ExternalBytes } from "./proto";

/** Tensors to be written. */
export function toStored(
  weights: Readonly<Record<string, HostTensor | HeldInt8>>,
): Record<string, HostTensor | Int8Tensor> {
  const stored: Record<string, HostTensor | Int8Tensor> = {};
  for (const [name, weight] of Object.entries(weights)) {
    if (!("codes" in weight)) stored[name] = weight;
    else for (const { name: part, ...tensor } of int8Parts(name, weight)) stored[part] = tensor;
  }
  return stored;
}

/** A tensor that was read. */
export interface StoredPart<Data> {
  readonly shape: Shape;
  readonly data: Data;
}

/** Weights that were read into memory. */
export const fromStored = (parts: ReadonlyMap<string, StoredPart<Float32Array | Int8Array>>) =>
  parted(assembled(parts) as Record<string, HostTensor | HeldInt8>);

/** Weights by where they lie. */
export function fromPlaces(parts: ReadonlyMap<string, StoredPart<ExternalBytes>>) {
  const weights: Record<string, ExternalTensor | Int8Weight | JoinedPart> = {};
  for (const [name, constant] of Object.entries(assembled(parts) as Record<string, ExternalTensor | Int8Weight>)) {
    const members = memberNames(name);
    const shape = partShape(constant.shape, members.length);
    const part = { shape, dtype: "float32", whole: { name, constant } } as const;
    for (const member of members) weights[member] = members.length === 1 ? constant : part;
  }
  return weights;
}

/** Weights each for itself, of such as are joined among them. */
export function parted(
  weights: Readonly<Record<string, HostTensor | HeldInt8>>,
): Record<string, HostTensor | HeldInt8> {
  const all: Record<string, HostTensor | HeldInt8> = {};
  for (const [name, weight] of Object.entries(weights)) {
    const members = memberNames(name);
    const shape = partShape(weight.shape, members.length);
    const matrices = members.length > 1 && "codes" in weight ? partMatrices(weight, members.length) : [];
    for (const [at, member] of members.entries()) {
      if (members.length === 1) all[member] = weight;
      else if ("codes" in weight) all[member] = { ...weight, shape, ...(matrices[at] as Int8Codes) };
      else
        all[member] = { ...weight, shape, data: weight.data.slice(...rangeOf(at, weight.data, members)) } as HostTensor;
    }
  }
  return all;
}

const partShape = ([rows, ...others]: Shape, count: number): Shape => [(rows as number) / count, ...others];

function rangeOf(at: number, { length }: ArrayLike<number>, members: readonly string[]): [number, number] {
  const size = length / members.length;
  return [at * size, (at + 1) * size];
}

function assembled<Data>(parts: ReadonlyMap<string, StoredPart<Data>>): Record<string, unknown> {
  const weights: Record<string, unknown> = {};
  const taken = new Set<string>();
  for (const [name, { shape, data: codes }] of parts) {
    const suffix = /_int8(_rows)?$/.exec(name)?.[0];
    if (suffix === undefined) continue;
    const weight = name.slice(0, -suffix.length);
    const names = int8Names(weight);
    const layout = name === names.matrix ? "matrix" : "table";
    const scales = parts.get(names.scales)?.data;
    if (scales === undefined) throw new Error(`${name} has no ${names.scales} beside it`);
    const inverse = layout === "matrix" ? parts.get(names.inverse)?.data : undefined;
    for (const used of [name, names.scales, names.inverse]) taken.add(used);
    weights[weight] = {
      ...{ dtype: "float32", layout, codes, scales },
      shape: layout === "matrix" ? [...shape].reverse() : shape,
      ...(inverse === undefined ? {} : { inverse }),
    };
  }
  for (const [name, { shape, data }] of parts) {
    if (taken.has(name)) continue;
    if (/_(scale|inverse)$/.test(name)) throw new Error(`${name} is a part of no int8 weight beside it`);
    weights[name] = { dtype: "float32", shape, data };
  }
  return weights;
}
