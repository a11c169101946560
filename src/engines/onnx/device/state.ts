// A program's state: the host's until a step changes it, on the device from then on, where an update works on it in the matrices in
// which it is kept.

import type { ValueType } from "../../../compile/graph/graph";
import type { PackedState } from "../../../compile/passes/pack-state";
import { copied, float32, type HostTensor, type HostTensors, sizeOf } from "../../../model/tensors";
import { readState } from "./read-state";
import type { DeviceSettings, DeviceValue } from "./session";

/** Where a tensor is. */
export type Place = { readonly host: HostTensor } | { readonly value: DeviceValue };

/** A protobuf message ends at 2 GiB; larger weights are fed. */
const MOST_CONSTANT_BYTES = 1.9e9;
const ELEMENT_BYTES = 4;

export interface DeviceState {
  /** Whether any entry point changes it; none of it is a constant then. */
  readonly changes: boolean;
  readonly packings: readonly PackedState[];
  /** What models may hold as constants. */
  constants(): HostTensors;
  /** From now on it changes, and is kept in these matrices. */
  change(packings: readonly PackedState[]): void;
  /** Of a tensor that is in no matrix, or of a matrix. */
  place(name: string): Place;
  /** Takes the place of what was there. */
  replace(name: string, value: DeviceValue): void;
  /** A copy, tensor by tensor. */
  read(): Promise<HostTensors>;
  /** Lets go of the device's values. */
  dispose(): void;
}

export function openDeviceState(settings: DeviceSettings, initial: HostTensors): DeviceState {
  const { library } = settings;
  const places = new Map<string, Place>(Object.entries(initial).map(([name, host]) => [name, { host }]));
  const types = typesOf(initial);
  let packings: readonly PackedState[] = [];
  let constants: HostTensors | null = initial; // none once it changes: a training's state is not held twice
  const place = (name: string): Place => {
    const found = places.get(name);
    if (!found) throw new Error(`the state has no ${name}`);
    return found;
  };
  return {
    get changes() {
      return constants === null;
    },
    get packings() {
      return packings;
    },
    constants() {
      const bytes = [...types.values()].reduce((sum, { shape }) => sum + ELEMENT_BYTES * sizeOf(shape), 0);
      return constants === null || bytes > MOST_CONSTANT_BYTES ? {} : constants;
    },
    change(found) {
      constants = null;
      packings = found;
      for (const packing of packings) {
        places.set(packing.name, { host: joined(packing, (name) => (place(name) as { host: HostTensor }).host) });
        for (const { name } of packing.members) places.delete(name);
      }
    },
    place,
    replace(name, value) {
      const old = place(name);
      if ("value" in old) library.release("ReleaseValue", old.value); // sessions that it is bound to have their own hold
      places.set(name, { value });
    },
    async read() {
      const values = new Map<string, DeviceValue>();
      for (const [name, found] of places) if ("value" in found) values.set(name, found.value);
      const matrices = packings.map(
        ({ name, rows, width }) => [name, { dtype: "float32", shape: [rows, width] }] as const,
      );
      const read = await readState(settings, values, new Map<string, ValueType>([...types, ...matrices]));
      const tensors = new Map<string, HostTensor>();
      for (const [name, found] of places) {
        tensors.set(name, "host" in found ? copied(found.host) : (read.get(name) as HostTensor));
      }
      for (const packing of packings) {
        for (const [name, member] of parted(packing, tensors.get(packing.name) as HostTensor))
          tensors.set(name, member);
      }
      return Object.fromEntries([...types.keys()].map((name) => [name, tensors.get(name) as HostTensor]));
    },
    dispose() {
      for (const found of places.values()) if ("value" in found) library.release("ReleaseValue", found.value);
      places.clear();
    },
  };
}

/** Without the elements. */
export const typesOf = (tensors: HostTensors): Map<string, ValueType> =>
  new Map(Object.entries(tensors).map(([name, { dtype, shape }]) => [name, { dtype, shape }]));

function joined({ rows, width, members }: PackedState, tensorOf: (name: string) => HostTensor): HostTensor {
  const data = new Float32Array(rows * width);
  let at = 0;
  for (const { name, shape } of members) {
    data.set(tensorOf(name).data, at);
    at += sizeOf(shape);
  }
  return float32([rows, width], data);
}

function parted({ members }: PackedState, { data }: HostTensor): [string, HostTensor][] {
  let at = 0;
  return members.map(({ name, shape }) => {
    const part = (data as Float32Array).slice(at, at + sizeOf(shape));
    at += sizeOf(shape);
    return [name, float32(shape, part)];
  });
}
